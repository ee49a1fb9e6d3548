"""The page of a run, and what the terminal prints: what became smaller, at what accuracy, and how it was done."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from spred import __version__
from spred.compress.report import figures
from spred.compress.results import Outcome, Point, Sizes
from spred.nn.finalize import magnitude_plot
from spred.report.blocks import Card, Cell, Drawing, Table, drawing, headings, text_table
from spred.report.html import render

TEMPLATE = Path(__file__).with_name("report.html")

FRONTIER_CAPTION = (
    "Accuracy on validation images, which the model was chosen by; every dot is a model, cut and refitted. "
    "The dashed line is the dense model."
)
DENSITY_CAPTION = (
    "Weights that are not zero in each penalised layer of the chosen model; biases and norms are not drawn."
)
MAGNITUDE_CAPTION = (
    "How large the weights (or groups) were when zeros were made. Two clusters with a gap say that training had "
    "decided, and the threshold did not."
)
LOSS_CAPTION = "Mean loss of each epoch, without the penalty."
ACCURACY_CAPTION = "Validation accuracy after each epoch."

UNITS = ((1e9, "GB"), (1e6, "MB"), (1e3, "kB"))


def page(outcome: Outcome) -> str:
    """Return the report as one HTML text."""
    return render(
        TEMPLATE,
        title=f"{model_name(outcome)}, compressed",
        subtitle=subtitle(outcome),
        summary=summary(outcome),
        numbers=cards(outcome),
        frontier=frontier_table(outcome),
        sizes=size_table(outcome),
        speeds=speed_table(outcome),
        speed_text=speed_text(outcome),
        files=file_table(outcome),
        decided=outcome.notes,
        settings=settings_table(outcome.recipe),
        figures=drawings(outcome),
        made=made(outcome),
    )


def model_name(outcome: Outcome) -> str:
    """Return what the recipe calls the model."""
    return str(section(outcome, "model").get("name", "model"))


def subtitle(outcome: Outcome) -> str:
    """Say where the images came from."""
    source = section(outcome, "data").get("train")
    return f"Trained on {source}" if source else "A compressed model"


def section(outcome: Outcome, name: str) -> Mapping[str, Any]:
    """Return a section of the recipe; an empty one if there is none."""
    found = outcome.recipe.get(name)
    return found if isinstance(found, Mapping) else {}


def summary(outcome: Outcome) -> str:
    """Say the result in three sentences."""
    chosen = outcome.chosen
    weights, left = (sum(getattr(layer, key) for layer in chosen.layers) for key in ("weights", "nonzero"))
    what, here, there = accuracies(chosen, outcome.dense)
    sentences = [
        f"Of {weights:,} penalised weights {left:,} are left: {ratio(chosen.compression)} fewer.",
        f"On {what} images the model is right in {percent(here)}, the dense one in {percent(there)}.",
    ]
    if outcome.speeds:
        first = outcome.speeds[0]
        sentences.append(
            f"With its dead units cut out, it answers in {first.shrunk_ms:.3g} ms where the dense model takes "
            f"{first.dense_ms:.3g} ms."
        )
    return " ".join(sentences)


def accuracies(chosen: Point, dense: Point) -> tuple[str, float, float]:
    """Return which images were asked, and the two accuracies on them: test images where both have been."""
    if chosen.test is not None and dense.test is not None:
        return "test", chosen.test, dense.test
    return "validation", chosen.validation, dense.validation


def cards(outcome: Outcome) -> list[Card]:
    """Return the numbers to see first."""
    what, here, there = accuracies(outcome.chosen, outcome.dense)
    found = [
        Card(ratio(outcome.chosen.compression), f"fewer weights: {percent(outcome.chosen.density)} of them are left"),
        Card(percent(here), f"accuracy on {what} images; dense: {percent(there)}"),
    ]
    dense, sparse, shrunk = (outcome.sizes.get(name) for name in ("dense", "sparse", "shrunk"))
    if dense and shrunk:
        label = f"fewer multiply-adds: {shrunk.multiply_adds:,} for an image"
        found.append(Card(ratio(dense.multiply_adds / max(shrunk.multiply_adds, 1)), label))
    if outcome.speeds:
        first = outcome.speeds[0]
        label = f"faster in ONNX Runtime, one thread, batch of {first.batch}"
        found.append(Card(ratio(first.ratio), label))
    if dense and sparse and dense.bytes_dense and sparse.bytes_sparse:
        label = f"smaller on disk: {size_text(sparse.bytes_sparse)}, dense {size_text(dense.bytes_dense)}"
        found.append(Card(ratio(dense.bytes_dense / sparse.bytes_sparse), label))
    return found


def frontier_table(outcome: Outcome) -> Table:
    """Return one row for each model."""
    rows = []
    for point in outcome.points:
        test = Cell("–", "-1") if point.test is None else Cell(percent(point.test), f"{point.test:.6f}")
        mark = " (chosen)" if point == outcome.chosen else ""
        rows.append(
            (
                Cell(point.method + mark, point.method),
                Cell(str(point.seed), str(point.seed)),
                Cell(f"{point.alpha:.3g}" if point.alpha else "–", f"{point.alpha:.6g}"),
                Cell(f"{point.compression:.3g}×", f"{point.compression:.6g}"),
                Cell(percent(point.validation), f"{point.validation:.6f}"),
                test,
                Cell(f"{point.seconds:,.0f}", f"{point.seconds:.3f}"),
            )
        )
    heads = headings("method", "seed", "alpha", "compression", "validation", "test", "seconds")
    return Table(heads, tuple(rows), sortable=True)


SIZE_ROWS = {
    "parameters": "parameters",
    "nonzero": "not zero",
    "effective_parameters": "effective",
    "multiply_adds": "multiply-adds",
    "bytes_dense": "safetensors",
    "bytes_sparse": "sparse file",
    "bytes_onnx": "ONNX",
    "latency_ms": "latency",
}


def size_table(outcome: Outcome) -> Table:
    """Return one row for each measure, one column for each model."""
    names = [name for name in ("dense", "sparse", "shrunk") if name in outcome.sizes]
    rows = [
        (title, *(size_cell(outcome.sizes[name], key) for name in names))
        for key, title in SIZE_ROWS.items()
        if any(getattr(outcome.sizes[name], key) is not None for name in names)
    ]
    return text_table(headings("", *names), rows)


def size_cell(sizes: Sizes, key: str) -> str:
    """Return one measure as text."""
    value = getattr(sizes, key)
    if value is None:
        return "–"
    if key.startswith("bytes"):
        return size_text(value)
    return f"{value:.3g} ms" if key == "latency_ms" else f"{value:,}"


def speed_table(outcome: Outcome) -> Table:
    """Return one row for each size of batch."""
    rows = [
        (
            str(speed.batch),
            f"{speed.dense_ms:.3g} ms",
            f"{speed.shrunk_ms:.3g} ms",
            f"{speed.ratio:.2f}×",
            f"{speed.low:.2f}× to {speed.high:.2f}×",
            str(speed.runs),
        )
        for speed in outcome.speeds
    ]
    return text_table(headings("batch", "dense", "shrunk", "faster", "half of the pairs", "pairs", n_names=0), rows)


def speed_text(outcome: Outcome) -> str:
    """Say how times were taken."""
    if not outcome.speeds:
        return "Times were not taken: there is no ONNX file."
    return (
        "Times in ONNX Runtime on one thread. Dense and shrunk model ran in turn; the ratio is the median over pairs "
        "of runs, beside it the quartiles."
    )


def file_table(outcome: Outcome) -> Table:
    """Return one row for each file, with the difference that was found when it was loaded back."""
    rows = [(name, what, difference(outcome, name)) for name, what in outcome.files.items()]
    return text_table(headings("file", "what it is", "difference", n_names=2), rows)


def difference(outcome: Outcome, name: str) -> str:
    """Return what was found when a file was loaded back."""
    found = outcome.checks.get(name)
    return "–" if found is None else f"{found:.0e}" if found else "0"


def settings_table(recipe: Mapping[str, Any]) -> Table:
    """Return the recipe, a row for each key."""
    rows = [(key, "–" if value is None else str(value)) for key, value in flat(recipe)]
    return text_table(headings("setting", "value", n_names=2), rows, narrow=True)


def flat(recipe: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the keys of nested sections with dots between, and their values."""
    for key, value in recipe.items():
        if isinstance(value, Mapping) and value:
            yield from flat(value, f"{prefix}{key}.")
        else:
            listed = isinstance(value, Sequence) and not isinstance(value, str)
            yield f"{prefix}{key}", ", ".join(map(str, value)) if listed else value


def drawings(outcome: Outcome) -> dict[str, Drawing]:
    """Draw the figures of the page with their captions."""
    chosen = outcome.chosen
    plot = figures.frontier_plot(outcome.points, outcome.dense, chosen)
    drawn = {"frontier": drawing(plot, "frontier", FRONTIER_CAPTION)}
    layers = [layer for layer in chosen.layers if len(layer.shape) > 1] or chosen.layers
    if layers:
        drawn["density"] = drawing(figures.density_plot(layers), "density", DENSITY_CAPTION)
    if chosen.magnitudes is not None:
        found = chosen.magnitudes
        plot = magnitude_plot(found.zeroed, found.kept, found.thresholds)
        drawn["magnitudes"] = drawing(plot, "magnitudes", MAGNITUDE_CAPTION)
    if outcome.curves:
        drawn["loss"] = drawing(figures.loss_plot(outcome.curves), "loss", LOSS_CAPTION)
        drawn["accuracy"] = drawing(figures.accuracy_plot(outcome.curves), "accuracy", ACCURACY_CAPTION)
    return drawn


def made(outcome: Outcome) -> str:
    """Say what made the page, on which machine, and how long it took."""
    machine = ", ".join(f"{key.rpartition('.')[2]} {value}" for key, value in flat(outcome.machine))
    return f"spred {__version__}; {outcome.seconds:,.0f} s{f'; {machine}' if machine else ''}."


def lines(outcome: Outcome) -> list[str]:
    """Return what the terminal prints: the notes, a line for each model, and the figures of the chosen one."""
    models = [line(point, chosen=point == outcome.chosen) for point in outcome.points]
    numbers = [f"  {card.value:>9}  {card.label}" for card in cards(outcome)]
    return [*outcome.notes, "", *models, "", *numbers]


def line(point: Point, *, chosen: bool) -> str:
    """Return the line of one model."""
    test = "" if point.test is None else f"   test {percent(point.test):>7}"
    accuracy = f"validation {percent(point.validation):>7}{test}"
    return f"  {point.method:<12} {ratio(point.compression):>7}   {accuracy}{'   chosen' if chosen else ''}"


def ratio(value: float) -> str:
    """Return a factor with two or three digits."""
    return f"{value:.0f}×" if value >= 100 else f"{value:.3g}×"


def percent(fraction: float) -> str:
    """Return a fraction as a percentage with two decimals."""
    return f"{100 * fraction:.2f} %"


def size_text(n_bytes: int) -> str:
    """Return a size on disk in decimal units."""
    for unit, name in UNITS:
        if n_bytes >= unit:
            return f"{n_bytes / unit:.3g} {name}"
    return f"{n_bytes} bytes"
