"""Evaluate stage: measures a head or network and predicts all photos."""
