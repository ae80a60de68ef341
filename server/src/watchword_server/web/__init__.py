"""HTTP: parse, ask a flow, answer. Nothing is decided here but who may speak from where."""
