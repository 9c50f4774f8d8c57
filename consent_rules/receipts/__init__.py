"""Receipts of choices, and the verifiable log that they stand in: values and hashes, no I/O."""
