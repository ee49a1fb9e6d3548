"""A smaller, faster model at the same accuracy: train with spred, refit, shrink, export, report.

:func:`read_recipe` checks a TOML file, :func:`run` does the rest and leaves a folder with the models, the figures and a
report. ``spred compress`` is these two.

recipe      the settings of a run, and how they are read
ranges      what their values may be
data        images from files; parts, batches, augmentation
models      the networks that a recipe can name
training    penalties on a model, spred and its peers, the training loop, checkpoints
export      the smaller model as files; sizes and times
report      the page of a run, and what the terminal says
results     the records that are handed on
study       all models of a run, and the choice among them
runner      the public function: from a recipe to a results folder
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
