"""Tables of labels: CSV, JSON lines and Parquet files that name photos and their labels."""
