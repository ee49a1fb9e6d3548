"""A sparse network with Hugging Face Accelerate: wrap the optimiser before ``prepare``.

Run it with ``python examples/accelerate_digits.py``; it needs ``pip install accelerate`` and takes a few seconds.
"""

from __future__ import annotations

import torch
from accelerate import Accelerator
from torch import nn
from torch_digits import accuracy, load

import spred

EPOCHS = 60


def main() -> dict[str, float]:
    """Train, finalize, and return the figures."""
    torch.manual_seed(0)
    data, held_out = load()
    accelerator = Accelerator(cpu=True)
    model = nn.Sequential(nn.Linear(64, 100), nn.ReLU(), nn.Linear(100, 10))
    base = torch.optim.SGD(model.parameters(), lr=0.2, momentum=0.9)
    sparse = spred.SpredOptimizer(base, spred.L1(spred.prunable_weights(model), alpha=3e-3))
    loader = torch.utils.data.DataLoader(data, batch_size=64, shuffle=True)
    model, opt, loader = accelerator.prepare(model, sparse, loader)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(opt, EPOCHS)
    for _ in range(EPOCHS):
        for inputs, labels in loader:
            opt.zero_grad()
            accelerator.backward(nn.functional.cross_entropy(model(inputs), labels))
            opt.step()
        schedule.step()
    plain = accelerator.unwrap_model(model)
    record = spred.finalize(plain, sparse, loader, nn.functional.cross_entropy)
    print(record)
    return {"accuracy": accuracy(plain, held_out), "density": record.density}


if __name__ == "__main__":
    main()
