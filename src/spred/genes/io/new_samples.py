"""The files of a prediction: a saved model, and new samples in any format that :func:`spred.genes.read` reads."""

from __future__ import annotations

from pathlib import Path

from spred.errors import FileError, where
from spred.genes.application import Application, predict_samples
from spred.genes.io.readers import annotated, read_sheet, read_with_sheet, readable
from spred.genes.io.tables import Request
from spred.genes.saved_model import GeneModel, parse
from spred.runtime.folder import read_json


def load_model(path: str | Path) -> GeneModel:
    """Read the model of an earlier study.

    Args:
        path: a model.json, or the results folder that holds it.

    Returns:
        The :class:`~spred.genes.saved_model.GeneModel`: k genes, and coefficients for standardised or raw values as the
        study had them.

    Raises:
        FileError: the file is missing, damaged, or no model of a gene study of spred.

    >>> import tempfile
    >>> from spred.genes import Settings, read, run_study, write_study
    >>> study = run_study(read("demo:tissue"), Settings(rule=20, n_alphas=5, folds=2))
    >>> model = load_model(write_study(study, Path(tempfile.mkdtemp()) / "out"))
    >>> model.genes == study.expression.genes[study.model[-1].get_support()].tolist()
    True
    """
    path = Path(path)
    path = path / "model.json" if path.is_dir() else path
    with where(str(path)), readable(path):
        try:
            content = read_json(path)
        except FileError as err:
            raise FileError(f"this is no model of spred: it {err}; give the model.json of a results folder") from err
        return parse(content)


def apply_model(
    model: GeneModel | str | Path,
    data: str | Path,
    *,
    target: str | None = None,
    labels: str | Path | None = None,
    log2: bool | None = None,
    annotation: str | Path | None = None,
) -> Application:
    """Predict new samples, and score the predictions where the truth is known.

    Args:
        model: a model, its model.json, or the results folder.
        data: a file that :func:`spred.genes.read` reads; its genes are matched by name.
        target: the column with the truth, for a score.
        labels: a second file with the sample table.
        log2: take the values to log2; by default what the model did, if the values' range agrees.
        annotation: the platform's table, where the model's genes are means of probes and the data hold probes.

    Returns:
        The :class:`~spred.genes.application.Application`: a row for each of the n samples, and the score.

    Raises:
        FileError: a file is missing, broken, or of another format than its name says.
        InputError: genes of the model are missing, the scale is another one, or a score is asked for on samples
            that the selection saw.

    >>> from spred.genes import Settings, read, run_study
    >>> from spred.genes.saved_model import model_of
    >>> model = model_of(run_study(read("demo:tissue"), Settings(rule="1se", n_alphas=5, folds=2)))
    >>> apply_model(model, "demo:tissue").table["predicted"].value_counts().idxmax()
    'kidney'
    """
    model = model if isinstance(model, GeneModel) else load_model(model)
    sheet = read_sheet(labels)
    with where(str(data)):
        names = tuple(name for name, _ in model.covariates)
        event = model.event if target is not None and model.event else None
        request = Request(target=target, event=event, labels=sheet, covariates=names, genes=frozenset(model.genes))
        table = annotated(read_with_sheet(data, request, sheet), annotation)
        return predict_samples(model, table, target=target, log2=log2)
