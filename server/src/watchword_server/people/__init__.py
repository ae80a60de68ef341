"""People: addresses, passwords, sessions, and how often one may guess. Pure."""
