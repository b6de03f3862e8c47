"""`replay what-if`: history forked in memory, with the policies run again (docs/decisions/0008-what-if.md)."""
