"""The process around a run: signals, exit codes, Luigi's program and worker, and quiet imports of large libraries."""
