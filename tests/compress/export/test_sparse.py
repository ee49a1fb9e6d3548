"""Sparse files give back what was put in, bit by bit, and are smaller than gzip makes the dense ones."""

import gzip
import json
import zlib
from math import comb, log2

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from mutations import outcomes
from safetensors.torch import save, save_file
from torch import nn

from spred.compress.export.safetensors import read_tensors, write_tensors
from spred.compress.export.sparse import CODES, DTYPES, SAME_BITS, load_sparse, save_sparse
from spred.errors import FileError, InputError


def a_state(density, seed=0):
    """A small ResNet's worth of tensors: convolutions with zeros, batch norms whole."""
    generator = torch.Generator().manual_seed(seed)
    model = nn.Sequential()
    for width in (16, 32, 64):
        model.extend([nn.Conv2d(width, width, 3, bias=False), nn.BatchNorm2d(width)])
    model.append(nn.Linear(300, 100))
    state = model.state_dict()
    for tensor in state.values():
        if tensor.ndim > 1:
            tensor.normal_(generator=generator).mul_(torch.rand(tensor.shape, generator=generator) < density)
    return state


def comparable(tensor):
    """The tensor in numbers that torch can compare."""
    return tensor.view(SAME_BITS.get(tensor.dtype, tensor.dtype))


def same(one, other):
    return list(one) == list(other) and all(
        a.dtype == b.dtype and a.shape == b.shape and torch.equal(comparable(a), comparable(b))
        for a, b in zip(one.values(), other.values(), strict=True)
    )


@pytest.mark.parametrize("density", [1.0, 0.5, 0.1, 0.01, 0.001, 0.0])
def test_a_state_comes_back_and_is_smaller_than_gzip_of_the_dense_file(density, tmp_path):
    state = a_state(density)
    save_sparse(state, tmp_path / "sparse.safetensors")
    assert same(load_sparse(tmp_path / "sparse.safetensors"), state)
    zipped = len(gzip.compress(save(state), compresslevel=9))
    size = (tmp_path / "sparse.safetensors").stat().st_size
    assert size < (zipped if density < 1 else 1.05 * sum(t.nbytes for t in state.values()) + 1000)


@pytest.mark.parametrize("rows", [0.8, 0.5, 0.1])
@pytest.mark.parametrize("density", [0.9, 0.5, 0.1])
def test_whole_rows_of_zeros_cost_next_to_nothing(rows, density, tmp_path):
    state = a_state(density)
    for tensor in state.values():
        if tensor.ndim > 1:
            tensor[int(rows * len(tensor)) :] = 0.0
    save_sparse(state, tmp_path / "sparse.safetensors")
    assert same(load_sparse(tmp_path / "sparse.safetensors"), state)
    assert (tmp_path / "sparse.safetensors").stat().st_size < len(gzip.compress(save(state), compresslevel=9))


@pytest.mark.parametrize("dtype", DTYPES.values())
@pytest.mark.parametrize("shape", [(), (1,), (0,), (7,), (3, 0), (5, 4, 3), (1000,)])
def test_tensors_of_any_dtype_and_shape_come_back(dtype, shape, tmp_path):
    generator = torch.Generator().manual_seed(1)
    values = torch.randint(0, 4, shape, generator=generator) * (torch.rand(shape, generator=generator) < 0.3)
    state = {"a.weight": values.to(dtype), "zeros": torch.zeros(shape, dtype=dtype), "b": torch.ones(3)}
    save_sparse(state, tmp_path / "sparse.safetensors")
    assert same(load_sparse(tmp_path / "sparse.safetensors"), state)


@given(st.integers(0, 3000).flatmap(lambda n: st.tuples(st.just(n), st.sets(st.integers(0, max(n - 1, 0))))))
def test_every_code_is_its_own_inverse_and_as_long_as_it_says(case):
    size, chosen = case
    places = np.array(sorted(chosen) if size else [], dtype=np.int64)
    for name, code in CODES.items():
        if name == "whole":
            continue
        stored = code.write(places, size)
        assert len(stored) == code.n_bytes(len(places), size)
        assert np.array_equal(code.read(stored, len(places), size), places)


@pytest.mark.parametrize("density", [0.2, 0.1, 0.01, 0.001])
def test_the_code_of_elias_and_fano_is_near_the_least_possible(density):
    size = 100_000
    count = int(density * size)
    least = log2(comb(size, count))
    assert 8 * CODES["elias-fano"].n_bytes(count, size) < least + 0.7 * count + 16


def test_what_is_no_sparse_file_is_refused_in_a_sentence(tmp_path):
    save_file({"weight": torch.ones(3)}, tmp_path / "dense.safetensors")
    with pytest.raises(FileError, match="no sparse file of spred"):
        load_sparse(tmp_path / "dense.safetensors")
    (tmp_path / "text.safetensors").write_text("no tensors")
    for name in ("text.safetensors", "missing.safetensors"):
        with pytest.raises(FileError, match="cannot be read"):
            load_sparse(tmp_path / name)


@pytest.fixture
def parts(tmp_path):
    """A small file, and what its tensors hold, inflated."""
    place = tmp_path / "small.safetensors"
    weight = torch.zeros(8, 40)
    weight[::3, ::7] = 1.5
    save_sparse({"a": weight, "b": torch.ones(3), "c": torch.zeros(4, 4), "n": torch.tensor(3)}, place)
    tensors, metadata = read_tensors(place)
    return place, {key: zlib.decompress(tensor.numpy().tobytes()) for key, tensor in tensors.items()}, metadata


def rewrite(parts, **changed):
    """Write the file again with other content of its tensors."""
    place, held, metadata = parts
    whole = {key: zlib.compress(content) for key, content in (held | changed).items()}
    tensors = {key: torch.frombuffer(bytearray(content), dtype=torch.uint8) for key, content in whole.items()}
    write_tensors(tensors, place, metadata)
    return load_sparse(place)


def test_a_damaged_file_gives_one_sentence(parts):
    place, _, _ = parts

    def load(damaged):
        place.write_bytes(damaged)
        load_sparse(place)

    assert outcomes(place.read_bytes(), 100, load)[1] > 90


@pytest.mark.parametrize("key", ["table", "places", "values.float32"])
def test_what_lies_behind_the_checksums_gives_tensors_or_one_sentence(key, parts):
    shapes = {(8, 40), (3,), (4, 4), ()}

    def load(damaged):
        found = rewrite(parts, **{key: damaged})
        assert key == "table" or {tuple(tensor.shape) for tensor in found.values()} == shapes

    values, refused = outcomes(parts[1][key], 80, load)
    assert values > 0 or key != "values.float32"
    assert refused > 20


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (["a", "float32", [10**6, 10**6, 10], 0, "elias-fano"], "the whole model would take .* of memory"),
        (["a", "float32", [2**40, 2**40], 0, "elias-fano"], "which is no tensor"),
        (["a", "float32", [4], 5, "bitmap"], "says 5 values of 'a', which has 4"),
        (["a", "float32", [4], 3, "whole"], "says 3 values"),
        (["a", "float32", [-4, -1], 0, "bitmap"], "which is no tensor"),
        (["a", "float32", [True], 0, "bitmap"], "which is no tensor"),
        (["a", "load", [4], 0, "bitmap"], "which is no tensor"),
        (["a", "float32", [4], 0, "code"], "which is no tensor"),
        (["a", {}, [4], 0, "bitmap"], "which is no tensor"),
        (["a", "float32", [4], 0, []], "which is no tensor"),
        ([["a"], "float32", [4], 0, "bitmap"], "which is no tensor"),
        (["a", "float32", [4], 0], "has the row"),
    ],
)
def test_a_table_that_lies_is_refused_before_anything_is_made(row, message, parts):
    with pytest.raises(FileError, match=message):
        rewrite(parts, table=json.dumps([row]).encode())


def test_names_come_once_and_places_are_inside(parts):
    row = ["a", "float32", [16], 1, "bitmap"]
    with pytest.raises(FileError, match="names a tensor twice"):
        rewrite(parts, table=json.dumps([row, row]).encode())
    only = {"table": json.dumps([row]).encode(), "values.float32": bytes(4)}
    assert rewrite(parts, places=b"\x80\x00", **only)["a"].shape == (16,)
    with pytest.raises(FileError, match="not those of 1 values"):
        rewrite(parts, places=b"\xc0\x00", **only)
    with pytest.raises(FileError, match=r"'places' is not 2 bytes long"):
        rewrite(parts, places=bytes(10**7), **only)


def test_numbers_that_the_file_does_not_hold_are_refused_as_it_is_written(tmp_path):
    rare = torch.ones(3).to(torch.float8_e4m3fnuz)
    with pytest.raises(InputError, match=r"'q' has numbers of torch\.float8_e4m3fnuz"):
        save_sparse({"q": rare}, tmp_path / "a.safetensors")
