"""Expression data from the lab's file to a named gene list with an honest score.

:func:`read` makes an :class:`Expression`, :func:`run_study` scores and selects, :func:`write_study` leaves the tables
and the report in a folder. ``spred genes`` does these three in a row. :func:`describe` says what a file holds before,
and :func:`apply_model` predicts new samples after.

io           files become tables; the only part that knows formats of data
data         the records of a study's input, and what is done to values before any model
study        scores, selections, and what is added to them
report       what a study leaves: files and a page
saved_model  a fitted study as plain numbers: what model.json holds
application  a saved model on new samples
"""

from spred.genes.application import Application
from spred.genes.data.expression import Expression
from spred.genes.io.describe import Description, describe
from spred.genes.io.new_samples import apply_model, load_model
from spred.genes.io.readers import read
from spred.genes.report.report import write_study
from spred.genes.saved_model import GeneModel
from spred.genes.study.baselines import add_baselines
from spred.genes.study.permutations import add_permutations
from spred.genes.study.settings import Settings
from spred.genes.study.stability import add_stability
from spred.genes.study.study import Study, run_study

__all__ = [
    "Application",
    "Description",
    "Expression",
    "GeneModel",
    "Settings",
    "Study",
    "add_baselines",
    "add_permutations",
    "add_stability",
    "apply_model",
    "describe",
    "load_model",
    "read",
    "run_study",
    "write_study",
]
