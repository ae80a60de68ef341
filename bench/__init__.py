"""What is fast, measured beside its peers in one run. `python -m bench` measures all, `python -m bench.verify` one."""
