"""Stage: head -> files that other programs predict with."""
