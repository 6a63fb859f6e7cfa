"""Files and folders below the data root, on this machine or on an object store: atomic publishing, locks, cleanup."""
