"""The command ``spred``: parse, call, print, exit code. Nothing is computed here.

Exit codes: 0 done, 1 failure (one sentence on stderr), 2 wrong use, 130 stopped by the user. Heavy modules are imported
inside the commands, so that ``--help`` answers at once.

app       the command itself
options   the options of all commands
genes     ``spred genes``, ``spred describe`` and ``spred predict``
compress  ``spred compress``
terminal  what is printed, errors as sentences, exit codes
"""

from spred.cli import genes, compress  # noqa: I001  # commands stand in the help in the order of their import
from spred.cli.app import app
from spred.cli.terminal import STOPPED, leave_at_once, reported_errors

__all__ = ["app", "compress", "genes", "main"]


def main() -> None:
    """Run the command line; the entry point of the console script."""
    try:
        with reported_errors():
            app(prog_name="spred")
    except SystemExit as end:
        if end.code == STOPPED:
            leave_at_once()
        raise
