"""Run records, and which runs are kept."""
