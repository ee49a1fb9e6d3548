"""A sparse network with the Hugging Face Trainer: hand it the wrapped optimiser and a schedule.

Run it with ``python examples/trainer_digits.py``; it needs ``pip install transformers accelerate`` and takes a few
seconds.
"""

from __future__ import annotations

import tempfile

import torch
from torch import Tensor, nn
from torch_digits import load
from transformers import Trainer, TrainingArguments

import spred

EPOCHS = 60


class Digits(nn.Module):
    """A small network for 8 × 8 digits, in the Trainer's words: named inputs, and the loss among the outputs."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(64, 100), nn.ReLU(), nn.Linear(100, 10))

    def forward(self, pixels: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """Return loss and scores."""
        scores = self.net(pixels)
        return {"loss": nn.functional.cross_entropy(scores, labels), "logits": scores}


def main() -> dict[str, float]:
    """Train, finalize, and return the figures."""
    torch.manual_seed(0)
    data, held_out = load()
    rows = [{"pixels": pixels, "labels": label} for pixels, label in data]
    model = Digits()
    base = torch.optim.SGD(model.parameters(), lr=0.2, momentum=0.9)
    opt = spred.SpredOptimizer(base, spred.L1(spred.prunable_weights(model), alpha=3e-3))
    n_steps = EPOCHS * -(-len(rows) // 64)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(opt, n_steps)
    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            output_dir=folder,
            num_train_epochs=EPOCHS,
            per_device_train_batch_size=64,
            save_strategy="no",
            report_to=[],
            use_cpu=True,
            disable_tqdm=True,
            logging_strategy="no",
        )
        trainer = Trainer(model=model, args=arguments, train_dataset=rows, optimizers=(opt, schedule))
        trainer.train()
        loader = trainer.get_train_dataloader()
    record = spred.finalize(model, opt, loader, lambda model, batch: model(**batch)["loss"])
    print(record)
    pixels, labels = held_out.tensors
    with torch.no_grad():
        right = model(pixels, labels)["logits"].argmax(dim=1) == labels
    return {"accuracy": float(right.float().mean()), "density": record.density}


if __name__ == "__main__":
    main()
