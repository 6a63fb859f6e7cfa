"""Drift stage: compares the new photos of a snapshot with those of an earlier run."""
