"""``spred compress``: from a recipe to a smaller network with a report."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from rich.console import Console

from spred.cli import options
from spred.cli.app import app
from spred.cli.terminal import print_notes, reported_errors, say
from spred.runtime.extras import extra
from spred.runtime.places import give_matplotlib_a_place

if TYPE_CHECKING:
    from spred.compress.training.trainer import Epoch, Listener


@app.command()
def compress(
    out: options.Out,
    recipe: options.Recipe = None,
    demo: options.Demo = False,
    compare: options.Compare = False,
    resume: options.Resume = False,
    quiet: options.Quiet = False,
    tensorboard: options.TensorBoard = None,
) -> None:
    """Make a network smaller and faster at the same accuracy, with a report."""
    if demo == (recipe is not None):
        raise typer.BadParameter("give a recipe, or --demo", param_hint="RECIPE")
    with reported_errors("--resume") as ending:
        extra("torch")
        give_matplotlib_a_place()
        from spred.compress import DEMO, read_recipe, run, with_peers
        from spred.compress.report.report import lines

        given = read_recipe(DEMO if recipe is None else recipe)
        with listener(quiet, tensorboard) as listen:
            outcome = run(with_peers(given) if compare else given, out, resume=resume, listen=listen)
        ending.written = out
        print_notes(Console(soft_wrap=True), [*lines(outcome), f"Report: {out / 'report.html'}"])


@contextmanager
def listener(quiet: bool, folder: Path | None) -> Iterator[Listener]:
    """Give what is called after each epoch: a bar or plain lines, a line as a stage ends, TensorBoard if asked for."""
    from spred.compress.runner import tensorboard
    from spred.runtime.progress import progress

    screen = Console(stderr=True, quiet=quiet)
    with ExitStack() as stack:
        advance = stack.enter_context(progress(screen, "epochs"))
        logs = None if folder is None else stack.enter_context(tensorboard(folder))

        def listen(epoch: Epoch) -> None:
            if epoch.number == epoch.last:
                say(screen, f"{epoch.stage}: loss {epoch.loss:.4f}, validation accuracy {epoch.validation:.2%}")
            advance(epoch.done, epoch.total)
            if logs is not None:
                logs(epoch)

        yield listen
