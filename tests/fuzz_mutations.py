"""Damage for the files of the tests: bytes, text, JSON, archives and HDF5, each from a seed.

A mutation is a function ``(content, generator) -> content``. :func:`mutate` draws one that fits the file's name: damage
of the outer bytes alone stops at the first checksum, so compressed content is also damaged inside and packed again.
"""

from __future__ import annotations

import gzip
import io
import json
import re
import struct
import zipfile
import zlib
from collections.abc import Callable
from random import Random
from typing import Any

NUMBERS = (
    *("", " ", "NA", "nan", "inf", "-inf", "1e999", "-1e308", "1e-320", "-1", "0", "1,5", "0x1F", "1_000", "9" * 400),
    *("true", "None", "=1+1", "2020-01-01", "a", "ü", "\x00", '"', "\\", "'", "\ufeff", "s1", "class", "#", "%", "!"),
)
"""What a cell may hold that is not what was there."""

INTEGERS = (0, 1, 7, 127, 128, 255, 256, 2**15, 2**16 - 1, 2**24, 2**31 - 1, 2**31, 2**32 - 1)
WIDE = (0, 1, 2**31, 2**32, 2**40, 2**62, 2**63 - 1, 2**63, 2**64 - 1)
LONG_CELL = 140_000
"""Characters of a very long cell; Python's csv module stops at 131,072."""

Mutation = Callable[[bytes, Random], bytes]


def mutate(name: str, content: bytes, random: Random) -> bytes:
    """Return the file ``name`` with one to three mutations that fit its suffix."""
    content = random.choice(mutations_for(name, content))(content, random)
    for _ in range(random.choice((0, 0, 0, 1, 2))):
        content = random.choice(in_bytes)(content, random)
    return content


def mutations_for(name: str, content: bytes) -> list[Mutation]:
    """Return what can be done to a file: to its bytes, and to what they mean."""
    own: list[Mutation] = []
    if content[:2] == b"\x1f\x8b":
        own = [in_gzip(name.removesuffix(".gz"))] * 3
    elif content[:2] == b"PK":
        own = [in_zip] * 4
    elif name.endswith((".json", ".toml")):
        own = [in_text] * 2 + ([in_json] * 6 if name.endswith(".json") else [])
    elif name.endswith(".h5ad"):
        own = [in_hdf5] * 6
    elif name.endswith(".safetensors"):
        own = [in_safetensors] * 4
    elif name.endswith(".mat"):
        own = [in_matlab] * 4
    elif name.endswith((".csv", ".tsv", ".txt", ".soft", ".mtx", ".annot", ".xml")):
        own = [in_text] * 5
    return [*in_bytes, *own]


# --- bytes ------------------------------------------------------------------------------------------------


def flip(content: bytes, random: Random) -> bytes:
    """Change some bytes."""
    changed = bytearray(content)
    for _ in range(random.choice((1, 1, 2, 8, 40))):
        if changed:
            changed[random.randrange(len(changed))] = random.randrange(256)
    return bytes(changed)


def put_integer(content: bytes, random: Random) -> bytes:
    """Write a whole number over four or eight bytes: a length, a count, an offset."""
    changed = bytearray(content)
    wide = random.random() < 0.4
    number = random.choice(WIDE if wide else INTEGERS)
    packed = struct.pack(random.choice("<>") + ("Q" if wide else "I"), number)
    place = random.randrange(max(len(changed), 1))
    place -= place % random.choice((1, 4, 8))
    changed[place : place + len(packed)] = packed
    return bytes(changed)


def cut(content: bytes, random: Random) -> bytes:
    """End the file early; at times at once, or in its last bytes."""
    return content[: random.choice((0, 1, len(content) - 1, len(content) - 5, random.randrange(len(content) + 1)))]


def splice(content: bytes, random: Random) -> bytes:
    """Remove, double, empty or fill a piece."""
    a, b = sorted(random.randrange(len(content) + 1) for _ in range(2))
    b = min(b, a + random.choice((1, 4, 64, len(content))))
    piece = content[a:b]
    middle = random.choice((b"", piece + piece, bytes(len(piece)), random.randbytes(min(len(piece), 400))))
    return content[:a] + middle + content[b:]


def of_another_kind(content: bytes, random: Random) -> bytes:
    """Put something else in the place of the file: a page of an error, a picture, another archive, nothing."""
    page = b"<!DOCTYPE html><html><body><h1>404 Not Found</h1></body></html>"
    return random.choice(
        (page, b"\x89PNG\r\n\x1a\n" + bytes(40), gzip.compress(content), b"", b"\n", b"version https://")
    )


in_bytes: list[Mutation] = [flip, flip, put_integer, cut, splice, of_another_kind]


# --- text -------------------------------------------------------------------------------------------------


def in_text(content: bytes, random: Random) -> bytes:
    """Damage a table: a cell, a separator, a line."""
    text = content.decode("latin-1")
    kind = random.randrange(5)
    if kind == 0:  # one cell
        cells = list(re.finditer(r"[^\s,;\t]+", text)) or [re.match("", text)]
        found = random.choice(cells)
        long = "x" * LONG_CELL if random.random() < 0.1 else random.choice(NUMBERS)
        text = text[: found.start()] + long + text[found.end() :]
    elif kind == 1:  # one separator
        marks = list(re.finditer(r"[,;\t\n ]", text)) or [re.match("", text)]
        found = random.choice(marks)
        text = (
            text[: found.start()] + random.choice(("", ",,", "\t", "\n", '"', "\r", ";", "\x00")) + text[found.end() :]
        )
    else:
        lines = text.split("\n")
        i = random.randrange(len(lines))
        changed: list[str] = random.choice(
            (
                [],
                [lines[i], lines[i]],
                [""],
                [lines[i] + ","],
                [lines[i][: len(lines[i]) // 2]],
                [random.choice(NUMBERS)],
            )
        )
        if kind == 3:
            changed = [*changed, random.choice(lines)]
        text = "\n".join([*lines[:i], *changed, *lines[i + 1 :]])
    return text.encode("latin-1", errors="replace")


# --- JSON -------------------------------------------------------------------------------------------------

VALUES: tuple[Any, ...] = (
    *(None, True, 0, -1, 1.5, 1e308, float("nan"), float("inf"), 2**70, "", "x", "os:system", [], {}, [[]], [None]),
    *({"a": 1}, [1, "x"], ["a", "a"], [[1.0], [1.0, 2.0]], "\ud800", 10**9, -(10**9)),
)


def in_json(content: bytes, random: Random) -> bytes:
    """Change one value somewhere in a JSON file; at times nest it deeply."""
    if random.random() < 0.04:
        return b"[" * 100_000
    if random.random() < 0.04:
        return content.replace(b"1", b"1" * 5000, 1)
    try:
        whole = json.loads(content)
    except (ValueError, RecursionError):
        return flip(content, random)
    places: list[tuple[Any, Any]] = []

    def collect(node: Any) -> None:
        keys = list(node) if isinstance(node, dict) else range(len(node)) if isinstance(node, list) else ()
        for key in keys:
            places.append((node, key))
            collect(node[key])

    collect(whole)
    if not places:
        return json.dumps(random.choice(VALUES)).encode()
    node, key = random.choice(places)
    way = random.randrange(4)
    if way == 0:
        del node[key]
    elif way == 1 and isinstance(node, list):
        node.append(node[key])
    elif way == 2 and isinstance(node, dict):
        node[random.choice(("x", "", "0", "1.weight", "forward", "__class__"))] = node[key]
    else:
        node[key] = random.choice(VALUES)
    return json.dumps(whole).encode()


# --- containers -------------------------------------------------------------------------------------------


def in_gzip(inner: str) -> Mutation:
    """Damage what a gzip file holds, and compress it again."""

    def apply(content: bytes, random: Random) -> bytes:
        try:
            whole = gzip.decompress(content)
        except (OSError, EOFError, zlib.error):
            return flip(content, random)
        packed = gzip.compress(random.choice(mutations_for(inner, whole))(whole, random), compresslevel=1, mtime=0)
        return packed + packed if random.random() < 0.05 else packed

    return apply


def in_zip(content: bytes, random: Random) -> bytes:
    """Damage, rename, drop or double a member of an archive (xlsx, npz, a state of torch)."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = [(info.filename, archive.read(info)) for info in archive.infolist()]
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, OSError, zlib.error, ValueError):
        return flip(content, random)
    i = random.randrange(len(members))
    name, inner = members[i]
    way = random.randrange(8)
    if way == 0:
        members.pop(i)
    elif way == 1:
        members[i] = (random.choice(("x", "../x", "", "a" * 300, name + "2")), inner)
    else:
        members[i] = (name, random.choice(mutations_for(name, inner))(inner, random))
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", random.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))) as archive:
        for name, inner in members:
            archive.writestr(zipfile.ZipInfo(name), inner)
    return out.getvalue()


def in_safetensors(content: bytes, random: Random) -> bytes:
    """Damage the header of a safetensors file, or a deflated tensor in it, and pack it again."""
    if len(content) < 8:
        return flip(content, random)
    n = int.from_bytes(content[:8], "little")
    header, body = content[8 : 8 + n], bytearray(content[8 + n :])
    try:
        table = json.loads(header)
        parts = {k: bytes(body[slice(*v["data_offsets"])]) for k, v in table.items() if k != "__metadata__"}
        inner = {k: zlib.decompress(part) for k, part in parts.items()}
    except (ValueError, TypeError, KeyError, AttributeError, zlib.error, RecursionError):
        header = in_json(header, random)
        return len(header).to_bytes(8, "little") + header + bytes(body)
    if not inner or random.random() < 0.3:
        header = in_json(header, random)
        return len(header).to_bytes(8, "little") + header + bytes(body)
    name = random.choice(list(inner))
    way = in_json if inner[name][:1] == b"[" else random.choice(in_bytes)
    parts[name] = zlib.compress(way(inner[name], random))
    place = 0
    for key, part in parts.items():
        table[key] |= {"shape": [len(part)], "data_offsets": [place, place + len(part)]}
        place += len(part)
    header = json.dumps(table).encode()
    return len(header).to_bytes(8, "little") + header + b"".join(parts[key] for key in parts)


def in_matlab(content: bytes, random: Random) -> bytes:
    """Damage a compressed element of a MATLAB file inside, and compress it again."""
    elements, place = [], 128
    while place + 8 <= len(content):
        kind, n = struct.unpack_from("<II", content, place)
        elements.append((kind, content[place + 8 : place + 8 + n]))
        place += 8 + n
    packed = [i for i, (kind, _) in enumerate(elements) if kind == 15]
    if not packed:
        return put_integer(content, random)
    i = random.choice(packed)
    try:
        inner = zlib.decompress(elements[i][1])
    except zlib.error:
        return flip(content, random)
    head = random.choice((put_integer, flip))(inner[:96], random) + inner[96:]
    elements[i] = (15, zlib.compress(head if random.random() < 0.7 else random.choice(in_bytes)(inner, random)))
    return content[:128] + b"".join(struct.pack("<II", kind, len(part)) + part for kind, part in elements)


def in_hdf5(content: bytes, random: Random) -> bytes:
    """Change one data set or attribute of an HDF5 file: its values, type, shape, or that it is there at all."""
    import h5py

    out = io.BytesIO(content)
    with h5py.File(out, "r+") as file:
        names: list[str] = []
        file.visit(names.append)
        change_hdf5(file, random.choice(sorted(names)), random)
    return out.getvalue()


def change_hdf5(file: Any, name: str, random: Random) -> None:
    """Change the item ``name`` of an open HDF5 file."""
    import h5py
    import numpy as np

    item = file[name]
    if len(item.attrs) and random.random() < 0.4:
        key = random.choice(sorted(item.attrs))
        if random.random() < 0.3:
            del item.attrs[key]
        else:
            item.attrs[key] = random.choice(
                (0, -1, "x", "csr_matrix", [2**62, 2**62], [1.5], [-1, -1], np.float64("nan"), "_index")
            )
        return
    if not isinstance(item, h5py.Dataset) or random.random() < 0.15:
        del file[name]
        if random.random() < 0.7:
            file[name] = random.choice(
                (h5py.ExternalLink("/dev/zero", "/x"), h5py.SoftLink("/X"), 3, "text", [1.5, 2.5], [[b"a"]])
            )
        return
    values = item[()]
    attributes = dict(item.attrs)
    if not isinstance(values, np.ndarray) or not values.size:
        return
    way = random.randrange(6)
    if way == 0 and values.dtype.kind in "iu":
        values = values.astype(np.int64)
        values.flat[random.randrange(values.size)] = random.choice(
            (-1, -(2**31), 2**31 - 1, 2**62, values.size, -(2**63))
        )
    elif way == 1:
        values = values[: random.randrange(len(values) + 1)] if values.ndim else values
    elif way == 2 and values.dtype.kind in "iuf":
        values = values.astype(random.choice(("f2", "u1", "c16", "S3", ">i8", "?")))
    elif way == 3:
        values = values.reshape(random.choice(((-1, 1), (1, -1), (-1,), (1, 1, -1))))
    elif way == 4 and values.ndim:
        values = np.concatenate([values, values[::-1]])
    del file[name]
    if way == 5:
        file.create_dataset(name, shape=(2**40, 2**20), dtype="f8", chunks=(1, 1))
    else:
        file[name] = values
    for key, value in attributes.items():
        file[name].attrs[key] = value
