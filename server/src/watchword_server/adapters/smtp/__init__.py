"""Sending mail: over SMTP, or not at all and saying so."""
