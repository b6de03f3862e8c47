"""`replay step`, `diff` and `bisect`: moving through a dispute, what changed, and where it first went wrong."""
