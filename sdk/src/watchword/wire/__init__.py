"""How the SDK talks to the issuer: one thread a process, guarded requests, the issuer's metadata."""
