"""A Parquet archive of the log: written, read as a source, and folded by a columnar engine."""
