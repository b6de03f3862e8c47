"""A Parquet archive of the log: written, verified, read as a source, and folded by a columnar engine."""
