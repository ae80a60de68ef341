"""What is SQLite's own: a file, one writing thread, readers on the event loop."""
