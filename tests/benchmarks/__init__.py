"""Measurements, run by hand: `python -m tests.benchmarks.NAME --output FOLDER`. pytest does not collect them."""
