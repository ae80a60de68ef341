"""What is fast, measured beside its peers in one run. `python -m bench` measures all, with `--only` one subject."""
