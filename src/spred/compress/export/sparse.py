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
from dataclasses import astuple, dataclass, fields
from math import prod
from pathlib import Path
from reprlib import repr as short

import numpy as np
import torch
from torch import Tensor

from spred.compress.export.safetensors import read_tensors, write_tensors
from spred.errors import FileError, InputError, first_line, where
from spred.runtime.files.limits import check_size

FORMAT = "spred sparse 1"

LEVEL = 9
"""Of zlib, its highest: files are written once; lower levels are faster and longer (``scripts/bench deployment``)."""


LARGEST_TABLE = 2**26
"""Bytes of a table that is read: a million tensors. More, and a small file of another origin can fill the memory; less,
and a model of very many tensors is refused."""

DTYPES = {
    str(kind).removeprefix("torch."): kind
    for kind in (
        *(torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.complex64, torch.complex128),
        *(torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64, torch.bool),
        *(torch.float8_e4m3fn, torch.float8_e5m2, torch.uint16, torch.uint32, torch.uint64),
    )
}
"""Kinds of numbers that a file may hold, by their names in the table."""

SAME_BITS = {
    **dict.fromkeys((torch.float8_e4m3fn, torch.float8_e5m2), torch.uint8),
    torch.uint16: torch.int16,
    torch.uint32: torch.int32,
    torch.uint64: torch.int64,
}
"""What stands for a kind in which torch finds no zeros, for it has next to no operations."""


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
        return prod(self.shape)


def save_sparse(state: Mapping[str, Tensor], path: str | Path) -> None:
    """Write a ``state_dict`` without its zeros; :func:`load_sparse` gives it back bit by bit.

    Zeros with a sign become zeros without. Tensors with few zeros are written whole.

    Raises:
        InputError: a tensor has numbers of a kind that :data:`DTYPES` does not have.
    """
    rows: list[Row] = []
    values: dict[str, list[Tensor]] = {}
    places = []
    for name, tensor in state.items():
        dtype = str(tensor.dtype).removeprefix("torch.")
        if dtype not in DTYPES:
            raise InputError(f"{name!r} has numbers of {tensor.dtype}, which a sparse file does not hold")
        code, stored, bits = _shortest(tensor.detach().cpu().flatten().view(_raw(tensor.dtype)))
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
    with where(str(path)):
        if metadata.get("format") != FORMAT:
            raise FileError("this is no sparse file of spred; load it with safetensors.torch.load_file")
        rows = _rows(_part(tensors, "table", LARGEST_TABLE, exactly=False))
        check_size(sum(row.size * DTYPES[row.dtype].itemsize for row in rows), "the whole model")
        places = np.frombuffer(_part(tensors, "places", sum(_length(row) for row in rows)), np.uint8)
        counts = dict.fromkeys((row.dtype for row in rows), 0)
        for row in rows:
            counts[row.dtype] += row.count
        values = {dtype: _values(tensors, dtype, count) for dtype, count in counts.items()}
        used, at = dict.fromkeys(counts, 0), 0
        state = {}
        for row in rows:
            stored = values[row.dtype][used[row.dtype] : used[row.dtype] + row.count]
            state[row.name] = _whole(row, stored, places[at : at + _length(row)])
            used[row.dtype], at = used[row.dtype] + row.count, at + _length(row)
    return state


def _whole(row: Row, stored: Tensor, bits: np.ndarray) -> Tensor:
    """Return a tensor with its zeros."""
    index = CODES[row.code].read(bits, row.count, row.size)
    if len(index) != row.count or (row.count and not (index[0] >= 0 and index[-1] < row.size)):
        raise FileError(f"the places of {row.name!r} are not those of {row.count:,} values; the file is damaged")
    if (np.diff(index) <= 0).any():
        raise FileError(f"the places of {row.name!r} do not rise; the file is damaged")
    flat = torch.zeros(row.size, dtype=stored.dtype)
    flat[torch.from_numpy(index)] = stored
    return flat.view(DTYPES[row.dtype]).view(row.shape)


def _raw(kind: torch.dtype) -> torch.dtype:
    return SAME_BITS.get(kind, kind)


def _rows(table: bytes) -> list[Row]:
    """Return the rows of a table, each with a dtype, a shape and a code that there are."""
    try:
        listed = json.loads(table)
    except (ValueError, RecursionError) as err:
        raise FileError(f"its table is no JSON ({first_line(err)}); the file is damaged") from err
    if not isinstance(listed, list):
        raise FileError("its table is no list of tensors; the file is damaged")
    rows = [_row(one) for one in listed]
    if len({row.name for row in rows}) < len(rows):
        raise FileError("its table names a tensor twice; the file is damaged")
    return rows


def _row(listed: object) -> Row:
    """Return a row of the table, checked."""
    if not (isinstance(listed, list) and len(listed) == len(fields(Row))):
        raise FileError(f"its table has the row {short(listed)}; the file is damaged")
    name, dtype, shape, count, code = listed
    whole = isinstance(shape, list) and all(type(one) is int and 0 <= one < 2**63 for one in (*shape, count))
    texts = all(isinstance(one, str) for one in (name, dtype, code))
    if not (texts and dtype in DTYPES and code in CODES and whole and prod(shape) < 2**63):
        raise FileError(f"its table has the row {short(listed)}, which is no tensor; the file is damaged")
    row = Row(name, dtype, tuple(shape), count, code)
    if count > row.size or (code == "whole" and count != row.size):
        raise FileError(f"its table says {count:,} values of {name!r}, which has {row.size:,}; the file is damaged")
    return row


def _length(row: Row) -> int:
    """Return how many bytes the places of a row take."""
    return CODES[row.code].n_bytes(row.count, row.size)


def _values(tensors: Mapping[str, Tensor], dtype: str, count: int) -> Tensor:
    """Return the values of a dtype, ``count`` of them."""
    return _from_bytes(_part(tensors, f"values.{dtype}", count * DTYPES[dtype].itemsize), _raw(DTYPES[dtype]))


def _part(tensors: Mapping[str, Tensor], key: str, length: int, *, exactly: bool = True) -> bytes:
    """Return what a tensor of the file holds, inflated to at most ``length`` bytes."""
    stored = tensors.get(key)
    if stored is None or stored.dtype != torch.uint8 or stored.ndim != 1:
        raise FileError(f"has no {key!r}; the file is damaged")
    unpacker = zlib.decompressobj()
    try:
        content = unpacker.decompress(stored.numpy().tobytes(), length + 1)
    except zlib.error as err:
        raise FileError(f"{key!r} cannot be inflated ({err}); the file is damaged") from err
    if len(content) > length or (exactly and len(content) < length) or not unpacker.eof:
        asked = f"{length:,} bytes" if exactly else f"at most {length:,} bytes"
        raise FileError(f"{key!r} is not {asked} long, as its table says; the file is damaged")
    return content


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


def _from_bytes(content: bytes, kind: torch.dtype) -> Tensor:
    """Return the values of :func:`_by_byte`."""
    planes = torch.from_numpy(np.frombuffer(content, np.uint8).copy())
    return planes.view(kind.itemsize, len(planes) // kind.itemsize).T.flatten().view(kind)


def _deflated(content: bytes) -> Tensor:
    return torch.frombuffer(bytearray(zlib.compress(content, LEVEL)), dtype=torch.uint8)


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
    if len(ones) != count:
        return ones  # a damaged file: the caller counts them
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
