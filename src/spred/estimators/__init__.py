"""scikit-learn estimators on the exact engine; none of them imports torch.

base       what they share: checked input, target, loss, attributes
fitting    one alpha, or alpha chosen by cross-validation on a path
linear     numbers and classes
survival   times, some of them censored
selection  folds, the cross-validation curve, the rules
network    networks that select their inputs; gating holds what they share
nested     an honest score around all of it
stability  features that are selected again and again on halves; tails holds its bounds
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
