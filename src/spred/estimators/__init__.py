"""scikit-learn estimators on the exact engines; none of them imports torch.

An estimator is a procedure, scaling included (``standardize=True``); an engine minimises an objective.

base              checked input, folds and samples of a fit; targets that are numbers or classes
inputs            what users bring, checked; times and complex numbers refused
cross_validation  folds, the curve of held-out deviances, the rules
alpha_search      the choice of alpha by cross-validation, for linear models and networks alike
linear_base       what the linear estimators share: one alpha, or alpha chosen on a path
linear            the linear estimators of numbers and classes
survival          targets that are survival times, and the linear estimators of them
repeats           samples that repeat, as one with the sum of their weights
network_base      what the network estimators share
network           networks that select their inputs: for classes, numbers and survival times
nested            an honest score around everything that an estimator chooses
stability         features that are selected again and again on halves of the samples
stability_bounds  how many features that are rarely selected may pass a threshold
metrics           scores that scikit-learn does not have
"""

from spred.estimators.cross_validation import Curve
from spred.estimators.linear import SparseClassifier, SparseClassifierCV, SparseRegressor, SparseRegressorCV
from spred.estimators.metrics import concordance
from spred.estimators.nested import NestedCV, nested_cv
from spred.estimators.network import NetworkClassifier, NetworkCox, NetworkRegressor
from spred.estimators.stability import StabilitySelection
from spred.estimators.survival import SparseCox, SparseCoxCV

__all__ = [
    "Curve",
    "NestedCV",
    "NetworkClassifier",
    "NetworkCox",
    "NetworkRegressor",
    "SparseClassifier",
    "SparseClassifierCV",
    "SparseCox",
    "SparseCoxCV",
    "SparseRegressor",
    "SparseRegressorCV",
    "StabilitySelection",
    "concordance",
    "nested_cv",
]
