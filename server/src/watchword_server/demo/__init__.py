"""The demo API of `watchword dev`: a process of its own that knows nothing of Watchword but the SDK."""
