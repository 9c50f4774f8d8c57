"""The configuration file: models, validation, and every problem with its line."""
