"""The command ``spred``: parse, call, print, exit code. Nothing is computed here.

Exit codes: 0 done, 1 failure (one sentence on stderr), 2 wrong use, 130 stopped by Ctrl-C, 143 by ``kill``. Heavy
modules are imported inside the commands, so that ``--help`` answers at once.

app       the command itself
options   the options of all commands
genes     ``spred genes``, ``spred describe`` and ``spred predict``
compress  ``spred compress``
terminal  what is printed, errors as sentences, exit codes
stops     the signals that stop a command
streams   standard streams that are closed, full, in ASCII, or read by nobody
"""

from spred.cli import genes, compress  # noqa: I001  # commands stand in the help in the order of their import
from spred.cli.app import app
from spred.cli.stops import STOPPED, leave_at_once
from spred.cli.streams import prepare_streams
from spred.cli.terminal import reported_errors, warnings_as_notes

__all__ = ["app", "compress", "genes", "main"]


def main() -> None:
    """Run the command line; the entry point of the console script."""
    prepare_streams()
    warnings_as_notes()
    try:
        with reported_errors():
            app(prog_name="spred")
    except SystemExit as end:
        if isinstance(end.code, int) and end.code in STOPPED.values():
            leave_at_once(end.code)
        raise
