"""A finished run of `spred compress` made by hand, with names that would run as markup if they were not escaped."""

import torch
from torch import nn

from spred.compress.models.zoo import Facts, build
from spred.compress.results import Curve, Layer, Magnitudes, Outcome, Point
from spred.nn.threshold import BINS

NASTY = "<b>$x$ & 'co'</b>"


def lenet(seed):
    torch.manual_seed(seed)
    return build("lenet-5", {}, Facts(1, (28, 28), 10)).eval()


def sparse_lenet(seed):
    """LeNet-5 with whole filters and neurons of zeros, and half of the other weights zero."""
    model = lenet(seed)
    with torch.no_grad():
        for module in model:
            if isinstance(module, nn.Linear | nn.Conv2d) and len(module.weight) > 10:
                module.weight[len(module.weight) // 3 :] = 0.0
                module.weight.mul_(torch.rand_like(module.weight) < 0.5)
    return model


def point(method, compression, validation, model, **rest):
    layers = tuple(
        Layer(name, tuple(p.shape), p.numel(), int(p.count_nonzero()))
        for name, p in model.named_parameters()
        if p.ndim > 1
    )
    facts = {"seed": 0, "alpha": 1e-4, "test": None, "seconds": 12.0, "state_file": "", **rest}
    return Point(
        method, density=1 / compression, compression=compression, validation=validation, layers=layers, **facts
    )


def an_outcome(dense, sparse):
    magnitudes = Magnitudes(tuple(range(BINS)), tuple(reversed(range(BINS))), (1e-3, 2e-3))
    first = point("dense", 1.0, 0.991, dense, alpha=0.0, test=0.99)
    chosen = point("spred", 20.0, 0.989, sparse, test=0.988, magnitudes=magnitudes)
    others = [point(m, c, 0.98 - c / 1e4, sparse) for m in ("spred", "pat", NASTY) for c in (30.0, 60.0)]
    stages = ("dense", "spred, seed 0, alpha 0.0001", NASTY, *(f"pat, alpha {k}" for k in range(10)))
    curves = tuple(Curve(stage, (1, 2, 3), (1.0, 0.5, 0.2), (0.9, 0.95, 0.96)) for stage in stages)
    return Outcome(
        recipe={"model": {"name": "lenet-5", "arguments": {}}, "data": {"train": NASTY}, "penalty": {"alphas": (1, 2)}},
        points=(first, chosen, *others),
        chosen=chosen,
        dense=first,
        curves=curves,
        notes=(f"The file {NASTY} was read.",),
        machine={"cores": 2, "processor": "x86"},
        seconds=100.0,
    )
