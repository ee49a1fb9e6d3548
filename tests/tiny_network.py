"""A network of two layers, its data and a training loop, for the tests of the optimiser."""

import torch
from torch import nn

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
