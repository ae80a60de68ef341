"""Programs that stories run as processes of their own."""
