"""What is PostgreSQL's own: a few connections, group commit under a lock that orders the log, notifications."""
