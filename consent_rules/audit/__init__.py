"""The audit's judgement: what a browser was seen to send and store in, findings out."""
