"""The verbs of `python -m pipeline`, a module each."""
