"""The grants of the token endpoint: one file each, independent of each other."""
