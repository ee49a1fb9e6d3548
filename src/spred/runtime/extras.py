"""Packages that only some users have: what is missing is said in one sentence, with its remedy."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from spred.errors import StateError

EXTRAS = {
    "safetensors": "compress",
    "safetensors.torch": "compress",
    "onnx": "compress",
    "onnxscript": "compress",
    "onnxruntime": "compress",
    "mlxtend.data": "demo",
    "torch.utils.tensorboard": "tensorboard",
}
"""Which extra of the distribution brings a module."""


def extra(module: str) -> Any:
    """Import a module of :data:`EXTRAS` and return it.

    Raises:
        StateError: it is not installed.

    >>> extra("safetensors.torch").__name__
    'safetensors.torch'
    """
    try:
        return import_module(module)
    except ImportError as err:
        raise StateError(
            f"{module} is not installed; it comes with pip install 'torch-spred[{EXTRAS[module]}]'"
        ) from err
