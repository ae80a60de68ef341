"""Private keys at rest, sealed under a master key that stands in a file or a setting."""
