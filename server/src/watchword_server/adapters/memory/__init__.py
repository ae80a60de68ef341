"""What one process may forget when it ends."""
