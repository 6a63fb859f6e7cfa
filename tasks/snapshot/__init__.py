"""Stage: files -> one row a photo: path, label, sha256."""
