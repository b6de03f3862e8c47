"""The command `ledger`: serves the API, and does what whoever runs the ledger needs. A file for each group of commands.

Exit status: 0 when all is well, 1 for what can be mended, which is said in a line, 2 for what cannot be asked.
"""

from api.cli import keys, operations, serving
from api.cli.common import app
from api.demo.command import demo

app.command()(demo)

__all__ = ["app", "keys", "operations", "serving"]
