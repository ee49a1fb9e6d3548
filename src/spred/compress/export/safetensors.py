"""Tensors in safetensors files: the one place that reads and writes them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from spred.errors import FileError
from spred.runtime.extras import extra


def write_tensors(tensors: Mapping[str, Tensor], path: Path, metadata: Mapping[str, str] | None = None) -> None:
    """Write tensors, those that share memory too, with the rights that other files get.

    (The library's own ``save_file`` refuses shared memory, and makes files that only their owner can read.)
    """
    copies = {
        name: tensor.detach().cpu().clone(memory_format=torch.contiguous_format) for name, tensor in tensors.items()
    }
    path.write_bytes(extra("safetensors.torch").save(copies, metadata=None if metadata is None else dict(metadata)))


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return the tensors of a file and its metadata.

    Raises:
        FileError: it cannot be read.
    """
    extra("safetensors.torch")
    safetensors = extra("safetensors")
    try:
        with safetensors.safe_open(str(path), "pt") as file:
            metadata = file.metadata() or {}
            return {key: file.get_tensor(key) for key in file.keys()}, metadata  # noqa: SIM118 (no mapping)
    except (OSError, safetensors.SafetensorError) as err:
        raise FileError(f"{path}: cannot be read as safetensors ({err})") from err
