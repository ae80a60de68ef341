"""The log: structured lines on standard error, without secrets."""
