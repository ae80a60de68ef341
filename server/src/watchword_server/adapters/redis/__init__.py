"""Redis or Valkey: what nodes share beside the database, and can do without. Loaded only where settings name one."""
