"""Who is told of each epoch beside the terminal: TensorBoard, if asked for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from spred.compress.training.trainer import Epoch, Listener
from spred.runtime.extras import extra


@contextmanager
def tensorboard(folder: str | Path) -> Iterator[Listener]:
    """Give a listener that writes TensorBoard logs into ``folder``: loss and validation accuracy of each stage.

    Raises:
        MissingPackageError: TensorBoard is not installed.
    """
    writer = extra("torch.utils.tensorboard").SummaryWriter(str(folder))

    def listen(epoch: Epoch) -> None:
        writer.add_scalar(f"{epoch.stage}/loss", epoch.loss, epoch.number)
        writer.add_scalar(f"{epoch.stage}/validation", epoch.validation, epoch.number)

    try:
        yield listen
    finally:
        writer.close()
