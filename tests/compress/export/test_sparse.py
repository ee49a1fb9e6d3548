"""Sparse files give back what was put in, bit by bit, and are smaller than gzip makes the dense ones."""

import gzip
from math import comb, log2

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save, save_file
from torch import nn

from spred.compress.export.sparse import CODES, load_sparse, save_sparse
from spred.errors import FileError


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


def same(one, other):
    return list(one) == list(other) and all(
        a.dtype == b.dtype and a.shape == b.shape and torch.equal(a, b)
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


DTYPES = [torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.int64, torch.bool]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(), (1,), (0,), (7,), (3, 0), (5, 4, 3), (1000,)])
def test_tensors_of_any_dtype_and_shape_come_back(dtype, shape, tmp_path):
    generator = torch.Generator().manual_seed(1)
    values = torch.randint(-3, 4, shape, generator=generator) * (torch.rand(shape, generator=generator) < 0.3)
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
