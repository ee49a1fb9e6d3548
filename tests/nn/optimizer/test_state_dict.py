"""A checkpoint goes on bit for bit, needs no pickle, and is refused where it does not belong."""

import io

import pytest
import torch
from tiny_network import X, Y, adam, net
from torch import nn

from spred.errors import StateError
from spred.nn.optimizer.optimizer import SpredOptimizer
from spred.nn.penalties import L1, GroupL1, prunable_weights


def through_a_file(state):
    """Save and load without pickle."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    buffer.seek(0)
    return torch.load(buffer, weights_only=True)


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
