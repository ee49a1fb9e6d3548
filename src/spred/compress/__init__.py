"""A smaller, faster model at the same accuracy (floor 5): train with spred, cut, refit, shrink, export, report.

The way through: :func:`read_recipe` checks a TOML file, :func:`run` does the rest and leaves a folder with the models,
the figures and a report. ``spred compress`` is these two.

recipe               what a run shall do
images, data         images from files; parts, batches, augmentation
models, penalised    the network; which of its weights go together
methods, train       spred and its peers; the one training loop, state what it keeps
study, runner        all models of a run and the choice among them; from recipe to folder
deliver              shrink, export (tensors, sparse, widths), measure, report (figures); record says what is handed on
"""

from spred.compress.export.shrunk import load_shrunk
from spred.compress.export.sparse import load_sparse
from spred.compress.models.zoo import MODELS
from spred.compress.recipe import DEMO, Recipe, read_recipe
from spred.compress.results import Outcome, Point
from spred.compress.runner import run
from spred.compress.training.methods import with_peers

__all__ = [
    "DEMO",
    "MODELS",
    "Outcome",
    "Point",
    "Recipe",
    "load_shrunk",
    "load_sparse",
    "read_recipe",
    "run",
    "with_peers",
]
