"""A sparse network for handwritten digits: what changes in a working training loop, and what it gives.

Run it with ``python examples/torch_digits.py``; it takes a few seconds. It trains the same small network twice, dense
and with an L1 penalty, on the 8 × 8 digits that come with scikit-learn.
"""

from __future__ import annotations

import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import spred

EPOCHS = 60


def load() -> tuple[TensorDataset, TensorDataset]:
    """Return training and test images, scaled to [0, 1], with their labels."""
    X, y = load_digits(return_X_y=True)
    parts = train_test_split(X / 16.0, y, test_size=0.3, stratify=y, random_state=0)
    X_train, X_test = (torch.as_tensor(part, dtype=torch.float32) for part in parts[:2])
    y_train, y_test = (torch.as_tensor(part) for part in parts[2:])
    return TensorDataset(X_train, y_train), TensorDataset(X_test, y_test)


def train(data: TensorDataset, alpha: float) -> tuple[nn.Module, torch.optim.Optimizer]:
    """Train the network; with ``alpha`` above 0, the two lines below make it sparse."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(64, 100), nn.ReLU(), nn.Linear(100, 10))
    loader = DataLoader(data, batch_size=64, shuffle=True)
    opt: torch.optim.Optimizer = torch.optim.SGD(model.parameters(), lr=0.2, momentum=0.9)
    if alpha:
        penalty = spred.L1(spred.prunable_weights(model), alpha=alpha)
        opt = spred.SpredOptimizer(opt, penalty)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(opt, EPOCHS)
    for _ in range(EPOCHS):
        for inputs, labels in loader:
            opt.zero_grad()
            nn.functional.cross_entropy(model(inputs), labels).backward()
            opt.step()
        schedule.step()
    return model, opt


def accuracy(model: nn.Module, data: TensorDataset) -> float:
    """Return the accuracy on these images."""
    inputs, labels = data.tensors
    with torch.no_grad():
        return float((model(inputs).argmax(dim=1) == labels).float().mean())


def main() -> dict[str, float]:
    """Train dense and sparse, print both, and return the figures."""
    data, held_out = load()
    dense, _ = train(data, alpha=0.0)
    sparse, opt = train(data, alpha=3e-3)
    loader = DataLoader(data, batch_size=256)
    print(spred.inspect(sparse, opt, loader, nn.functional.cross_entropy))
    print()
    record = spred.finalize(sparse, opt, loader, nn.functional.cross_entropy)
    print(record)
    figures = {
        "dense_accuracy": accuracy(dense, held_out),
        "sparse_accuracy": accuracy(sparse, held_out),
        "density": record.density,
    }
    print(f"\ntest accuracy: dense {figures['dense_accuracy']:.3f}, sparse {figures['sparse_accuracy']:.3f}")
    return figures


if __name__ == "__main__":
    main()
