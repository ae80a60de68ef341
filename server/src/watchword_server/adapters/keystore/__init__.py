"""Private keys at rest, sealed under master keys that stand in a file or a setting, or that a command prints."""
