"""The store of receipts: a SQLite file with the log of choices, its key, and what reads them."""
