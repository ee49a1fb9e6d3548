"""The command ``spred``: parse, call, print, exit code. Nothing is computed here.

Exit codes: 0 done, 1 failure (one sentence on stderr), 2 wrong use, 130 stopped by the user. Heavy modules
are imported inside the commands, so that ``--help`` answers at once.
"""

from __future__ import annotations

import atexit
import os
import signal
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.console import Console

from spred import __version__
from spred.errors import SpredError

if TYPE_CHECKING:
    from spred.compress.training.trainer import Epoch, Listener
    from spred.genes import Study
    from spred.runtime.tasks import Store

app = typer.Typer(
    name="spred",
    help="Sparse models with L1: gene lists from expression data, smaller networks.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

STOPPED = 130  # the exit code of a process that Ctrl-C ended
MOST_PRINTED = 20  # genes listed in the terminal


def main() -> None:
    """Run the command line; the entry point of the console script."""
    try:
        with sentences():
            app(prog_name="spred")
    except SystemExit as end:
        if end.code == STOPPED:
            leave_at_once()
        raise


def leave_at_once() -> None:
    """End the process after its exit handlers (joblib removes its files there), without waiting for threads."""
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(STOPPED)


def show_version(asked: bool) -> None:
    """Print the version and leave."""
    if asked:
        typer.echo(f"spred {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Sparse models with L1: gene lists from expression data, smaller networks."""


def parse_rule(rule: str) -> str | int:
    """Read ``--rule``: short, 1se, min, or a number of genes."""
    if rule in ("short", "1se", "min"):
        return rule
    if rule.isdecimal() and int(rule) > 0:
        return int(rule)
    raise typer.BadParameter("give short, 1se, min, or the largest number of genes, such as 20", param_hint="--rule")


Data = Annotated[
    str,
    typer.Argument(metavar="DATA", help="CSV, TSV, Excel, parquet, .mat, .h5ad, GEO file or 10x folder; demo:tissue."),
]
NewData = Annotated[str, typer.Argument(metavar="DATA", help="New samples: any file that spred genes reads.")]
Model = Annotated[Path, typer.Argument(metavar="MODEL", help="The model.json of a results folder, or the folder.")]
Table = Annotated[Path | None, typer.Option(help="CSV file for the predictions. [default: the terminal]")]
Truth = Annotated[str | None, typer.Option(help="Column with the truth, for a score.")]
Out = Annotated[Path, typer.Option(help="Folder for the results; an earlier result there is replaced.")]
Target = Annotated[str | None, typer.Option(help="Column to predict. May be left out if there is only one.")]
Time = Annotated[str | None, typer.Option(help="Column of survival times, in the place of a target; with --event.")]
Event = Annotated[str | None, typer.Option(help="Column that says whether the event was seen: 1 or 0, dead or alive.")]
Labels = Annotated[Path | None, typer.Option(help="Second file: sample names and their labels.")]
Annotation = Annotated[Path | None, typer.Option(help="GEO platform table (GPL97.annot.gz): symbols for the probes.")]
CollapseWay = Annotated[
    Literal["none", "mean", "variance"],
    typer.Option(help="Keep probes, or make one gene of them: their mean, or the one of largest variance."),
]
Covariates = Annotated[str, typer.Option(help="Columns to adjust for: age,sex,batch:levels.")]
Group = Annotated[str | None, typer.Option(help="Column of patients, say: one group is never split across folds.")]
Log2 = Annotated[bool | None, typer.Option("--log2/--no-log2", help="Scale of the values. [default: by their range]")]
TaskName = Annotated[
    Literal["auto", "classification", "regression"],
    typer.Option(help="Predict a class or a number; auto: a number if there are many distinct ones."),
]
Rule = Annotated[str, typer.Option(help="How the penalty is chosen: short, 1se, min, or at most so many genes.")]
Refit = Annotated[bool, typer.Option("--refit/--no-refit", help="Fit the chosen genes again without the L1 shrinkage.")]
NAlphas = Annotated[int, typer.Option(min=2, help="Penalties on the path.")]
Folds = Annotated[int, typer.Option(min=2, help="Outer and inner folds.")]
Repeats = Annotated[int, typer.Option(min=1, help="Make the outer folds so many times, with other seeds.")]
Normalize = Annotated[
    Literal["none", "quantile"], typer.Option(help="Bring samples to one distribution, learned inside the folds.")
]
MinVariance = Annotated[
    float, typer.Option(min=0.0, max=0.99, help="Share of the genes, those that vary least, left out in each fold.")
]
L1Ratio = Annotated[float, typer.Option(help="Share of L1 in the penalty; below 1 keeps more genes that go together.")]
ModelName = Annotated[str, typer.Option(help="linear, or network: an MLP beside it, one gate for each gene.")]
Resume = Annotated[bool, typer.Option("--resume", help="Go on where a stopped run with the same --out ended.")]
Backend = Annotated[
    Literal["processes", "dask"],
    typer.Option(help="What runs the jobs; dask: the cluster of DASK_SCHEDULER_ADDRESS, or a local one."),
]
Balanced = Annotated[bool, typer.Option("--balanced/--unbalanced", help="Weigh every class alike, or every sample.")]
Seed = Annotated[int, typer.Option(min=0, help="Seed of the splits.")]
Jobs = Annotated[int, typer.Option(help="Folds fitted at the same time; -1 uses every core.")]

StabilityFlag = Annotated[
    bool, typer.Option("--stability", help="Add the stable list: genes that halves select again.")
]
Pfer = Annotated[float, typer.Option(help="False genes to accept in the stable list, on average.")]
Baselines = Annotated[bool, typer.Option("--baselines", help="Add L1 at its best and a univariate filter, same folds.")]
NPermutations = Annotated[int, typer.Option("--permutations", min=0, help="Add a p-value from so many permutations.")]

Recipe = Annotated[Path | None, typer.Argument(metavar="RECIPE", help="TOML file: model, data, penalty, training.")]
Demo = Annotated[bool, typer.Option("--demo", help="In the place of a recipe: LeNet-5 on 5,000 MNIST digits.")]
Compare = Annotated[bool, typer.Option("--compare", help="Add magnitude pruning, plain L1 and, if installed, PAT.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="Show no progress.")]
TensorBoard = Annotated[Path | None, typer.Option(help="Folder for TensorBoard logs.")]


@app.command()
def genes(
    context: typer.Context,
    data: Data,
    out: Out,
    target: Target = None,
    time: Time = None,
    event: Event = None,
    labels: Labels = None,
    group: Group = None,
    log2: Log2 = None,
    task: TaskName = "auto",
    annotation: Annotation = None,
    collapse: CollapseWay = "none",
    covariates: Covariates = "",
    normalize: Normalize = "none",
    min_variance: MinVariance = 0.0,
    model: ModelName = "linear",
    l1_ratio: L1Ratio = 1.0,
    rule: Rule = "short",
    refit: Refit = True,
    n_alphas: NAlphas = 50,
    folds: Folds = 5,
    repeats: Repeats = 1,
    balanced: Balanced = True,
    seed: Seed = 0,
    jobs: Jobs = -1,
    stability: StabilityFlag = False,
    pfer: Pfer = 1.0,
    baselines: Baselines = False,
    permutations: NPermutations = 0,
    resume: Resume = False,
    backend: Backend = "processes",
) -> None:
    """Select genes that predict a column, with an honest score and a report."""
    chosen_rule = parse_rule(rule)
    check_survival(target, time, event)
    arguments = {name: str(v) if isinstance(v, Path) else v for name, v in context.params.items()}
    with sentences():
        from spred.genes import Settings, read, run_study, write_study
        from spred.runtime.folder import check_folder
        from spred.runtime.progress import progress
        from spred.runtime.tasks import unfinished_work, workers

        screen = Console(soft_wrap=True)
        check_folder(out)
        settings = Settings(
            rule=chosen_rule,
            refit=refit,
            n_alphas=n_alphas,
            folds=folds,
            repeats=repeats,
            seed=seed,
            class_weight="balanced" if balanced else None,
            normalize=normalize,
            min_variance=min_variance,
            model=model,
            l1_ratio=l1_ratio,
        )
        expression = read(
            data,
            target=time or target,
            event=event,
            group=group,
            labels=labels,
            log2="auto" if log2 is None else log2,
            task=task,
            annotation=annotation,
            collapse=collapse,
            covariates=[name.strip() for name in covariates.split(",") if name.strip()],
        )
        print_notes(screen, expression.notes)
        with unfinished_work(out, resume=resume) as store, workers(backend):
            with progress(Console(stderr=True), "outer folds") as advance:
                study = run_study(expression, settings, n_jobs=jobs, store=store, on_fold=advance)
            print_notes(screen, study.notes[len(expression.notes) :])
            study = add_evidence(study, baselines, permutations, pfer if stability else None, jobs, store)
            folder = write_study(study, out, arguments=arguments)
        print_study(screen, study)
        say(screen, f"Report: {folder / 'report.html'}")


def check_survival(target: str | None, time: str | None, event: str | None) -> None:
    """Survival needs a time and an event, and no other target."""
    if (time is None) != (event is None):
        raise typer.BadParameter("survival needs both columns, --time and --event", param_hint="--time / --event")
    if time is not None and target is not None:
        raise typer.BadParameter("give a target, or a time and an event, and not both", param_hint="--target")


def add_evidence(
    study: Study, baselines: bool, permutations: int, pfer: float | None, jobs: int, store: Store
) -> Study:
    """Add what was asked for: baselines, permuted labels, stability selection (if ``pfer`` is given)."""
    from spred.genes import add_baselines, add_permutations, add_stability
    from spred.runtime.progress import progress

    screen = Console(stderr=True)
    if baselines:
        study = add_baselines(study, n_jobs=jobs, store=store)
    if permutations:
        with progress(screen, "permutations") as advance:
            study = add_permutations(study, permutations, n_jobs=jobs, store=store, on_permutation=advance)
    if pfer is not None:
        with progress(screen, "halves") as advance:
            study = add_stability(study, pfer=pfer, n_jobs=jobs, store=store, on_half=advance)
    return study


@app.command()
def describe(data: Data, labels: Labels = None) -> None:
    """Tell what is in a file: samples, genes, columns and their levels, range of the values."""
    with sentences():
        from spred.genes.io.describe import describe as look
        from spred.genes.io.describe import sentences as lines

        print_notes(Console(soft_wrap=True), lines(look(data, labels=labels)))


@app.command()
def predict(
    model: Model,
    data: NewData,
    out: Table = None,
    target: Truth = None,
    labels: Labels = None,
    log2: Log2 = None,
    annotation: Annotation = None,
) -> None:
    """Apply the model of an earlier spred genes to new samples."""
    with sentences():
        from spred.genes import apply_model
        from spred.genes.report import text as words
        from spred.runtime.folder import write_text

        screen = Console(soft_wrap=True, stderr=out is None)
        found = apply_model(model, data, target=target, labels=labels, log2=log2, annotation=annotation)
        print_notes(screen, found.notes)
        text = found.table.to_csv(index=False)
        if out is None:
            typer.echo(text, nl=False)
        else:
            write_text(out, text)
        say(screen, words.applied(found))
        if out is not None:
            say(screen, f"Predictions: {out}")


@app.command()
def compress(
    out: Out,
    recipe: Recipe = None,
    demo: Demo = False,
    compare: Compare = False,
    resume: Resume = False,
    quiet: Quiet = False,
    tensorboard: TensorBoard = None,
) -> None:
    """Make a network smaller and faster at the same accuracy, with a report."""
    if demo == (recipe is not None):
        raise typer.BadParameter("give a recipe, or --demo", param_hint="RECIPE")
    with sentences():
        from spred.compress import DEMO, read_recipe, run, with_peers
        from spred.compress.report.words import lines

        given = read_recipe(DEMO if recipe is None else recipe)
        with listener(quiet, tensorboard) as listen:
            outcome = run(with_peers(given) if compare else given, out, resume=resume, listen=listen)
        print_notes(Console(soft_wrap=True), [*lines(outcome), f"Report: {out / 'report.html'}"])


@contextmanager
def listener(quiet: bool, folder: Path | None) -> Iterator[Listener]:
    """Give what is told of each epoch: a bar or plain lines, a line as a stage ends, TensorBoard if asked for."""
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


def print_notes(screen: Console, notes: Iterable[str]) -> None:
    """Print what was decided, a line each."""
    for note in notes:
        say(screen, note)


def print_study(screen: Console, study: Study) -> None:
    """Print the selected genes, the score beside guessing, and the certificate."""
    from spred.genes.report import evidence
    from spred.genes.report import text as words

    say(screen, "")
    for gene in study.genes.head(MOST_PRINTED).to_dict("records"):
        name = f"{gene['gene']:<20} {gene.get('symbol', ''):<12}"
        say(screen, f"  {name} chosen in {gene['frequency']:4.0%} of folds   strength {gene['strength']:.3f}")
    if len(study.genes) > MOST_PRINTED:
        say(screen, f"  and {len(study.genes) - MOST_PRINTED} more in genes.csv")
    say(screen, "")
    say(screen, words.summary(study))
    for card in words.cards(study):
        say(screen, f"  {card.value:>14}  {card.label}")
    print_notes(screen, evidence.lines(study))


def say(screen: Console, text: str) -> None:
    """Print a line as it is: names of genes are not markup."""
    screen.print(text, markup=False, highlight=False, emoji=False)


@contextmanager
def sentences() -> Iterator[None]:
    """Turn what goes wrong into a sentence on stderr and an exit code; SPRED_DEBUG=1 shows the traceback.

    Ctrl-C reaches worker processes too, and their end may be noticed as an error first: it is a stop all the same.
    """
    asked: list[int] = []

    def interrupt(number: int, frame: FrameType | None) -> None:
        asked.append(number)
        signal.default_int_handler(number, frame)

    ours = threading.current_thread() is threading.main_thread()
    before = signal.signal(signal.SIGINT, interrupt) if ours else None
    try:
        yield
    except (KeyboardInterrupt, Exception) as err:
        if asked or isinstance(err, KeyboardInterrupt):
            typer.echo("Stopped. No results were written; what is finished is kept for --resume.", err=True)
            sys.exit(STOPPED)
        if os.environ.get("SPRED_DEBUG"):
            raise
        typer.echo(f"Error: {sentence(err)}", err=True)
        sys.exit(1)
    finally:
        if ours:
            signal.signal(signal.SIGINT, before)


def sentence(err: Exception) -> str:
    """Say what went wrong: in spred's own words, in the system's, or that it is a mistake of ours."""
    if isinstance(err, SpredError):
        return str(err)
    if isinstance(err, OSError):
        place = f"{err.filename}: " if err.filename else ""
        return f"{place}{err.strerror or err}"
    kind = f"{type(err).__name__}: {err}".splitlines()[0]
    return f"a mistake in spred ({kind}); run again with SPRED_DEBUG=1 to see where, and please report it"
