"""Training loops that people write: Muon, autocast, loss scaling, compiled models, wrappers."""

import numpy as np
import pytest
import torch
from torch import nn

import spred
from spred.errors import InputError, SpredWarning
from spred.nn.optimizer.optimizer import SpredOptimizer
from spred.nn.penalties import L1, GroupL1, prunable_weights

X = torch.randn(64, 6, generator=torch.Generator().manual_seed(0))
Y = X[:, :2] - X[:, 2:4]
MSE = nn.functional.mse_loss

needs_muon = pytest.mark.skipif(not hasattr(torch.optim, "Muon"), reason="this torch has no Muon")


def net():
    torch.manual_seed(2)
    return nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 2))


def matrices(model):
    return [p for p in model.parameters() if p.ndim == 2]


@needs_muon
@pytest.mark.parametrize("kind", [L1, GroupL1])
def test_muon_minimises_the_penalised_loss(kind):
    rng = np.random.default_rng(0)
    design = rng.normal(size=(80, 12))
    truth = np.zeros((12, 3))
    truth[:4] = rng.normal(size=(4, 3))
    y, alpha = design @ truth + 0.1 * rng.normal(size=(80, 3)), 0.1 if kind is L1 else 0.2
    inputs, target = torch.tensor(design, dtype=torch.float32), torch.tensor(y, dtype=torch.float32)
    torch.manual_seed(0)
    model = nn.Linear(12, 3, bias=False)
    options = {} if kind is L1 else {"dim": 1}
    opt = SpredOptimizer(
        torch.optim.Muon(model.parameters(), lr=0.05, weight_decay=0.0), kind(model.weight, alpha, **options)
    )
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(opt, 1500)

    def data_term():
        return 0.5 * (model(inputs) - target).square().sum(dim=1).mean()

    for _ in range(1500):
        opt.zero_grad()
        data_term().backward()
        opt.step()
        schedule.step()
    reached = float((data_term() + opt.factored[0].target.core().value(model.weight)).detach())
    # Each output is a Lasso; with a group for each input, a group lasso over all outputs at once.
    if kind is L1:
        exact = np.stack([spred.solve(design, y[:, k], alpha=alpha, fit_intercept=False).coef for k in range(3)])
        size = np.abs(exact).sum()
    else:
        wide, flat = np.kron(np.eye(3), design), y.T.ravel()
        groups = np.tile(np.arange(12), 3)
        exact = spred.solve(
            wide, flat, alpha=alpha / 3, fit_intercept=False, feature_groups=groups, penalty_weights=np.ones(12)
        ).coef.reshape(3, 12)
        size = np.linalg.norm(exact, axis=0).sum()
    best = 0.5 * np.mean(np.sum((y - design @ exact.T) ** 2, axis=1)) + alpha * size
    assert best * (1 - 1e-5) <= reached <= 1.02 * best


@needs_muon
def test_muon_gets_matrices_only_and_its_own_decay_is_off():
    model = net()
    base = torch.optim.Muon(matrices(model), lr=0.02)
    with pytest.warns(SpredWarning, match="weight_decay is switched off"):
        SpredOptimizer(base, L1(matrices(model), 1e-3))
    base = torch.optim.Muon(matrices(model), lr=0.02, weight_decay=0.0)
    labels = torch.arange(48).reshape(8, 6) % 5
    with pytest.raises(InputError, match="Muon takes matrices only"):
        SpredOptimizer(base, GroupL1(model[0].weight, 1e-3, groups=labels))


def steps(model, opt, loss, n_steps=200):
    first = None
    for _ in range(n_steps):
        opt.zero_grad()
        value = loss()
        first = value.item() if first is None else first
        value.backward()
        opt.step()
    return first, loss().item()


@pytest.mark.parametrize("kind", [L1, GroupL1])
def test_bfloat16_autocast_trains_float32_weights(kind):
    model = net()
    opt = SpredOptimizer(
        torch.optim.AdamW(model.parameters(), lr=0.02, weight_decay=0.0), kind(prunable_weights(model), 1e-3)
    )

    def loss():
        with torch.autocast("cpu", dtype=torch.bfloat16):
            out = model(X)
        return MSE(out.float(), Y)

    first, last = steps(model, opt, loss)
    assert last < 0.3 * first
    assert model[0].weight.dtype == opt.factored[0].factors[0].dtype == torch.float32


def test_bfloat16_models_train_through_float32_factors():
    model = net().bfloat16()
    opt = SpredOptimizer(torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9), L1(prunable_weights(model), 1e-3))
    first, last = steps(model, opt, lambda: MSE(model(X.bfloat16()).float(), Y), 400)
    assert last < 0.3 * first
    assert {p.dtype for entry in opt.factored for p in entry.factors} == {torch.float32}
    assert torch.equal(opt.factored[0].product(), model[0].weight)


def test_a_scaled_loop_takes_the_steps_of_a_plain_one():
    def run(scaled):
        model = net()
        opt = SpredOptimizer(
            torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9), L1(prunable_weights(model), 1e-2)
        )
        scaler = torch.amp.GradScaler("cpu", init_scale=1024.0, enabled=scaled)
        for _ in range(10):
            opt.zero_grad()
            scaler.scale(MSE(model(X), Y)).backward()
            scaler.unscale_(opt)
            nn.utils.clip_grad_norm_(model.parameters(), 0.5)
            scaler.step(opt)
            scaler.update()
        return model

    for a, b in zip(run(True).parameters(), run(False).parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-6)


def test_a_compiled_model_trains_like_the_plain_one():
    def run(compiled):
        model = net()
        opt = SpredOptimizer(
            torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9), L1(prunable_weights(model), 1e-2)
        )
        called = torch.compile(model, backend="aot_eager") if compiled else model
        steps(model, opt, lambda: MSE(called(X), Y), 20)
        return model, opt

    (plain, _), (traced, opt) = run(False), run(True)
    for a, b in zip(plain.parameters(), traced.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-6)
    assert spred.inspect(torch.compile(traced, backend="aot_eager"), opt, [(X, Y)], MSE).rows[0].residual is not None


def test_checkpointed_activations_and_shared_layers_train_alike():
    def run(checkpointed):
        torch.manual_seed(0)
        layer, head = nn.Linear(6, 6), nn.Linear(6, 2)
        both = nn.ModuleList([layer, head])
        opt = SpredOptimizer(torch.optim.Adam(both.parameters(), lr=0.01), L1(prunable_weights(both), 1e-2))

        def twice(x):
            return torch.tanh(layer(torch.tanh(layer(x))))

        def loss():
            hidden = torch.utils.checkpoint.checkpoint(twice, X, use_reentrant=False) if checkpointed else twice(X)
            return MSE(head(hidden), Y)

        steps(both, opt, loss, 20)
        return both

    for a, b in zip(run(True).parameters(), run(False).parameters(), strict=True):
        torch.testing.assert_close(a, b)


def test_moving_averages_and_swaps_of_weights_are_followed():
    model = net()
    opt = SpredOptimizer(torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9), L1(prunable_weights(model), 1e-3))
    average = torch.optim.swa_utils.AveragedModel(model, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.9))
    for _ in range(20):
        steps(model, opt, lambda: MSE(model(X), Y), 1)
        average.update_parameters(model)
    model.load_state_dict(average.module.state_dict())
    before = [w.detach().clone() for w in prunable_weights(model)]
    opt.resplit()
    for entry, value in zip(opt.factored, before, strict=True):
        torch.testing.assert_close(entry.product(), value)
    first, last = steps(model, opt, lambda: MSE(model(X), Y), 50)
    assert last < first


class Averaged(torch.optim.Optimizer):
    """Gradient descent on z, whose running mean is what is evaluated: schedule-free, in its plainest form."""

    def __init__(self, params, lr):
        super().__init__(params, {"lr": lr, "k": 0, "train_mode": False})

    def _move(self, mode, weight):
        for group in self.param_groups:
            if group["train_mode"] is not mode:
                group["train_mode"] = mode
                for p in group["params"]:
                    if "z" in self.state[p]:
                        p.lerp_(self.state[p]["z"], weight)

    @torch.no_grad()
    def train(self):
        self._move(True, 0.1)

    @torch.no_grad()
    def eval(self):
        self._move(False, 1 - 1 / 0.9)

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            if not group["train_mode"]:
                raise RuntimeError("call train() first")
            group["k"] += 1
            for p in group["params"]:
                if p.grad is not None:
                    z = self.state[p].setdefault("z", p.clone())
                    p.lerp_(z, 1 - 1 / 0.9)
                    z.sub_(p.grad, alpha=group["lr"])
                    p.lerp_(z, 1 / group["k"])
                    p.lerp_(z, 0.1)


@pytest.mark.filterwarnings("ignore:the decay budget")
@pytest.mark.parametrize("kind", [L1, GroupL1])
def test_a_schedule_free_base_trains_and_finalizes(kind):
    model = net()
    opt = SpredOptimizer(Averaged(model.parameters(), lr=0.3), kind(prunable_weights(model), 1e-2))
    opt.train()
    first, last = steps(model, opt, lambda: MSE(model(X), Y), 300)
    assert last < 0.5 * first
    opt.eval()
    assert not torch.equal(opt.factored[0].factors[0], opt.base.state[opt.factored[0].factors[0]]["z"])
    averaged = MSE(model(X), Y).item()
    assert averaged < 0.5 * first
    for entry in opt.factored:
        torch.testing.assert_close(entry.product(), entry.place.value())
    zeros = spred.finalize(model, opt, threshold=0.5).zeroed
    assert zeros > 0
    masks = [w == 0 for w in prunable_weights(model)]
    opt.train()
    steps(model, opt, lambda: MSE(model(X), Y), 20)
    opt.eval()
    assert not any(w[mask].any() for w, mask in zip(prunable_weights(model), masks, strict=True))


def test_train_and_eval_are_nothing_to_other_bases():
    model = net()
    opt = SpredOptimizer(torch.optim.SGD(model.parameters(), lr=0.1), L1(prunable_weights(model), 1e-3))
    before = model[0].weight.detach().clone()
    opt.train()
    opt.eval()
    assert torch.equal(model[0].weight, before)


@pytest.mark.parametrize("kind", [L1, GroupL1])
@pytest.mark.parametrize("to", [torch.float16, torch.bfloat16, torch.float64])
def test_a_model_may_change_its_dtype_midway(kind, to):
    model = net()
    opt = SpredOptimizer(torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9), kind(prunable_weights(model), 1e-3))
    first, _ = steps(model, opt, lambda: MSE(model(X), Y), 100)
    model.to(to)
    for p in model.parameters():
        if "momentum_buffer" in opt.base.state[p]:  # of biases, which torch leaves as they are
            opt.base.state[p]["momentum_buffer"] = opt.base.state[p]["momentum_buffer"].to(to)
    _, last = steps(model, opt, lambda: MSE(model(X.to(to)).float(), Y), 100)
    assert last < 0.5 * first
    assert {w.dtype for w in prunable_weights(model)} == {to}
    for entry in opt.factored:
        assert torch.equal(entry.product(), entry.place.value())
    opt.zero_groups(entry, torch.ones_like(entry.factors[0], dtype=torch.bool))
    assert not model[2].weight.any()
