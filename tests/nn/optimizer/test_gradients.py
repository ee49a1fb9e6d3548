"""The gradients of factors: blocks give those of the whole tensor, and loops are taken only where they may be.

That they are those of ``core`` is in test_preconditioner.py, and that loops give the same in test_cpu_loops.py.
"""

import pytest
import torch

from spred.core.partition import SINGLES
from spred.nn.optimizer.gradients import MANY_THREADS, MAX_SHARED_SIZE, divisor_buffer, fits_loop, pair_gradients


@pytest.mark.parametrize("alpha", [0.0, 0.1])
@pytest.mark.parametrize("precondition", [False, True])
def test_blocks_of_rows_give_the_gradients_of_the_whole(precondition, alpha):
    generator = torch.Generator().manual_seed(0)
    grad, gate, full = (torch.randn(3001, 211, generator=generator, dtype=torch.float64) for _ in range(3))
    damping = 0.04 if precondition else None
    results = []
    for whole in (True, False):
        divisor = divisor_buffer(gate, SINGLES, whole=whole)
        out = torch.empty_like(gate), torch.empty_like(full), divisor
        results.append(pair_gradients(grad, (gate, full), SINGLES, alpha, damping, out))
    assert len(divisor) == 751  # four blocks, the last one shorter
    for one, other in zip(*results, strict=True):
        assert torch.equal(one, other)


def test_what_does_not_fit_is_left_to_torch(monkeypatch):
    one = torch.randn(64, 32, 3, 3)
    assert fits_loop([one, one])
    assert not fits_loop([one[:4, :4], one[:4, :4]])  # small
    assert not fits_loop([one, one.contiguous(memory_format=torch.channels_last)])
    assert not fits_loop([one[:, ::2], one[:, ::2]])  # gaps
    assert not fits_loop([one, one.double()])
    assert not fits_loop([one.bfloat16(), one.bfloat16()])
    assert not fits_loop([one.to("meta"), one.to("meta")])
    large = torch.zeros(MAX_SHARED_SIZE + 1)
    assert fits_loop([large])
    monkeypatch.setattr(torch, "get_num_threads", lambda: MANY_THREADS)
    assert not fits_loop([large])
    assert fits_loop([one])
