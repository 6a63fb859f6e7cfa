"""Parquet stores of immutable shards, their schemas, manifests and compaction."""
