"""scikit-learn estimators on the exact engine; none of them imports torch.

base       what they share: checked input, target, loss, attributes
linear     one alpha, or alpha chosen by cross-validation on a path
selection  folds, the cross-validation curve, the rules
nested     an honest score around all of it
"""

from spred.estimators.linear import SparseClassifier, SparseClassifierCV, SparseRegressor, SparseRegressorCV
from spred.estimators.nested import NestedCV, nested_cv
from spred.estimators.selection import Curve

__all__ = [
    "Curve",
    "NestedCV",
    "SparseClassifier",
    "SparseClassifierCV",
    "SparseRegressor",
    "SparseRegressorCV",
    "nested_cv",
]
