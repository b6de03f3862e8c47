"""Case files: one signed file of all that belongs to a contract, which replays anywhere (docs/case-files.md)."""
