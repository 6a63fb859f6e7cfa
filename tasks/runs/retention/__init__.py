"""Retention: old runs go, with everything below the data root that no kept run refers to."""
