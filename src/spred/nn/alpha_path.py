"""A frontier from one run: alpha rises step by step, and each strength starts from the weights of the one before."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from copy import deepcopy
from dataclasses import dataclass

import torch
from torch import nn

from spred.errors import InputError
from spred.nn.finalize import FinalizeReport, finalize
from spred.nn.model_weights import LossFn
from spred.nn.optimizer.optimizer import SpredOptimizer


@dataclass(frozen=True, eq=False)
class PathPoint:
    """One strength: ``alpha`` of the first penalty, the finalized copy ``model``, and what was set to zero."""

    alpha: float
    model: nn.Module
    report: FinalizeReport


def alpha_path(
    model: nn.Module,
    opt: SpredOptimizer,
    alphas: Iterable[float],
    train: Callable[[], object],
    loader: Iterable | None = None,
    loss_fn: LossFn | None = None,
) -> Iterator[PathPoint]:
    """Train at each of ``alphas`` in turn, warm, and yield a finalized copy of the model after each.

    The training itself goes on from the weights before :func:`spred.finalize`, so that nothing is closed for good. Give
    rising alphas: what is still open can close in a few epochs, while opening takes reopening.

    Args:
        model: the model in training.
        opt: its optimiser. Several penalties keep the ratios of their alphas.
        alphas: strengths of the first penalty.
        train: trains the model with ``opt``, for as long as one strength needs, its learning rate schedule included.
        loader: as in :func:`spred.finalize`, with ``loss_fn``.
        loss_fn: as in :func:`spred.inspect`.

    Yields:
        A :class:`PathPoint` for each alpha.

    Raises:
        InputError: the first penalty has an alpha of 0, so there is no ratio to keep; a target density controls alpha.
    """
    first = opt.penalties[0].alpha
    if first == 0.0:
        raise InputError("alpha of the first penalty is 0; give it a positive one, to which the others stay in ratio")
    if opt.density_control is not None:
        raise InputError("target_density controls alpha already; leave it out for a path of given alphas")
    shares = [penalty.alpha / first for penalty in opt.penalties]
    for alpha in alphas:
        for penalty, share in zip(opt.penalties, shares, strict=True):
            penalty.alpha = share * alpha
        if isinstance(opt.base, torch.optim.LBFGS):
            opt.base.state.clear()  # its history is that of another function
        train()
        before = deepcopy((model.state_dict(), opt.state_dict()))
        report = finalize(model, opt, loader, loss_fn)
        point = PathPoint(alpha, deepcopy(model), report)
        model.load_state_dict(before[0])
        opt.load_state_dict(before[1])
        yield point
