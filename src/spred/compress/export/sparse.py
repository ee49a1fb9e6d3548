"""Sparse files: the nonzero values of a model and where they are, in a safetensors file without pickle.

The places of a tensor's nonzero values are written as a bitmap or, where that is shorter, in the code of Elias and Fano
(Peter Elias, "Efficient storage and retrieval by content and address of static files", Journal of the ACM 21, 1974):
the lower bits of each place as they are, the upper ones as a row of bits in which the i-th one stands at place
``upper_i + i``. That takes about ``2 + log2(1/density)`` bits for a nonzero, close to the least possible.

The file holds three kinds of tensors, all deflated. ``values.<dtype>``: the nonzero values of all tensors of that dtype
in order, all first bytes before all second ones, for the bytes with the exponents are much alike. ``places``: the bits
of all tensors in the same order; where whole groups are zero, they shrink further. ``table``: a row for each tensor
(JSON): its name, dtype, shape, number of values and code.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Mapping
from dataclasses import astuple, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from spred.compress.export.safetensors import read_tensors, write_tensors
from spred.errors import FileError

FORMAT = "spred sparse 1"

LEVEL = 9
"""Of zlib, its highest: files are written once; lower levels are faster and longer (``scripts/bench deployment``)."""


@dataclass(frozen=True)
class Row:
    """One tensor of the table.

    Attributes:
        name: as in the ``state_dict``.
        dtype: as torch writes it, ``"float32"``.
        shape: its shape.
        count: how many of its values are in the file.
        code: key of :data:`CODES`.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    count: int
    code: str

    @property
    def size(self) -> int:
        """Return the number of values with the zeros."""
        return int(np.prod(self.shape, dtype=np.int64))


def save_sparse(state: Mapping[str, Tensor], path: str | Path) -> None:
    """Write a ``state_dict`` without its zeros; :func:`load_sparse` gives it back bit by bit.

    Zeros with a sign become zeros without. Tensors with few zeros are written whole.
    """
    rows: list[Row] = []
    values: dict[str, list[Tensor]] = {}
    places = []
    for name, tensor in state.items():
        flat = tensor.detach().cpu().flatten()
        code, stored, bits = _shortest(flat)
        dtype = str(flat.dtype).removeprefix("torch.")
        rows.append(Row(name, dtype, tuple(tensor.shape), len(stored), code))
        values.setdefault(f"values.{dtype}", []).append(stored)
        places.append(bits.tobytes())
    tensors = {key: _deflated(_by_byte(torch.cat(parts))) for key, parts in values.items()}
    tensors["places"] = _deflated(b"".join(places))
    tensors["table"] = _deflated(json.dumps([astuple(row) for row in rows], separators=(",", ":")).encode())
    write_tensors(tensors, Path(path), {"format": FORMAT})


def load_sparse(path: str | Path) -> dict[str, Tensor]:
    """Return the ``state_dict`` of a file of :func:`save_sparse`, dense, for ``load_state_dict``.

    Raises:
        FileError: it cannot be read, or is no such file.

    >>> import tempfile
    >>> state = {"weight": torch.tensor([[0.0, 2.0], [0.0, 0.0]])}
    >>> place = Path(tempfile.mkdtemp()) / "small.safetensors"
    >>> save_sparse(state, place)
    >>> load_sparse(place)
    {'weight': tensor([[0., 2.],
            [0., 0.]])}
    """
    tensors, metadata = read_tensors(Path(path))
    if metadata.get("format") != FORMAT:
        raise FileError(f"{path}: this is no sparse file of spred; load it with safetensors.torch.load_file")
    table = json.loads(_inflated(tensors.pop("table")))
    places, at = np.frombuffer(_inflated(tensors.pop("places")), np.uint8), 0
    values = {key: _from_bytes(_inflated(tensor), key.partition(".")[2]) for key, tensor in tensors.items()}
    used = dict.fromkeys(values, 0)
    state = {}
    for row in (Row(name, dtype, tuple(shape), *rest) for name, dtype, shape, *rest in table):
        key = f"values.{row.dtype}"
        stored = values[key][used[key] : used[key] + row.count]
        n_bytes = CODES[row.code].n_bytes(row.count, row.size)
        flat = torch.zeros(row.size, dtype=stored.dtype)
        flat[torch.from_numpy(CODES[row.code].read(places[at : at + n_bytes], row.count, row.size))] = stored
        state[row.name] = flat.view(row.shape)
        used[key], at = used[key] + row.count, at + n_bytes
    return state


@dataclass(frozen=True)
class Code:
    """A way to write which of ``size`` values are there: ``count`` places, rising.

    Attributes:
        n_bytes: ``(count, size)`` → length of what ``write`` returns.
        write: ``(places, size)`` → bytes.
        read: ``(bytes, count, size)`` → places.
    """

    n_bytes: Callable[[int, int], int]
    write: Callable[[np.ndarray, int], np.ndarray]
    read: Callable[[np.ndarray, int, int], np.ndarray]


def _shortest(flat: Tensor) -> tuple[str, Tensor, np.ndarray]:
    """Return the code that takes the fewest bytes for one tensor, the values that it keeps, and the bits of places."""
    kept = flat.nonzero().flatten().numpy()
    coded = [(code, flat if code == "whole" else flat[kept], CODES[code].write(kept, len(flat))) for code in CODES]
    return min(coded, key=lambda one: one[1].nbytes + (len(zlib.compress(one[2].tobytes())) if len(one[2]) else 0))


def _by_byte(values: Tensor) -> bytes:
    """Return the bytes of values, all first ones before all second ones."""
    return values.view(torch.uint8).view(len(values), values.element_size()).T.contiguous().numpy().tobytes()


def _from_bytes(content: bytes, dtype: str) -> Tensor:
    """Return the values of :func:`_by_byte`."""
    kind: torch.dtype = getattr(torch, dtype)
    planes = torch.from_numpy(np.frombuffer(content, np.uint8).copy())
    return planes.view(kind.itemsize, len(planes) // kind.itemsize).T.flatten().view(kind)


def _deflated(content: bytes) -> Tensor:
    return torch.frombuffer(bytearray(zlib.compress(content, LEVEL)), dtype=torch.uint8)


def _inflated(stored: Tensor) -> bytes:
    return zlib.decompress(stored.numpy().tobytes())


def lower_bits(count: int, size: int) -> int:
    """Return how many bits of a place Elias and Fano write as they are: about ``log2(size/count)``."""
    return max(0, (size // max(count, 1)).bit_length() - 1)


def _fano_bytes(count: int, size: int) -> int:
    low = lower_bits(count, size)
    return _bytes(count * low) + _bytes(count + (size >> low)) if count else 0


def _write_fano(places: np.ndarray, size: int) -> np.ndarray:
    if not len(places):
        return np.zeros(0, np.uint8)
    low = lower_bits(len(places), size)
    lower = (places[:, None] >> np.arange(low)) & 1
    upper = np.zeros(len(places) + (size >> low), np.uint8)
    upper[(places >> low) + np.arange(len(places))] = 1
    return np.concatenate([np.packbits(lower.astype(np.uint8).ravel()), np.packbits(upper)])


def _read_fano(stored: np.ndarray, count: int, size: int) -> np.ndarray:
    if not count:
        return np.zeros(0, np.int64)
    low = lower_bits(count, size)
    start = _bytes(count * low)
    bits = np.unpackbits(stored[:start], count=count * low).reshape(count, low)
    lower = bits.astype(np.int64) @ (1 << np.arange(low, dtype=np.int64))
    ones = np.flatnonzero(np.unpackbits(stored[start:]))
    return ((ones - np.arange(count)) << low) + lower


def _write_bitmap(places: np.ndarray, size: int) -> np.ndarray:
    there = np.zeros(size, np.uint8)
    there[places] = 1
    return np.packbits(there)


def _read_bitmap(stored: np.ndarray, count: int, size: int) -> np.ndarray:
    return np.flatnonzero(np.unpackbits(stored, count=size))


def _bytes(n_bits: int) -> int:
    return -(-n_bits // 8)


CODES = {
    "whole": Code(
        lambda count, size: 0, lambda places, size: np.zeros(0, np.uint8), lambda stored, count, size: np.arange(size)
    ),
    "bitmap": Code(lambda count, size: _bytes(size), _write_bitmap, _read_bitmap),
    "elias-fano": Code(_fano_bytes, _write_fano, _read_fano),
}
"""Every code by the name that stands in the table; the first of the shortest is taken."""
