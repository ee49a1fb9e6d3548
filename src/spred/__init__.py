"""spred: L1 sparsity wherever there is a gradient.

Public names are imported when first used, so ``import spred`` is quick and the linear models never load torch.

Source of the idea: Liu Ziyin and Zihao Wang, "spred: Solving L1 Penalty with SGD", ICML 2023, arXiv 2210.01212.
"""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_HOMES = {
    "Certificate": "spred.core.certificate",
    "ConvergenceWarning": "spred.errors",
    "FileError": "spred.errors",
    "GroupL1": "spred.nn",
    "InputError": "spred.errors",
    "L1": "spred.nn",
    "Loss": "spred.core.losses",
    "MACs": "spred.nn",
    "MissingPackageError": "spred.errors",
    "ModelReport": "spred.nn",
    "NetworkClassifier": "spred.estimators",
    "NetworkCox": "spred.estimators",
    "NetworkRegressor": "spred.estimators",
    "RegularizationPath": "spred.linear",
    "ResourceError": "spred.errors",
    "Solution": "spred.linear",
    "SparseClassifier": "spred.estimators",
    "SparseClassifierCV": "spred.estimators",
    "SparseCox": "spred.estimators",
    "SparseCoxCV": "spred.estimators",
    "SparseRegressor": "spred.estimators",
    "SparseRegressorCV": "spred.estimators",
    "SpredError": "spred.errors",
    "SpredOptimizer": "spred.nn",
    "SpredWarning": "spred.errors",
    "StabilitySelection": "spred.estimators",
    "StateError": "spred.errors",
    "Status": "spred.linear",
    "WorkerError": "spred.errors",
    "alpha_max": "spred.linear",
    "alpha_path": "spred.nn",
    "compress": "spred.compress",
    "concordance": "spred.estimators",
    "finalize": "spred.nn",
    "genes": "spred.genes",
    "inspect": "spred.nn",
    "nested_cv": "spred.estimators",
    "parametrize": "spred.nn",
    "path": "spred.linear",
    "penalty": "spred.nn",
    "prunable_weights": "spred.nn",
    "remove_parametrizations": "spred.nn",
    "shrink": "spred.nn",
    "solve": "spred.linear",
    "survival_target": "spred.linear",
}
"""Where each public name lives."""

__all__ = sorted([*_HOMES, "__version__"])


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'spred' has no attribute {name!r}")
    try:
        home = import_module(_HOMES[name])
    except ModuleNotFoundError as err:
        if err.name != "torch":
            raise
        from spred.errors import MissingPackageError

        raise MissingPackageError(f"spred.{name} needs PyTorch: pip install 'torch-spred[nn]'") from err
    value = home if home.__name__ == f"spred.{name}" else getattr(home, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
