"""Stage: archive, URL or folder -> files on disk."""
