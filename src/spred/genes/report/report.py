"""What a study leaves in its folder: the tables for programs, and one page for people.

``genes.csv``, ``metrics.json``, ``predictions.csv``, ``model.json`` and ``run.json`` hold the numbers; ``report.html``
shows them. The words of the page are in ``words.py``, its look in ``report.html`` here and ``output/page.html``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pandas as pd
from markupsafe import Markup

from spred.genes.data.survival import kaplan_meier
from spred.genes.io.matrices import write_h5ad
from spred.genes.report import evidence, methods
from spred.genes.report import text as words
from spred.genes.saved_model import as_json, model_of
from spred.genes.study.folds import support
from spred.genes.study.models import find_model
from spred.genes.study.scores import ClassScore, NumberScore, by_risk
from spred.genes.study.study import Study
from spred.report import plots
from spred.report.html import inline, render
from spred.runtime.folder import results_folder, run_record, write_json

TEMPLATE = Path(__file__).with_name("report.html")
MOST_ROWS = 500  # genes in the page's table
MOST_IN_HEATMAP = 40
SYMBOL = re.compile(r"[A-Z][A-Z0-9]*(-[A-Z0-9]+)*|C[0-9XY]+orf[0-9]+", re.ASCII)
NUMBERED = re.compile(r"[A-Z]+[0-9]+", re.ASCII)  # V6185: where all names are so, they are those of columns
NCBI = "https://www.ncbi.nlm.nih.gov/gene/?term="
DIGITS = {"p_value": 2, "q_value": 2}  # significant ones, where they are not three


@dataclass(frozen=True)
class Heading:
    """A column of the page's gene table."""

    title: str
    is_name: bool = False


@dataclass(frozen=True)
class Cell:
    """A cell of the page's gene table: what is shown, what it is sorted by, its background, where a click leads."""

    text: str
    value: str
    is_name: bool = False
    tint: str = ""
    link: str = ""


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
        if study.stability is not None:
            study.stability.genes.to_csv(folder / "stable_genes.csv", index=False)
        predictions(study).to_csv(folder / "predictions.csv", index=False)
        write_json(folder / "metrics.json", metrics(study))
        write_json(folder / "model.json", as_json(model_of(study)))
        (folder / "report.html").write_text(page(study, run), encoding="utf-8")
        if study.expression.source.lower().endswith(".h5ad"):
            write_h5ad(Path(study.expression.source), folder / "genes.h5ad", study.expression.genes, columns(study))
    return Path(out)


def metrics(study: Study) -> dict[str, object]:
    """Return the numbers of a study as they stand in metrics.json."""
    expression, final = study.expression, study.model[-1]
    return {
        "task": expression.task,
        "target": expression.target_name,
        **({"event": expression.event_name} if expression.event_name else {}),
        **asdict(study.score),
        "classes": {c: int(np.sum(expression.target == c)) for c in expression.classes},
        "n_samples": len(expression.samples),
        "n_features": len(expression.genes),
        **({"n_events": int(expression.target["event"].sum())} if expression.task == "survival" else {}),
        "n_selected": len(study.genes),
        "n_selected_folds": list(study.n_selected_folds),
        "alpha": float(final.alpha_),
        "certificate": find_model(study.settings.model).proof(final),
        **evidence.numbers(study),
        "seconds": round(study.seconds, 3),
    }


def columns(study: Study) -> dict[str, np.ndarray]:
    """Return what is known of every gene of the study, for the ``var`` of an h5ad file."""
    selected = support(study.expression, study.model)
    found = {
        "spred_selected": selected,
        "spred_strength": np.linalg.norm(study.coefficients * study.scaled.std(axis=0), axis=0),
        "spred_frequency": np.mean([fold.support for fold in study.folds], axis=0),
    }
    return found if study.stability is None else {**found, "spred_stability": study.stability.frequency}


def predictions(study: Study) -> pd.DataFrame:
    """Return one row a held-out prediction: sample, group, repeat, fold, the truth, what was said.

    Repeats are numbered where there are several. For survival, ``time`` and ``event`` are true and ``risk`` is said.
    """
    expression, parts = study.expression, []
    for number, fold in enumerate(study.folds, start=1):
        part = pd.DataFrame({"sample": expression.samples[fold.test]})
        if expression.group is not None:
            part["group"] = expression.group[fold.test]
        if study.settings.repeats > 1:
            part["repeat"] = fold.repeat + 1
        part["fold"] = number
        true = expression.target[fold.test]
        if expression.task == "survival":
            part["time"], part["event"], part["risk"] = true["time"], true["event"].astype(int), fold.predicted
            part["risk_group"] = np.where(fold.predicted > fold.middle, "high", "low")
        else:
            part["true"], part["predicted"] = true, fold.predicted
        if fold.probabilities is not None:
            part = part.assign(**{f"prob_{c}": fold.probabilities[:, j] for j, c in enumerate(expression.classes)})
        parts.append(part)
    return pd.concat(parts, ignore_index=True)


def page(study: Study, run: Mapping[str, object]) -> str:
    """Return the report as one HTML text."""
    shown = study.genes.head(MOST_ROWS)
    heads, rows = gene_rows(shown, n_folds=len(study.folds), log2=study.expression.log2)
    compared_heads, compared = evidence.comparison(study)
    found = study.stability
    fold_heads, fold_rows = words.fold_rows(study)
    return render(
        TEMPLATE,
        name=study.expression.name,
        target=study.expression.target_name,
        size=words.size(study.expression),
        summary=words.summary(study),
        assurance=evidence.assurance(study),
        cards=words.cards(study),
        reading=words.reading(study),
        nothing=words.nothing(study),
        heads=heads,
        rows=rows,
        n_hidden=len(study.genes) - len(shown),
        figures=figures(study),
        stable=None if found is None else evidence.stable(study, found),
        stable_rows=[] if found is None else stable_rows(found.genes),
        agreement=evidence.agreement_text(study),
        compared_heads=compared_heads,
        compared=compared if study.baselines else [],
        permutations=evidence.permutation_text(study),
        fold_heads=fold_heads,
        fold_rows=fold_rows,
        notes=study.notes,
        methods=methods.paragraph(study, run),
        made=words.made(study, run),
    )


def gene_rows(genes: pd.DataFrame, *, n_folds: int, log2: bool = False) -> tuple[list[Heading], list[list[Cell]]]:
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
    known = {"difference": "log2 fold change" if log2 else "difference", "p_value": "p", "q_value": "q"}
    titles |= {c: t for c, t in known.items() if c in genes.columns}
    headings = [Heading(c, is_name=True) for c in names] + [Heading(t) for t in titles.values()]
    headings.append(Heading("neighbours", is_name=True))
    linked = not all(NUMBERED.fullmatch(name) for name in genes[names[-1]]) or names[-1] == "symbol"
    rows = []
    for gene in genes.to_dict("records"):
        cells = [Cell(gene[c], value=gene[c], is_name=True) for c in names]
        cells[-1] = replace(cells[-1], link=link(cells[-1].text) if linked else "")
        for c in titles:
            text = f"{round(gene[c] * n_folds)} of {n_folds}" if c == "frequency" else f"{gene[c]:.{DIGITS.get(c, 3)}g}"
            background = tint(gene[c] / largest) if c in coefficients else ""
            cells.append(Cell(text, value=f"{gene[c]:.6g}", tint=background))
        rows.append([*cells, Cell(gene["neighbours"], value=gene["neighbours"], is_name=True)])
    return headings, rows


def link(name: str) -> str:
    """Return where NCBI knows the gene of this symbol (or of several, ``MYC /// TP53``); nothing for a probe's name."""
    symbols = [symbol.strip() for symbol in name.split("///")]
    if not all(SYMBOL.fullmatch(symbol) for symbol in symbols):
        return ""
    return NCBI + quote(" OR ".join(f"{symbol}[sym]" for symbol in symbols))


def stable_rows(genes: pd.DataFrame) -> list[list[str]]:
    """Return the rows of the page's table of stable genes: name, frequency, in the list too, neighbours."""
    rows = []
    for gene in genes.to_dict("records"):
        name, again = str(gene.get("symbol") or gene["gene"]), "yes" if gene["in_list"] else "no"
        rows.append([name, f"{gene['frequency']:.0%}", again, gene["neighbours"]])
    return rows


def tint(share: float) -> str:
    """Return a background colour: orange for positive, blue for negative, stronger for larger."""
    hue = "194,87,26" if share > 0 else "11,110,153"
    return f"rgba({hue},{0.35 * abs(share):.3f})" if share else ""


def figures(study: Study) -> dict[str, Drawing]:
    """Draw the figures of the page with their captions."""
    drawn = {
        "path": Drawing(inline(path_figure(study), "path"), words.path_caption(study)),
        "curve": Drawing(inline(curve_figure(study), "curve"), words.CURVE_CAPTION),
    }
    if isinstance(study.score, ClassScore):
        plot = plots.confusion_plot(np.array(study.score.confusion), study.expression.classes)
        drawn["held_out"] = Drawing(inline(plot, "confusion"), words.confusion_caption(study))
        if len(study.expression.classes) == 2:
            drawn["roc"] = Drawing(inline(roc_figure(study), "roc"), evidence.ROC_CAPTION)
    elif isinstance(study.score, NumberScore):
        held_out = predictions(study)
        true, predicted = held_out["true"].to_numpy(), held_out["predicted"].to_numpy()
        plot = plots.scatter_plot(true, predicted, what=study.expression.target_name)
        drawn["held_out"] = Drawing(inline(plot, "scatter"), words.SCATTER_CAPTION)
    else:
        drawn["held_out"] = Drawing(
            inline(survival_figure(study, study.score.logrank_p), "survival"), words.SURVIVAL_CAPTION
        )
    if study.stability is not None:
        plot = plots.frequency_plot(
            study.stability.frequency,
            list(words.display_names(study.expression)),
            threshold=study.stability.threshold,
        )
        drawn["stability"] = Drawing(inline(plot, "stability"), evidence.STABILITY_CAPTION)
    if len(study.genes):
        drawn["heatmap"] = Drawing(inline(heatmap_figure(study), "heatmap"), words.HEATMAP_CAPTION)
    return drawn


def path_figure(study: Study) -> plots.Figure:
    """Draw the path of the final model, genes that are ever in it."""
    final, values = study.model[-1], study.model[:-1].transform(study.expression.design)
    sizes = find_model(study.settings.model).sizes(final, values)[:, : len(study.expression.genes)]
    ever = np.flatnonzero(sizes.any(axis=0))
    names = words.display_names(study.expression)[ever]
    what = "standardised coefficient" if study.settings.model == "linear" else "size of the gate"
    return plots.path_plot(final.path_.alphas, sizes[:, ever], list(names), chosen=float(final.alpha_), what=what)


def curve_figure(study: Study) -> plots.Figure:
    """Draw the inner cross-validation of the final model with the marks of the rules."""
    curve = study.model[-1].curve_
    known = {"lowest": curve.index_min, "one standard error": curve.index_1se}
    reason = next((name for name, index in known.items() if index == curve.index), f"rule {study.settings.rule}")
    marks = {f"chosen: {reason}": curve.index, **{n: i for n, i in known.items() if i != curve.index}}
    return plots.curve_plot(
        curve.alphas,
        curve.mean,
        curve.se,
        curve.n_nonzero - study.expression.n_free * find_model(study.settings.model).counts_free,
        marks={name: float(curve.alphas[index]) for name, index in marks.items()},
    )


def roc_figure(study: Study) -> plots.Figure:
    """Draw the ROC curve of each outer fold that holds samples of both classes."""
    from sklearn.metrics import roc_curve

    y, second = study.expression.target, study.expression.classes[1]
    held_out = [(y[f.test] == second, f.probabilities) for f in study.folds]
    curves = [roc_curve(true, p[:, 1])[:2] for true, p in held_out if p is not None and 0 < true.sum() < len(true)]
    return plots.roc_plot(curves, positive=second)


def survival_figure(study: Study, p: float | None) -> plots.Figure:
    """Draw the Kaplan–Meier curves of held-out samples of low and of high risk."""
    named = zip(("low risk", "high risk"), by_risk(study.folds, study.expression.target), strict=True)
    groups = [kaplan_meier(part, name) for name, part in named if len(part)]
    return plots.survival_plot(
        [(f"{g.name} ({g.n_samples}, {g.n_events} events)", g.time, g.alive, g.censored) for g in groups],
        time=study.expression.target_name,
        p=p,
    )


def heatmap_figure(study: Study) -> plots.Figure:
    """Draw the strongest selected genes over all samples, as z-scores, samples in the order of the target."""
    expression = study.expression
    position = {gene: j for j, gene in enumerate(expression.genes)}
    chosen = np.array([position[g] for g in study.genes["gene"].head(MOST_IN_HEATMAP)])
    target = expression.target["time"] if expression.task == "survival" else expression.target
    order = np.argsort(target, kind="stable")
    values = study.scaled[np.ix_(order, chosen)]
    scores = (values - values.mean(axis=0)) / values.std(axis=0)
    groups = list(expression.target[order])
    if not expression.classes:
        groups = [f"samples, by rising {expression.target_name}"] * len(order)
    return plots.heatmap(scores, list(words.display_names(expression)[chosen]), groups)
