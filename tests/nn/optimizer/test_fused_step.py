"""A fused step is the plain step: the same weights, one program, whatever changes between steps."""

import io
import shutil

import pytest
import torch
from torch import nn

from spred.errors import InputError
from spred.nn.optimizer.optimizer import SpredOptimizer
from spred.nn.optimizer.regrowth import EVERY, ZERO_NORM
from spred.nn.penalties import L1, GroupL1, prunable_weights

X = torch.randn(32, 6, generator=torch.Generator().manual_seed(0))
Y = torch.randn(32, 2, generator=torch.Generator().manual_seed(1))
MSE = nn.functional.mse_loss

KINDS = {
    "single": lambda model: L1(prunable_weights(model), 0.01),
    "depth 3": lambda model: L1(prunable_weights(model), 0.01, depth=3),
    "rows": lambda model: GroupL1(prunable_weights(model), 0.01, group_weight="sqrt"),
    "labels": lambda model: GroupL1(model[0].weight, 0.01, groups=torch.arange(48).reshape(8, 6) % 7),
    "joined": lambda model: GroupL1([model[0].weight, model[2].weight], 0.01, dim=(0, 1), join=True),
}

BASES = {
    "SGD": lambda model: torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9),
    "Adam": lambda model: torch.optim.Adam(model.parameters(), lr=0.01),
}


def net(dtype=torch.float32):
    torch.manual_seed(2)
    return nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 2)).to(dtype)


def train(model, opt, n_steps):
    schedule = torch.optim.lr_scheduler.ExponentialLR(opt, 0.95)
    for _ in range(n_steps):
        opt.zero_grad()
        MSE(model(X.to(model[0].weight.dtype)).float(), Y).backward()
        opt.step()
        schedule.step()


@pytest.fixture
def programs(monkeypatch):
    """Let torch.compile trace, count what it traces, and run that as it is: no C++ compiler is needed."""
    torch.compiler.reset()
    traced, compile = [], torch.compile

    def backend(program, _):
        traced.append(program)
        return program.forward

    monkeypatch.setattr(torch, "compile", lambda function: compile(function, backend=backend))
    return traced


def assert_same_weights(one, other, **tolerances):
    for a, b in zip(one.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(a, b, **tolerances)


CASES = [(kind, "SGD", torch.float32) for kind in KINDS]
CASES += [("single", "Adam", torch.float32), ("single", "SGD", torch.bfloat16)]


@pytest.mark.parametrize(("kind", "base", "dtype"), CASES)
def test_it_takes_the_plain_steps_and_is_not_compiled_again_when_numbers_change(kind, base, dtype, programs):
    models, opts = [net(dtype), net(dtype)], []
    for model, compiled in zip(models, (False, True), strict=True):
        opts.append(SpredOptimizer(BASES[base](model), KINDS[kind](model), compile=compiled))
        train(model, opts[-1], 3)
        opts[-1].penalties[0].alpha = 0.02
        train(model, opts[-1], 3)
    assert_same_weights(*models, rtol=1e-5, atol=1e-5 if dtype == torch.float32 else 1e-2)
    n_programs = len(programs)
    for _ in range(5):
        opts[1].penalties[0].alpha *= 1.1
        train(models[1], opts[1], 1)
    assert len(programs) == n_programs > 0


def test_every_optimiser_of_a_process_is_compiled(programs):
    for k in range(10):
        model = net()
        train(model, SpredOptimizer(BASES["SGD"](model), KINDS["single"](model), compile=True), 3)
        assert len(programs) > k  # after eight programs of one code torch would take the steps as they stand


@pytest.mark.filterwarnings("ignore:.*has collapsed")
def test_regrowth_is_part_of_it(programs):
    models = [net(), net()]
    for model, compiled in zip(models, (False, True), strict=True):
        opt = SpredOptimizer(torch.optim.SGD(model.parameters(), lr=1e-3), KINDS["single"](model), compile=compiled)
        with torch.no_grad():
            for factor in opt.factored[0].factors:
                factor.mul_(1e-4)
            opt.factored[0].write()
        before = (model[0].weight.abs() > ZERO_NORM * opt.factored[0].scale).sum()
        for _ in range(EVERY + 5):
            opt.zero_grad()
            MSE(model(X), Y).backward()
            opt.step()
        assert (model[0].weight.abs() > ZERO_NORM * opt.factored[0].scale).sum() > before
    assert_same_weights(*models)


def test_a_closure_gets_the_penalised_loss(programs):
    losses = []
    for compiled in (False, True):
        model = net()
        opt = SpredOptimizer(BASES["SGD"](model), KINDS["single"](model), compile=compiled)

        def closure(model=model, opt=opt):
            opt.zero_grad()
            loss = MSE(model(X), Y)
            loss.backward()
            return loss

        losses.append([float(opt.step(closure)) for _ in range(4)])
    assert losses[1] == pytest.approx(losses[0], rel=1e-5)


def test_tensors_without_a_gradient_do_not_move_and_masks_hold(programs):
    model = net()
    opt = SpredOptimizer(BASES["SGD"](model), KINDS["single"](model), compile=True)
    train(model, opt, 2)
    model[0].weight.requires_grad_(False)
    before = model[0].weight.detach().clone()
    with torch.no_grad():
        model[2].weight[0].zero_()
    kept = model[2].weight[1].detach().clone()
    train(model, opt, 3)
    assert torch.equal(model[0].weight, before)
    assert torch.count_nonzero(model[2].weight[0]) == 0
    assert not torch.equal(model[2].weight[1], kept)


def test_resume_is_bit_for_bit(programs):
    model = net()
    opt = SpredOptimizer(BASES["Adam"](model), KINDS["rows"](model), compile=True)
    train(model, opt, 3)
    buffer = io.BytesIO()
    torch.save([model.state_dict(), opt.state_dict()], buffer)
    buffer.seek(0)
    states = torch.load(buffer, weights_only=True)
    again = net()
    opt_again = SpredOptimizer(BASES["Adam"](again), KINDS["rows"](again), compile=True)
    again.load_state_dict(states[0])
    opt_again.load_state_dict(states[1])
    for one, other in ((model, opt), (again, opt_again)):
        train(one, other, 3)
    assert_same_weights(model, again, rtol=0, atol=0)


def test_a_step_that_fails_leaves_the_weights_as_they_were(programs):
    model = net()
    opt = SpredOptimizer(BASES["SGD"](model), KINDS["single"](model), compile=True)
    train(model, opt, 2)
    before = [weight.detach().clone() for weight in prunable_weights(model)]

    def fail(numbers):
        for entry in opt.factored:
            entry.fill_gradients(0.01, 0.1)
        raise KeyboardInterrupt

    opt._program.program = fail
    with pytest.raises(KeyboardInterrupt):
        train(model, opt, 1)
    for weight, old in zip(prunable_weights(model), before, strict=True):
        assert torch.equal(weight, old)


def test_what_cannot_be_compiled_is_refused_in_a_sentence(programs):
    model = net()
    with pytest.raises(InputError, match="LBFGS calls the model"):
        SpredOptimizer(torch.optim.LBFGS(model.parameters()), KINDS["single"](model), compile=True)
    table = nn.Embedding(6, 4, sparse=True)
    opt = SpredOptimizer(torch.optim.SGD(table.parameters(), lr=0.1), L1(table.weight, 0.1), compile=True)
    table(torch.tensor([1, 2])).sum().backward()
    with pytest.raises(InputError, match="sparse=False"):
        opt.step()


@pytest.mark.skipif(shutil.which("g++") is None and shutil.which("clang++") is None, reason="no C++ compiler")
def test_the_compiled_program_itself_takes_the_plain_steps():
    models = [net(), net()]
    for model, compiled in zip(models, (False, True), strict=True):
        train(model, SpredOptimizer(BASES["SGD"](model), KINDS["single"](model), compile=compiled), 6)
    assert_same_weights(*models, rtol=1e-5, atol=1e-6)
