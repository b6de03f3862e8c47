"""`replay verify`: is the log intact, and does it still give what the projections say."""
