"""What `replay verify` checks, one module a subject. Each takes the events one by one, in the order of the log."""
