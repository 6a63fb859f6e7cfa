"""Runs that are killed, stopped or doubled, beside one that nobody disturbs."""
