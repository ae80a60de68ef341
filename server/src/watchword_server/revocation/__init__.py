"""What an event kills, and how snapshots and deltas are cut. Pure."""
