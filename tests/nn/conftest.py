"""One thread for torch: the tensors here are tiny, and threads that wait for each other cost more than they do."""

import pytest
import torch


@pytest.fixture(autouse=True, scope="session")
def one_thread():
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(n_threads)
