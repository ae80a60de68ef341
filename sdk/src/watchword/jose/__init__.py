"""Algorithms, keys, signatures and strict JSON: bytes in, claims or a refusal out. Pure."""
