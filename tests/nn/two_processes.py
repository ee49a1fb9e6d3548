"""What tests/nn/test_distributed.py runs in each of two processes: ``python two_processes.py RANK FOLDER``.

Each case trains on half of every batch. The first process writes what all of them hold together.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import torch
import torch.distributed as dist
import torch.distributed.checkpoint as dcp
from torch import nn
from torch.distributed.fsdp import fully_shard
from torch.nn.parallel import DistributedDataParallel

from spred.nn import L1, GroupL1, SpredOptimizer, finalize, inspect, prunable_weights

X = torch.randn(32, 6, generator=torch.Generator().manual_seed(0))
Y = torch.randn(32, 2, generator=torch.Generator().manual_seed(1))
N_STEPS = 24


def adam(params):
    return torch.optim.Adam(params, lr=0.05)


def sgd(params):
    return torch.optim.SGD(params, lr=0.1, momentum=0.9)


CASES = {
    "ddp": (sgd, lambda model: L1(prunable_weights(model), 0.05), {}),
    "ddp, rows": (adam, lambda model: GroupL1(prunable_weights(model), 0.05), {}),
    "fsdp": (sgd, lambda model: L1(prunable_weights(model), 0.05), {}),
    "fsdp, Adam": (adam, lambda model: L1(prunable_weights(model), 0.05, depth=3), {}),
    "fsdp, rows": (sgd, lambda model: GroupL1(prunable_weights(model), 0.05), {}),
    "fsdp, columns": (adam, lambda model: GroupL1(prunable_weights(model), 0.05, dim=1), {}),
    "fsdp, target": (
        sgd,
        lambda model: L1(prunable_weights(model), 0.01),
        {"target_density": 0.4, "total_steps": N_STEPS},
    ),
}


def build(case, wrap=lambda model: model):
    base, penalties, options = CASES[case]
    torch.manual_seed(2)
    model = nn.Sequential(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 2))
    wrapped = wrap(model)
    return wrapped, SpredOptimizer(base(model.parameters()), penalties(model), **options)


def train(model, opt, part=slice(None), n_steps=N_STEPS):
    for _ in range(n_steps):
        opt.zero_grad()
        nn.functional.mse_loss(model(X[part]), Y[part]).backward()
        opt.step()


def outcome(model, opt):
    """What a run has reached, as plain tensors and numbers; all processes must ask together."""
    whole = [getattr(p, "full_tensor", lambda p=p: p)().detach().clone() for p in model.parameters()]
    rows = [(row.nonzeros, row.balance, row.budget) for row in inspect(model, opt).rows]
    record = finalize(model, opt, threshold=0.05)
    counts = [(row.nonzeros, sum(row.kept_norms), sum(row.zeroed_norms)) for row in record.rows]
    return {"weights": whole, "rows": rows, "counts": counts, "alpha": opt.penalties[0].alpha}


RESUMED = {"resumed": False, "resumed, reweighted": True}
"""Runs that go on from a checkpoint half way, and whether they reweight there."""


def interrupted(case, wrap=lambda model: model, part=slice(None), n_steps=N_STEPS // 2):
    """The first half of a run."""
    model, opt = build("fsdp, rows", wrap)
    train(model, opt, part, n_steps)
    if RESUMED[case]:
        opt.reweight()
    return model, opt


def resumed(case, folder: Path, part: slice):
    """Train on from a distributed checkpoint that was written half way."""
    checkpoint = folder / case
    first, opt = interrupted(case, fully_shard, part)
    dcp.save({"model": first.state_dict(), "opt": opt.state_dict()}, checkpoint_id=checkpoint)
    second, opt = interrupted(case, fully_shard, part, 1)  # makes the moments and weights that are loaded into
    state = {"model": second.state_dict(), "opt": opt.state_dict()}
    dcp.load(state, checkpoint_id=checkpoint)
    second.load_state_dict(state["model"])
    opt.load_state_dict(state["opt"])
    train(second, opt, part, N_STEPS // 2)
    return outcome(second, opt)


def main(rank: int, folder: Path) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)
    part = slice(16 * rank, 16 * rank + 16)
    found = {}
    for case in CASES:
        model, opt = build(case, DistributedDataParallel if case.startswith("ddp") else fully_shard)
        train(model, opt, part)
        found[case] = outcome(model, opt)
    for case in RESUMED:
        found[case] = resumed(case, folder, part)
    if rank == 0:
        torch.save(found, folder / "found.pt")
    dist.barrier()
    dist.destroy_process_group()
    sys.stdout.flush()
    os._exit(0)  # the results are on disk; torch's own threads sometimes abort when an interpreter takes them down


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
