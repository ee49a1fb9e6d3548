"""``spred genes``, ``spred describe`` and ``spred predict``: from a file to a gene list, and on to new samples."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from rich.console import Console

from spred.cli import options
from spred.cli.app import app
from spred.cli.terminal import print_notes, reported_errors, say

if TYPE_CHECKING:
    from spred.genes import Study
    from spred.runtime.tasks import Store

MOST_PRINTED = 20
"""Genes listed in the terminal."""


def parse_rule(rule: str) -> str | int:
    """Read ``--rule``: short, 1se, min, or a number of genes."""
    if rule in ("short", "1se", "min"):
        return rule
    if rule.isdecimal() and int(rule) > 0:
        return int(rule)
    raise typer.BadParameter("give short, 1se, min, or the largest number of genes, such as 20", param_hint="--rule")


@app.command()
def genes(
    context: typer.Context,
    data: options.Data,
    out: options.Out,
    target: options.Target = None,
    time: options.Time = None,
    event: options.Event = None,
    labels: options.Labels = None,
    group: options.Group = None,
    log2: options.Log2 = None,
    task: options.TaskName = "auto",
    annotation: options.Annotation = None,
    collapse: options.CollapseWay = "none",
    covariates: options.Covariates = "",
    normalize: options.Normalize = "none",
    min_variance: options.MinVariance = 0.0,
    model: options.ModelName = "linear",
    l1_ratio: options.L1Ratio = 1.0,
    rule: options.Rule = "short",
    refit: options.Refit = True,
    n_alphas: options.NAlphas = 50,
    folds: options.Folds = 5,
    repeats: options.Repeats = 1,
    balanced: options.Balanced = True,
    seed: options.Seed = 0,
    jobs: options.Jobs = -1,
    stability: options.StabilityFlag = False,
    pfer: options.Pfer = 1.0,
    baselines: options.Baselines = False,
    permutations: options.NPermutations = 0,
    resume: options.Resume = False,
    backend: options.Backend = "processes",
) -> None:
    """Select genes that predict a column, with an honest score and a report."""
    chosen_rule = parse_rule(rule)
    check_survival(target, time, event)
    arguments = {name: str(v) if isinstance(v, Path) else v for name, v in context.params.items()}
    with reported_errors("--resume", "--jobs 1") as ending:
        from spred.genes import Settings, read, run_study, write_study
        from spred.runtime.folder import check_folder
        from spred.runtime.places import ensure_temporary, give_matplotlib_a_place
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
            ensure_temporary(store.folder)
            give_matplotlib_a_place()
            with progress(Console(stderr=True), "outer folds") as advance:
                study = run_study(expression, settings, n_jobs=jobs, store=store, on_fold=advance)
            print_notes(screen, study.notes[len(expression.notes) :])
            study = add_to_study(study, baselines, permutations, pfer if stability else None, jobs, store)
            ending.written = folder = write_study(study, out, arguments=arguments)
        print_study(screen, study)
        say(screen, f"Report: {folder / 'report.html'}")


def check_survival(target: str | None, time: str | None, event: str | None) -> None:
    """Survival needs a time and an event, and no other target."""
    if (time is None) != (event is None):
        raise typer.BadParameter("survival needs both columns, --time and --event", param_hint="--time / --event")
    if time is not None and target is not None:
        raise typer.BadParameter("give a target, or a time and an event, and not both", param_hint="--target")


def add_to_study(
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
def describe(data: options.Data, labels: options.Labels = None) -> None:
    """Say what is in a file: samples, genes, columns and their levels, range of the values."""
    with reported_errors():
        from spred.genes.io.describe import describe as describe_file
        from spred.genes.io.describe import sentences

        print_notes(Console(soft_wrap=True), sentences(describe_file(data, labels=labels)))


@app.command()
def predict(
    model: options.Model,
    data: options.NewData,
    out: options.Table = None,
    target: options.Truth = None,
    labels: options.Labels = None,
    log2: options.Log2 = None,
    annotation: options.Annotation = None,
) -> None:
    """Apply the model of an earlier spred genes to new samples."""
    with reported_errors():
        from spred.genes import apply_model
        from spred.genes.report.text import application_text
        from spred.report.spreadsheet import to_csv
        from spred.report.wording import printable
        from spred.runtime.files.atomic import write_text

        screen = Console(soft_wrap=True, stderr=out is None)
        found = apply_model(model, data, target=target, labels=labels, log2=log2, annotation=annotation)
        print_notes(screen, found.notes)
        table = to_csv(found.table)
        if out is None:
            typer.echo("\n".join(map(printable, table.split("\n"))) if sys.stdout.isatty() else table, nl=False)
        else:
            write_text(out, table)
        say(screen, application_text(found))
        if out is not None:
            say(screen, f"Predictions: {out}")


def print_study(screen: Console, study: Study) -> None:
    """Print the selected genes, the score beside guessing, and the certificate."""
    from spred.genes.report import robustness, text
    from spred.report.wording import printable

    say(screen, "")
    for gene in study.genes.head(MOST_PRINTED).to_dict("records"):
        name = f"{printable(gene['gene']):<20} {printable(gene.get('symbol', '')):<12}"
        say(screen, f"  {name} chosen in {gene['frequency']:4.0%} of folds   strength {gene['strength']:.3f}")
    if len(study.genes) > MOST_PRINTED:
        say(screen, f"  and {len(study.genes) - MOST_PRINTED} more in genes.csv")
    say(screen, "")
    say(screen, text.summary(study))
    for card in text.cards(study):
        say(screen, f"  {card.value:>14}  {card.label}")
    print_notes(screen, robustness.lines(study))
