"""Retention: removes old runs with every output that no kept run refers to."""
