"""What the tests of `spred compress` share; one thread for torch, for its tensors here are small."""

import pytest
import torch
from compress_outcome import an_outcome, lenet, sparse_lenet


@pytest.fixture(autouse=True, scope="session")
def one_thread():
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(n_threads)


@pytest.fixture(scope="session")
def dense():
    return lenet(0)


@pytest.fixture(scope="session")
def sparse():
    return sparse_lenet(1)


@pytest.fixture(scope="session")
def outcome(dense, sparse):
    return an_outcome(dense, sparse)
