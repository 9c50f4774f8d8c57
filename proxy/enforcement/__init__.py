"""Apply the decision to the headers of one message. No I/O."""
