"""What a study leaves in its folder: the tables for programs, and one page for people.

``genes.csv``, ``metrics.json``, ``predictions.csv``, ``model.json`` and ``run.json`` hold the numbers; ``report.html``
shows them. The words of the page are in ``words.py``, its look in ``report.html`` here and ``output/page.html``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from markupsafe import Markup

from spred.genes import words
from spred.genes.model import as_json, model_of
from spred.genes.scores import ClassScore
from spred.genes.study import Study, last_step
from spred.output import plots
from spred.output.folder import results_folder, run_record, write_json
from spred.output.html import inline, render

TEMPLATE = Path(__file__).with_name("report.html")
MOST_ROWS = 500  # genes in the page's table
MOST_IN_HEATMAP = 40


@dataclass(frozen=True)
class Heading:
    """A column of the page's gene table."""

    title: str
    is_name: bool = False


@dataclass(frozen=True)
class Cell:
    """A cell of the page's gene table: what is shown, what it is sorted by, its background."""

    text: str
    value: str
    is_name: bool = False
    tint: str = ""


@dataclass(frozen=True)
class Drawing:
    """A figure of the page."""

    svg: Markup
    caption: str


def write_study(study: Study, out: str | Path, *, arguments: Mapping[str, object] | None = None) -> Path:
    """Write the results of a study into the folder ``out``, all or nothing, and return its path.

    ``arguments`` go into run.json as they are. An earlier result of spred in ``out`` is replaced.

    Raises:
        FileError: ``out`` holds something else, or cannot be written.
    """
    run = run_record("genes", arguments or {}, seed=study.settings.seed)
    run["settings"], run["notes"] = asdict(study.settings), list(study.notes)
    with results_folder(out, run) as folder:
        study.genes.to_csv(folder / "genes.csv", index=False)
        predictions(study).to_csv(folder / "predictions.csv", index=False)
        write_json(folder / "metrics.json", metrics(study))
        write_json(folder / "model.json", as_json(model_of(study)))
        (folder / "report.html").write_text(page(study, run), encoding="utf-8")
    return Path(out)


def metrics(study: Study) -> dict[str, object]:
    """Return the numbers of a study as they stand in metrics.json."""
    expression, final = study.expression, last_step(study.model)
    return {
        "task": expression.task,
        "target": expression.target_name,
        **asdict(study.score),
        "classes": {c: int(np.sum(expression.target == c)) for c in expression.classes},
        "n_samples": len(expression.samples),
        "n_features": len(expression.genes),
        "n_selected": len(study.genes),
        "n_selected_folds": list(study.n_selected_folds),
        "alpha": float(final.alpha_),
        "certificate": {"gap": float(final.certificate_.gap), "kkt": float(final.certificate_.kkt)},
        "seconds": round(study.seconds, 3),
    }


def predictions(study: Study) -> pd.DataFrame:
    """Return one row a held-out prediction: sample, group, fold, true, predicted, a probability a class."""
    expression, parts = study.expression, []
    for number, fold in enumerate(study.nested.folds, start=1):
        part = pd.DataFrame({"sample": expression.samples[fold.test]})
        if expression.group is not None:
            part["group"] = expression.group[fold.test]
        part["fold"] = number
        part["true"], part["predicted"] = expression.target[fold.test], fold.predicted
        if fold.probabilities is not None:
            for j, c in enumerate(fold.estimator.classes_):
                part[f"prob_{c}"] = fold.probabilities[:, j]
        parts.append(part)
    return pd.concat(parts, ignore_index=True)


def page(study: Study, run: Mapping[str, object]) -> str:
    """Return the report as one HTML text."""
    shown = study.genes.head(MOST_ROWS)
    heads, rows = gene_rows(shown, n_folds=len(study.nested.folds))
    fold_heads, fold_rows = words.fold_rows(study)
    return render(
        TEMPLATE,
        name=study.expression.name,
        target=study.expression.target_name,
        size=words.size(study.expression),
        summary=words.summary(study),
        cards=words.cards(study),
        reading=words.reading(study),
        nothing=words.nothing(study),
        heads=heads,
        rows=rows,
        n_hidden=len(study.genes) - len(shown),
        figures=figures(study),
        fold_heads=fold_heads,
        fold_rows=fold_rows,
        notes=study.notes,
        methods=words.methods(study, run),
        made=words.made(study, run),
    )


def gene_rows(genes: pd.DataFrame, *, n_folds: int) -> tuple[list[Heading], list[list[Cell]]]:
    """Return headings and cells of the page's gene table; coefficients are tinted by sign and size."""
    coefficients = [c for c in genes.columns if c.startswith("std_coef")]
    largest = float(genes[coefficients].abs().to_numpy().max()) if len(genes) else 1.0
    names = [c for c in ("gene", "symbol") if c in genes.columns]
    titles = {"frequency": "in folds"}
    if len(coefficients) == 1:
        titles |= {coefficients[0]: "coefficient", "mean": "mean", "sd": "sd"}
        titles |= {c: c.replace("_", " in ", 1) for c in genes.columns if c.startswith("mean_")}
    else:
        titles |= {"strength": "strength"} | {c: c.removeprefix("std_coef_") for c in coefficients}
    headings = [Heading(c, is_name=True) for c in names] + [Heading(t) for t in titles.values()]
    rows = []
    for gene in genes.to_dict("records"):
        cells = [Cell(gene[c], value=gene[c], is_name=True) for c in names]
        for c in titles:
            text = f"{round(gene[c] * n_folds)} of {n_folds}" if c == "frequency" else f"{gene[c]:.3g}"
            background = tint(gene[c] / largest) if c in coefficients else ""
            cells.append(Cell(text, value=f"{gene[c]:.6g}", tint=background))
        rows.append(cells)
    return headings, rows


def tint(share: float) -> str:
    """Return a background colour: orange for positive, blue for negative, stronger for larger."""
    hue = "194,87,26" if share > 0 else "11,110,153"
    return f"rgba({hue},{0.35 * abs(share):.3f})" if share else ""


def figures(study: Study) -> dict[str, Drawing]:
    """Draw the figures of the page with their captions."""
    drawn = {
        "path": Drawing(inline(path_figure(study), "path"), words.PATH_CAPTION),
        "curve": Drawing(inline(curve_figure(study), "curve"), words.CURVE_CAPTION),
    }
    if isinstance(study.score, ClassScore):
        plot = plots.confusion_plot(np.array(study.score.confusion), study.expression.classes)
        drawn["held_out"] = Drawing(inline(plot, "confusion"), words.CONFUSION_CAPTION)
    else:
        held_out = predictions(study)
        true, predicted = held_out["true"].to_numpy(), held_out["predicted"].to_numpy()
        plot = plots.scatter_plot(true, predicted, what=study.expression.target_name)
        drawn["held_out"] = Drawing(inline(plot, "scatter"), words.SCATTER_CAPTION)
    if len(study.genes):
        drawn["heatmap"] = Drawing(inline(heatmap_figure(study), "heatmap"), words.HEATMAP_CAPTION)
    return drawn


def path_figure(study: Study) -> plots.Figure:
    """Draw the path of the final model in standardised coefficients; with several classes, their norm."""
    final = last_step(study.model)
    coefs = final.path_.coefs.reshape(len(final.path_.alphas), -1, final.path_.coefs.shape[-1])
    ever = np.flatnonzero((coefs != 0).any(axis=(0, 1)))
    coefs = coefs[:, :, ever] * study.model[:-1].transform(study.expression.values)[:, ever].std(axis=0)
    sizes = coefs[:, 0] if coefs.shape[1] == 1 else np.linalg.norm(coefs, axis=1)
    names = words.display_names(study.expression)[ever]
    return plots.path_plot(final.path_.alphas, sizes, list(names), chosen=float(final.alpha_))


def curve_figure(study: Study) -> plots.Figure:
    """Draw the inner cross-validation of the final model with the marks of the rules."""
    curve = last_step(study.model).curve_
    known = {"lowest": curve.index_min, "one standard error": curve.index_1se}
    reason = next((name for name, index in known.items() if index == curve.index), f"{study.settings.rule} genes")
    marks = {f"chosen: {reason}": curve.index, **{n: i for n, i in known.items() if i != curve.index}}
    return plots.curve_plot(
        curve.alphas,
        curve.mean,
        curve.se,
        curve.n_nonzero,
        marks={name: float(curve.alphas[index]) for name, index in marks.items()},
    )


def heatmap_figure(study: Study) -> plots.Figure:
    """Draw the strongest selected genes over all samples, as z-scores, samples in the order of the target."""
    expression = study.expression
    position = {gene: j for j, gene in enumerate(expression.genes)}
    chosen = np.array([position[g] for g in study.genes["gene"].head(MOST_IN_HEATMAP)])
    order = np.argsort(expression.target, kind="stable")
    values = study.model[:-1].transform(expression.values)[np.ix_(order, chosen)]
    scores = (values - values.mean(axis=0)) / values.std(axis=0)
    groups = list(expression.target[order])
    if not expression.classes:
        groups = [f"samples, by rising {expression.target_name}"] * len(order)
    return plots.heatmap(scores, list(words.display_names(expression)[chosen]), groups)
