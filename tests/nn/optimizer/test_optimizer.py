"""SpredOptimizer is an optimiser like any other: schedules, scaling, closures, checkpoints, masks."""

import io
import math
import warnings

import pytest
import torch
from torch import nn

from spred.errors import InputError, SpredWarning, StateError
from spred.nn.optimizer.optimizer import SpredOptimizer
from spred.nn.penalties import L1, GroupL1, prunable_weights

X = torch.randn(32, 6, generator=torch.Generator().manual_seed(0))
Y = torch.randn(32, 2, generator=torch.Generator().manual_seed(1))


def net(dtype=torch.float32):
    torch.manual_seed(2)
    return nn.Sequential(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 2)).to(dtype)


def adam(model):
    return torch.optim.Adam(model.parameters(), lr=0.01)


def train(model, opt, n_steps, x=X, y=Y):
    for _ in range(n_steps):
        opt.zero_grad()
        nn.functional.mse_loss(model(x), y).backward()
        opt.step()


def through_a_file(state):
    """Save and load without pickle."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    buffer.seek(0)
    return torch.load(buffer, weights_only=True)


def moments_of(opt):
    return [opt.base.state[factor] for entry in opt.factored for factor in entry.factors]


# --- an optimiser like any other --------------------------------------------------------------------------


def test_the_model_stays_plain_and_groups_hold_its_own_tensors():
    model = net()
    opt = SpredOptimizer(adam(model), L1(prunable_weights(model), 0.01))
    assert isinstance(opt, torch.optim.Optimizer)
    held = [p for group in opt.param_groups for p in group["params"]]
    assert all(a is b for a, b in zip(held, model.parameters(), strict=True))
    inside = {id(p) for group in opt.base.param_groups for p in group["params"]}
    assert not inside & {id(w) for w in prunable_weights(model)}
    assert {id(model[0].bias), id(model[2].bias)} <= inside
    assert "SpredOptimizer of Adam with L1(alpha=0.01, depth=2, 2 tensors)" in repr(opt)


def test_without_a_gradient_the_weights_keep_every_bit():
    model = net()
    before = model[0].weight.detach().clone()
    SpredOptimizer(adam(model), L1(prunable_weights(model), 0.01)).step()
    assert torch.equal(model[0].weight, before)


@pytest.mark.parametrize("decay", [0.0, 0.5])
def test_schedulers_reach_every_group_of_the_base(decay):
    model = net()
    base = torch.optim.SGD(model.parameters(), lr=0.4, momentum=0.8, weight_decay=decay)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SpredWarning)
        opt = SpredOptimizer(base, L1(prunable_weights(model), 0.01))
    assert len(opt.param_groups) == 1
    schedule = torch.optim.lr_scheduler.StepLR(opt, step_size=1, gamma=0.5)
    train(model, opt, 1)
    schedule.step()
    train(model, opt, 1)
    assert [group["lr"] for group in base.param_groups] == [0.2] * len(base.param_groups)
    assert opt.param_groups[0]["initial_lr"] == 0.4


def test_one_cycle_moves_momentum_too():
    model = net()
    opt = SpredOptimizer(torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9), L1(prunable_weights(model), 0.01))
    schedule = torch.optim.lr_scheduler.OneCycleLR(opt, max_lr=0.1, total_steps=10)
    train(model, opt, 1)
    schedule.step()
    train(model, opt, 1)
    assert {group["momentum"] for group in opt.base.param_groups} == {opt.param_groups[0]["momentum"]}
    assert opt.param_groups[0]["momentum"] < 0.95


def test_clipping_and_scaling_work_on_the_models_gradients():
    scaled, plain = net(), net()
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    opts = [
        SpredOptimizer(torch.optim.SGD(m.parameters(), lr=0.1), L1(prunable_weights(m), 0.01)) for m in (scaled, plain)
    ]
    for _ in range(5):
        for model, opt in zip((scaled, plain), opts, strict=True):
            opt.zero_grad()
            loss = nn.functional.mse_loss(model(X), Y)
            (scaler.scale(loss) if model is scaled else loss).backward()
        assert scaled[0].weight.grad.norm() > 100 * plain[0].weight.grad.norm()
        scaler.unscale_(opts[0])
        for model in (scaled, plain):
            nn.utils.clip_grad_norm_(model.parameters(), 0.1)
        before = plain[0].weight.grad.clone()
        scaler.step(opts[0])
        scaler.update()
        opts[1].step()
        assert torch.equal(plain[0].weight.grad, before)
    torch.testing.assert_close(scaled[0].weight, plain[0].weight)


def test_scaler_skips_a_step_with_an_infinite_gradient():
    model = net()
    opt = SpredOptimizer(adam(model), L1(prunable_weights(model), 0.01))
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    before = model[0].weight.detach().clone()
    scaler.scale(nn.functional.mse_loss(model(X), Y)).backward()
    model[0].weight.grad[0, 0] = math.inf
    scaler.step(opt)
    assert torch.equal(model[0].weight, before)


def test_gradient_accumulation_is_the_same_as_one_batch():
    whole, parts = net(torch.float64), net(torch.float64)
    opts = [SpredOptimizer(adam(m), L1(prunable_weights(m), 0.01)) for m in (whole, parts)]
    x, y = X.double(), Y.double()
    for _ in range(5):
        train(whole, opts[0], 1, x, y)
        opts[1].zero_grad()
        for half in (slice(0, 16), slice(16, 32)):
            (nn.functional.mse_loss(parts(x[half]), y[half]) / 2).backward()
        opts[1].step()
    torch.testing.assert_close(whole[0].weight, parts[0].weight)


def test_zero_grad_clears_tensors_and_factors():
    model = net()
    opt = SpredOptimizer(adam(model), L1(prunable_weights(model), 0.01))
    train(model, opt, 1)
    opt.zero_grad()
    assert all(p.grad is None for p in model.parameters())
    assert all(factor.grad is None for entry in opt.factored for factor in entry.factors)


def test_a_closure_gets_the_penalised_loss():
    model = net(torch.float64)
    opt = SpredOptimizer(torch.optim.LBFGS(model.parameters(), lr=0.5), L1(prunable_weights(model), 0.05))
    losses = []

    def closure():
        opt.zero_grad()
        loss = nn.functional.mse_loss(model(X.double()), Y.double())
        loss.backward()
        losses.append(float(loss.detach()))
        return loss

    with torch.no_grad():
        expected = float(nn.functional.mse_loss(model(X.double()), Y.double()) + opt.penalty())
    assert float(opt.step(closure).detach()) == pytest.approx(expected, rel=1e-12)
    first = losses[0] + float(opt.penalty())
    for _ in range(5):
        last = float(opt.step(closure).detach())
    assert last < min(first, expected)


def test_new_groups_reach_the_base():
    model, more = net(), nn.Linear(2, 2)
    opt = SpredOptimizer(adam(model), L1(prunable_weights(model), 0.01))
    opt.add_param_group({"params": more.parameters(), "lr": 0.5})
    before = more.weight.detach().clone()
    train(nn.Sequential(model, more), opt, 1)
    assert not torch.equal(more.weight, before)
    assert opt.base.param_groups[-1]["lr"] == 0.5


def test_named_parameters_stay_named():
    model = net()
    opt = SpredOptimizer(
        torch.optim.AdamW(model.named_parameters(), lr=0.01, weight_decay=0.0), L1(prunable_weights(model), 0.01)
    )
    train(model, opt, 2)
    names = [name for group in opt.base.param_groups for name in group["param_names"]]
    assert sorted(names) == sorted(["0.bias", "2.bias", *(f"{k}.weight.factor{f}" for k in (0, 2) for f in (0, 1))])


@pytest.mark.parametrize("depth", [2, 3])
@pytest.mark.parametrize("kind", [L1, GroupL1])
def test_gradients_of_factors_live_in_the_same_memory_at_every_step(kind, depth):
    model = net()
    opt = SpredOptimizer(torch.optim.SGD(model.parameters(), lr=0.1), kind(prunable_weights(model), 0.01, depth=depth))
    seen = []
    opt.base.register_step_pre_hook(
        lambda base, *_: seen.append([f.grad.data_ptr() for entry in opt.factored for f in entry.factors])
    )
    train(model, opt, 3)
    assert seen[0] == seen[1] == seen[2]
    assert seen[0][depth - 1 :: depth] == [
        entry.place.tensors[0].data_ptr() for entry in opt.factored
    ]  # lent by the tensors
    assert all(entry.factors[-1].grad is None for entry in opt.factored)  # and given back


@pytest.mark.parametrize("kind", [L1, GroupL1])
def test_a_base_that_fails_leaves_the_weights_as_they_were(kind):
    model = net()
    opt = SpredOptimizer(torch.optim.SGD(model.parameters(), lr=0.1), kind(prunable_weights(model), 0.01))
    train(model, opt, 1)
    before = [weight.detach().clone() for weight in prunable_weights(model)]

    def fail(*_):
        raise KeyboardInterrupt

    opt.base.register_step_pre_hook(fail)
    with pytest.raises(KeyboardInterrupt):
        train(model, opt, 1)
    for weight, old in zip(prunable_weights(model), before, strict=True):
        assert torch.equal(weight, old)


# --- the penalty ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [L1, GroupL1])
def test_alpha_can_be_changed_between_steps(kind):
    sizes = []
    for alpha in (0.0, 0.05):
        model = net()
        opt = SpredOptimizer(torch.optim.SGD(model.parameters(), lr=0.1), kind(prunable_weights(model), 0.0))
        opt.penalties[0].alpha = alpha
        train(model, opt, 100)
        sizes.append(sum(w.abs().sum().item() for w in prunable_weights(model)))
    assert sizes[1] < 0.8 * sizes[0]


def test_weight_decay_is_off_for_penalised_tensors_and_on_for_the_others():
    model = net()
    base = torch.optim.AdamW(model.parameters(), lr=0.01, weight_decay=0.3)
    with pytest.warns(SpredWarning, match="weight_decay is switched off.*inside the objective") as caught:
        opt = SpredOptimizer(base, L1(prunable_weights(model), 0.0))
    assert len([w for w in caught if w.category is SpredWarning]) == 1
    for p in model.parameters():
        p.grad = torch.zeros_like(p)
    before = [p.detach().clone() for p in model.parameters()]
    opt.step()
    for old, new in zip(before, model.parameters(), strict=True):
        torch.testing.assert_close(new.detach(), old if old.ndim == 2 else old * (1 - 0.01 * 0.3))
    opt.param_groups[0]["weight_decay"] = 0.9
    opt.step()
    torch.testing.assert_close(model[0].weight.detach(), before[0])


def test_no_warning_without_weight_decay_or_where_it_only_meets_others():
    model = net()
    groups = [{"params": prunable_weights(model), "weight_decay": 0.0}, {"params": [model[0].bias, model[2].bias]}]
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        SpredOptimizer(torch.optim.AdamW(groups, lr=0.01), L1(prunable_weights(model), 0.01))
    assert not heard


def test_decay_budget_of_sgd_is_the_sum_of_its_steps():
    model = nn.Linear(6, 2, bias=False)
    opt = SpredOptimizer(
        torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.5), L1(model.weight, 0.1), metric=False
    )
    assert opt.decay_budget()[model.weight] == 0.0
    train(model, opt, 1000)
    assert opt.decay_budget()[model.weight] == pytest.approx(1000 * 0.01 * 0.1 / (1 - 0.5), rel=0.02)


def test_decay_budget_goes_on_over_a_mask_and_is_unknown_after_a_balanced_split():
    model = nn.Linear(6, 2, bias=False)
    opt = SpredOptimizer(torch.optim.SGD(model.parameters(), lr=0.01), L1(model.weight, 0.1), metric=False)
    train(model, opt, 500)
    with torch.no_grad():
        model.weight[0] = 0.0
    train(model, opt, 500)
    assert opt.decay_budget()[model.weight] == pytest.approx(1000 * 0.01 * 0.1, rel=0.02)
    balanced = SpredOptimizer(torch.optim.SGD(model.parameters(), lr=0.01), L1(model.weight, 0.1), balanced=True)
    assert math.isnan(balanced.decay_budget()[model.weight])


# --- weights written from outside -------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [L1, GroupL1])
def test_a_loaded_model_is_noticed(kind):
    model, other = net(), net()
    train(other, torch.optim.SGD(other.parameters(), lr=0.1), 20)
    opt = SpredOptimizer(torch.optim.SGD(model.parameters(), lr=0.0), kind(prunable_weights(model), 0.01))
    train(model, opt, 3)
    model.load_state_dict(other.state_dict())
    train(model, opt, 1)
    torch.testing.assert_close(model[0].weight, other[0].weight)


def test_a_write_that_torch_does_not_count_is_taken_over_by_resplit():
    model = net()
    opt = SpredOptimizer(torch.optim.SGD(model.parameters(), lr=0.1), L1(prunable_weights(model), 0.01))
    train(model, opt, 1)
    model[0].weight.data[0] = 0.0
    opt.resplit()
    train(model, opt, 3)
    assert torch.count_nonzero(model[0].weight[0]) == 0


@pytest.mark.parametrize("memory", ["rows", "channels last"])
def test_a_step_notices_an_average_written_through_data(memory):
    torch.manual_seed(0)
    model, inputs = nn.Linear(300, 20), torch.zeros(4, 300)  # more weights than a step compares
    if memory == "channels last":
        model, inputs = nn.Conv2d(30, 20, 3).to(memory_format=torch.channels_last), torch.zeros(4, 30, 5, 5)
    opt = SpredOptimizer(torch.optim.SGD(model.parameters(), lr=0.1), L1(prunable_weights(model), 0.0))
    for _ in range(2):
        average = 0.5 * model.weight.detach() + 0.1
        model.weight.data.copy_(average)
        opt.zero_grad()
        model(inputs).square().mean().backward()  # no gradient in the weights: the step keeps what was written
        opt.step()
        torch.testing.assert_close(model.weight.detach(), average)


@pytest.mark.parametrize("name", ["SGD", "Adam", "Adagrad", "RMSprop", "LBFGS"])
def test_a_mask_stays_a_mask(name):
    options = {"SGD": {"momentum": 0.9}}.get(name, {})
    model = net()
    opt = SpredOptimizer(
        getattr(torch.optim, name)(model.parameters(), lr=0.01, **options), L1(prunable_weights(model), 1e-3)
    )

    def closure():
        opt.zero_grad()
        loss = nn.functional.mse_loss(model(X), Y)
        loss.backward()
        return loss

    for _ in range(5):
        opt.step(closure)
    mask = torch.rand_like(model[0].weight) < 0.5
    with torch.no_grad():
        model[0].weight.masked_fill_(mask, 0.0)
    kept = model[0].weight[~mask].detach().clone()
    for _ in range(5):
        opt.step(closure)
    assert torch.count_nonzero(model[0].weight[mask]) == 0
    assert not torch.equal(model[0].weight[~mask], kept)


def test_a_group_mask_closes_the_whole_group_and_its_moments():
    model = net()
    opt = SpredOptimizer(adam(model), GroupL1(model[0].weight, 1e-3, dim=1))
    train(model, opt, 5)
    with torch.no_grad():
        model[0].weight[:, 2] = 0.0
    train(model, opt, 5)
    assert torch.count_nonzero(model[0].weight[:, 2]) == 0
    assert torch.count_nonzero(model[0].weight) == 25
    for moments in moments_of(opt):
        assert torch.count_nonzero(moments["exp_avg"][:, 2]) == 0
        assert torch.count_nonzero(moments["exp_avg"]) > 0


def test_what_was_not_written_keeps_its_factors_and_moments():
    model = net()
    opt = SpredOptimizer(adam(model), L1(model[0].weight, 1e-3))
    train(model, opt, 5)
    gate, full = (factor.detach().clone() for factor in opt.factored[0].factors)
    moment = moments_of(opt)[0]["exp_avg"].clone()
    with torch.no_grad():
        model[0].weight[0] *= 1.1
    opt.resplit()
    assert torch.equal(opt.factored[0].factors[0], gate)
    assert torch.equal(opt.factored[0].factors[1][1:], full[1:])
    assert torch.equal(moments_of(opt)[0]["exp_avg"], moment)


@pytest.mark.parametrize("depth", [2, 3])
@pytest.mark.parametrize("kind", [L1, GroupL1])
def test_a_closed_weight_can_be_written_open_again_at_a_sound_scale(kind, depth):
    model = net()
    opt = SpredOptimizer(adam(model), kind(prunable_weights(model), 1e-3, depth=depth))
    with torch.no_grad():
        old = model[0].weight.clone()
        model[0].weight.zero_()
    train(model, opt, 2)
    assert torch.count_nonzero(model[0].weight) == 0
    with torch.no_grad():
        model[0].weight.copy_(old)
    opt.resplit()
    torch.testing.assert_close(opt.factored[0].product(), old)
    assert all(factor.abs().max() < 10 for factor in opt.factored[0].factors)
    train(model, opt, 2)
    assert not torch.equal(model[0].weight, old)


# --- checkpoints ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [L1, GroupL1])
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("SGD", {"momentum": 0.9}),
        ("AdamW", {"weight_decay": 0.1}),
        ("Adagrad", {}),
        ("LBFGS", {"max_iter": 4}),
    ],
)
@pytest.mark.filterwarnings("ignore::spred.errors.SpredWarning")
def test_resume_is_bit_for_bit_and_needs_no_pickle(name, options, kind):
    def make():
        model = net()
        opt = SpredOptimizer(
            getattr(torch.optim, name)(model.parameters(), lr=0.05, **options), kind(prunable_weights(model), 0.01)
        )
        return model, opt, torch.optim.lr_scheduler.StepLR(opt, 3, gamma=0.5)

    def run(model, opt, schedule, n_steps):
        def closure():
            opt.zero_grad()
            loss = nn.functional.mse_loss(model(X), Y)
            loss.backward()
            return loss

        for _ in range(n_steps):
            opt.step(closure)
            schedule.step()

    model, opt, schedule = make()
    run(model, opt, schedule, 5)
    opt.penalties[0].alpha = 0.02
    saved = through_a_file([model.state_dict(), opt.state_dict(), schedule.state_dict()])
    run(model, opt, schedule, 5)

    again, opt_again, schedule_again = make()
    for part, state in zip((again, opt_again, schedule_again), saved, strict=True):
        part.load_state_dict(state)
    assert opt_again.penalties[0].alpha == 0.02
    run(again, opt_again, schedule_again, 5)
    for a, b in zip(model.parameters(), again.parameters(), strict=True):
        assert torch.equal(a, b)
    assert opt.decay_budget()[model[0].weight] == opt_again.decay_budget()[again[0].weight]


def test_a_state_of_another_model_is_refused():
    model = net()
    opt = SpredOptimizer(adam(model), L1(prunable_weights(model), 0.01))
    other = nn.Linear(3, 2)
    state = SpredOptimizer(adam(other), L1(other.weight, 0.01)).state_dict()
    with pytest.raises(StateError, match="same model with the same penalties"):
        opt.load_state_dict(state)
    with pytest.raises(StateError, match="lacks"):
        opt.load_state_dict(adam(model).state_dict())


# --- tensors of every kind --------------------------------------------------------------------------------


def test_tied_weights_stay_tied():
    model = nn.Sequential(nn.Embedding(6, 4), nn.Linear(4, 6))
    model[1].weight = model[0].weight
    opt = SpredOptimizer(adam(model), L1(prunable_weights(model), 0.01))
    train(model, opt, 3, torch.arange(6), torch.eye(6))
    assert model[1].weight is model[0].weight
    assert len(opt.factored) == 1


def test_frozen_tensors_and_those_without_gradient_do_not_move():
    model = net()
    opt = SpredOptimizer(
        torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9), L1([model[0].weight, model[2].weight], 0.5)
    )
    model[0].weight.requires_grad_(False)
    before = [w.detach().clone() for w in (model[0].weight, model[2].weight)]
    train(model, opt, 2)
    assert torch.equal(model[0].weight, before[0])
    assert not torch.equal(model[2].weight, before[1])
    now = model[2].weight.detach().clone()
    opt.zero_grad()
    opt.step()
    assert torch.equal(model[2].weight, now)


@pytest.mark.parametrize("kind", [L1, GroupL1])
def test_bfloat16_parameters_have_float32_factors(kind):
    model = net(torch.bfloat16)
    opt = SpredOptimizer(torch.optim.SGD(model.parameters(), lr=1e-3), kind(prunable_weights(model), 0.01))
    assert {factor.dtype for entry in opt.factored for factor in entry.factors} == {torch.float32}
    train(model, opt, 200, X.bfloat16(), Y.bfloat16())
    exact = net()
    train(exact, SpredOptimizer(torch.optim.SGD(exact.parameters(), lr=1e-3), kind(prunable_weights(exact), 0.01)), 200)
    assert model[0].weight.dtype == torch.bfloat16
    # Steps of 1e-3 vanish in bfloat16's eight bits; the factors keep them.
    assert (model[0].weight.float() - exact[0].weight).abs().max() < 5e-3


def test_a_tensor_of_zeros_can_leave_zero():
    model = nn.Linear(6, 2)
    nn.init.zeros_(model.weight)
    opt = SpredOptimizer(torch.optim.SGD(model.parameters(), lr=0.1), L1(model.weight, 1e-3))
    train(model, opt, 20)
    assert torch.count_nonzero(model.weight) == 12


def test_sparse_gradients_are_refused():
    model = nn.Embedding(6, 4, sparse=True)
    opt = SpredOptimizer(torch.optim.SGD(model.parameters(), lr=0.1), L1(model.weight, 0.1))
    model(torch.tensor([1, 2])).sum().backward()
    with pytest.raises(InputError, match="sparse=False"):
        opt.step()


def test_wrong_bases_are_refused_in_a_sentence():
    model = net()
    penalty = L1(prunable_weights(model), 0.1)
    with pytest.raises(InputError, match="give an instance"):
        SpredOptimizer(torch.optim.SGD, penalty)
    with pytest.raises(InputError, match="give an instance"):
        SpredOptimizer(SpredOptimizer(adam(model), penalty), penalty)
    with pytest.raises(InputError, match=r"\(5, 6\) is not in the optimiser"):
        SpredOptimizer(adam(net()), penalty)
    with pytest.raises(InputError, match="negate the loss"):
        SpredOptimizer(torch.optim.SGD(model.parameters(), lr=0.1, maximize=True), penalty)
    used = adam(model)
    train(model, used, 2)
    with pytest.raises(StateError, match="already taken steps"):
        SpredOptimizer(used, penalty)
