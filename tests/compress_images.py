"""Small images for the tests of ``spred compress``: a bright bar of 8 × 8 pixels whose row tells the class."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image
from torch import nn

CLASSES = ("bottom", "middle", "top")


def bars(n: int, seed: int = 0, channels: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Return images ``(n, 8, 8[, channels])``, uint8, and labels 0, 1, 2."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(3, size=n)
    images = rng.integers(60, size=(n, 8, 8, channels), dtype=np.uint8)
    images[np.arange(n), 1 + 2 * labels] += 120
    return (images[..., 0] if channels == 1 else images), labels


def png(image: np.ndarray) -> bytes:
    """Return an image as the bytes of a PNG file."""
    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG")
    return file.getvalue()


def write_npz(path: Path, n: int = 240) -> Path:
    """Write training and test arrays."""
    (x, y), (x_test, y_test) = bars(n), bars(60, seed=1)
    np.savez(path, x_train=x, y_train=y, x_test=x_test, y_test=y_test)
    return path


def write_parquet(path: Path, n: int = 30, channels: int = 1) -> Path:
    """Write a table as on the hub: ``image`` {bytes, path}, ``label``."""
    images, labels = bars(n, channels=channels)
    cells = [{"bytes": png(image), "path": None} for image in images]
    pd.DataFrame({"image": cells, "label": labels}).to_parquet(path)
    return path


def recipe(folder: Path, **sections: dict[str, Any]) -> dict[str, Any]:
    """Return a recipe of a perceptron on the bars in ``folder``, each section updated by those given."""
    data = write_npz(folder / "bars.npz")
    base: dict[str, Any] = {
        "model": {"name": "mlp", "arguments": {"widths": (16,)}},
        "data": {"train": str(data), "test": str(data), "validation": 0.25},
        "penalty": {"alphas": [3e-3, 1e-2]},
        "train": {"epochs": 2, "sparse_epochs": 3, "refit_epochs": 1, "batch_size": 16},
        "device": "cpu",
    }
    for name, section in sections.items():
        base[name] = base[name] | section if isinstance(base.get(name), dict) else section
    return base


def convolutional(channels: int, n_classes: int) -> nn.Sequential:
    """Return a small network with batch norm, as a user's function of a recipe."""
    return nn.Sequential(
        *(nn.Conv2d(channels, 6, 3, padding=1, bias=False), nn.BatchNorm2d(6), nn.ReLU()),
        *(nn.Conv2d(6, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, n_classes)),
    )
