"""MNIST as tensors: pixels standardised as a whole, and a part of the training images held out for choices."""

from __future__ import annotations

import io
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from PIL import Image
from torch import Tensor

N_HELD_OUT = 5000

FOLDER = Path(os.environ.get("SPRED_DATA", Path(__file__).resolve().parents[3] / "shared" / "data"))
"""Where the data lie: ``SPRED_DATA``, or ``shared/data`` beside the checkout."""


@dataclass(frozen=True)
class Images:
    """Images, one a row, and their labels: to train on, to choose by, and to report on once."""

    train: tuple[Tensor, Tensor]
    validation: tuple[Tensor, Tensor]
    test: tuple[Tensor, Tensor]


def mnist() -> Images:
    """Return the 60,000 training images, the last 5,000 of them as validation images, and the 10,000 test images."""
    (x, y), test = _read("train"), _read("test")
    return Images((x[:-N_HELD_OUT], y[:-N_HELD_OUT]), (x[-N_HELD_OUT:], y[-N_HELD_OUT:]), test)


def _read(part: str) -> tuple[Tensor, Tensor]:
    table = pd.read_parquet(FOLDER / "images" / f"mnist-{part}.parquet")
    pixels = np.stack([np.array(Image.open(io.BytesIO(image["bytes"]))) for image in table["image"]])
    scaled = torch.as_tensor(pixels, dtype=torch.float32).flatten(1) / 255.0
    return (scaled - 0.1307) / 0.3081, torch.tensor(table["label"].tolist())
