"""Tensors in safetensors files: the one place that reads and writes them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from spred.errors import FileError, first_line, where
from spred.runtime.extras import extra
from spred.runtime.files.limits import check_size


def write_tensors(tensors: Mapping[str, Tensor], path: Path, metadata: Mapping[str, str] | None = None) -> None:
    """Write tensors, those that share memory too, with the rights that other files get.

    (The library's own ``save_file`` refuses shared memory, and makes files that only their owner can read.)
    """
    copies = {
        name: tensor.detach().cpu().clone(memory_format=torch.contiguous_format) for name, tensor in tensors.items()
    }
    path.write_bytes(extra("safetensors.torch").save(copies, metadata=None if metadata is None else dict(metadata)))


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return the tensors of a file and its metadata; they stay as they are when the file changes.

    (The library's own are the file's pages in memory: whoever writes to the file changes them.)

    Raises:
        FileError: it cannot be read, or is larger than the memory.
    """
    extra("safetensors.torch")
    safetensors = extra("safetensors")
    with where(str(path)):
        try:
            if not path.is_file():
                raise FileError("cannot be read as safetensors: there is no such file")
            check_size(path.stat().st_size)
            with safetensors.safe_open(str(path), "pt") as file:
                metadata = file.metadata() or {}
                return {key: file.get_tensor(key).clone() for key in file.keys()}, metadata  # noqa: SIM118 (no mapping)
        except FileError:
            raise
        except OSError as err:
            raise FileError(f"cannot be read: {err.strerror or err}") from err
        except Exception as err:  # of the library, or of a torch that lacks a dtype: each has kinds of its own
            raise FileError(f"cannot be read as safetensors ({first_line(err)})") from err
