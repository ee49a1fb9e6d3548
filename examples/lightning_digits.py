"""A sparse network with Lightning: the optimiser is wrapped where Lightning asks for it, and nothing else changes.

Run it with ``python examples/lightning_digits.py``; it needs ``pip install lightning`` and takes a few seconds.
"""

from __future__ import annotations

import lightning
import torch
from torch import Tensor, nn
from torch_digits import accuracy, load

import spred

EPOCHS = 60


class Digits(lightning.LightningModule):
    """A small network for 8 × 8 digits."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(64, 100), nn.ReLU(), nn.Linear(100, 10))

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the scores of the ten digits."""
        return self.net(inputs)

    def training_step(self, batch: tuple[Tensor, Tensor], index: int) -> Tensor:
        """Return the plain loss; the penalty is the optimiser's business."""
        inputs, labels = batch
        return nn.functional.cross_entropy(self(inputs), labels)

    def configure_optimizers(self) -> dict:
        """Return the wrapped optimiser and its schedule."""
        base = torch.optim.SGD(self.parameters(), lr=0.2, momentum=0.9)
        opt = spred.SpredOptimizer(base, spred.L1(spred.prunable_weights(self), alpha=3e-3))
        return {"optimizer": opt, "lr_scheduler": torch.optim.lr_scheduler.CosineAnnealingLR(opt, EPOCHS)}


def main() -> dict[str, float]:
    """Train, finalize, and return the figures."""
    lightning.seed_everything(0, verbose=False)
    data, held_out = load()
    loader = torch.utils.data.DataLoader(data, batch_size=64, shuffle=True)
    model = Digits()
    trainer = lightning.Trainer(
        max_epochs=EPOCHS,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(model, loader)
    record = spred.finalize(model, trainer.optimizers[0], loader, nn.functional.cross_entropy)
    print(record)
    return {"accuracy": accuracy(model, held_out), "density": record.density}


if __name__ == "__main__":
    main()
