"""A regularization path of a network: alpha rises step by step, each strength warm-started from the one before."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from spred.errors import InputError
from spred.nn.finalize import FinalizeReport, finalize
from spred.nn.model_weights import LossFn
from spred.nn.optimizer.optimizer import SpredOptimizer
from spred.runtime.users_code import users_code


@dataclass(frozen=True, eq=False)
class PathPoint:
    """One grid point of the path.

    Attributes:
        alpha: strength of the first penalty.
        model: a copy of the model, finalized.
        report: what was set to zero.
    """

    alpha: float
    model: nn.Module
    report: FinalizeReport


def alpha_path(
    model: nn.Module,
    opt: SpredOptimizer,
    alphas: Iterable[float],
    train: Callable[[], object],
    loader: Iterable[Any] | None = None,
    loss_fn: LossFn | None = None,
) -> Iterator[PathPoint]:
    """Minimise ``L + α‖v‖₁`` at each of ``alphas`` in turn, warm-started, and yield a finalized copy of the model.

    Training goes on from the weights before :func:`spred.finalize`, so that no zero is final. Give rising alphas: a
    weight that is left becomes zero in a few epochs, while a zero comes back only by regrowth.

    Args:
        model: the model in training.
        opt: its optimiser. Several penalties keep the ratios of their alphas.
        alphas: strengths of the first penalty, above 0.
        train: trains the model with ``opt``, for as long as one strength needs, its learning rate schedule included.
        loader: as in :func:`spred.finalize`, with ``loss_fn``.
        loss_fn: as in :func:`spred.inspect`.

    Yields:
        A :class:`PathPoint` for each alpha.

    Raises:
        InputError: the first penalty has an alpha of 0, so there is no ratio to keep; a target density controls alpha.

    >>> from spred.nn import L1
    >>> _ = torch.manual_seed(0)
    >>> model = nn.Linear(2, 1, bias=False)
    >>> x, y = torch.eye(2), torch.tensor([[2.0], [0.1]])
    >>> opt = SpredOptimizer(torch.optim.SGD(model.parameters(), lr=0.1), L1(model.weight, 0.05))
    >>> def train():
    ...     for _ in range(1000):
    ...         opt.zero_grad()
    ...         (0.5 * (model(x) - y).square().sum()).backward()
    ...         opt.step()
    >>> [int(point.model.weight.count_nonzero()) for point in alpha_path(model, opt, [0.05, 0.5], train)]
    [2, 1]
    """
    first = opt.penalties[0].alpha
    if first == 0.0:
        raise InputError("alpha of the first penalty is 0; give it a positive one, to which the others stay in ratio")
    if opt.density_control is not None:
        raise InputError("target_density controls alpha already; leave it out for a path of given alphas")
    ratios = [penalty.alpha / first for penalty in opt.penalties]
    for alpha in alphas:
        for penalty, ratio in zip(opt.penalties, ratios, strict=True):
            penalty.alpha = ratio * alpha
        if isinstance(opt.base, torch.optim.LBFGS):
            opt.base.state.clear()  # its history is that of another function
        with users_code(f"train, at alpha {alpha:g} of the path"):
            train()
        before = deepcopy((model.state_dict(), opt.state_dict()))
        report = finalize(model, opt, loader, loss_fn)
        point = PathPoint(alpha, deepcopy(model), report)
        model.load_state_dict(before[0])
        opt.load_state_dict(before[1])
        yield point
