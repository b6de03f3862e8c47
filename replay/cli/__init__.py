"""The command `replay`: reads the log again, for auditors and engineers. It never writes to the ledger.

A file for each group of commands. Exit status: 0 when all is well, 1 for a divergence or a break,
2 for what cannot be asked, read or written.
"""

from replay.cli import archiving, cases, debugging, exporting, finance, forking, reading, rebuilding, verifying
from replay.cli.common import app

__all__ = [
    "app",
    "archiving",
    "cases",
    "debugging",
    "exporting",
    "finance",
    "forking",
    "reading",
    "rebuilding",
    "verifying",
]
