"""Checkpoints of stages: after each epoch a stage saves its state, and a resumed run goes on from there.

A run that is resumed goes through the same stages again. A stage that had ended loads its last state and does
nothing; one that was cut short goes on at its next epoch. Everything that the numbers depend on is in the state, random
generators too, so the result is the same bit for bit. Files are read back without pickle's power to run code.
"""

from __future__ import annotations

import re
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from spred.errors import FileError, first_line, where
from spred.runtime.files.atomic import whole_file
from spred.runtime.tasks import digest

State = dict[str, Any]


@dataclass(frozen=True)
class Keep:
    """A folder of states, one file for each stage.

    >>> import tempfile
    >>> keep = Keep(Path(tempfile.mkdtemp()))
    >>> keep.save("dense", {"epoch": 3})
    >>> keep.load("dense"), keep.load("spred, alpha 0.1")
    ({'epoch': 3}, None)
    """

    folder: Path

    def of(self, *inputs: object) -> Keep:
        """Return the folder for one recipe on one set of data; others have another one."""
        return Keep(self.folder / digest(*inputs))

    def path(self, stage: str, suffix: str = ".pt") -> Path:
        """Return the file of a stage; its folder is there."""
        self.folder.mkdir(parents=True, exist_ok=True)
        return self.folder / (re.sub(r"[^\w.+-]+", "-", stage) + suffix)

    def load(self, stage: str) -> State | None:
        """Return the last state of a stage; None if there is none.

        Raises:
            FileError: its file is damaged, or holds something else.
        """
        path = self.path(stage)
        if not path.exists():
            return None
        with where(str(path)):
            check_whole(path)
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")  # of torch, about pickles that it did not write
                    state = torch.load(path, map_location="cpu", weights_only=True)
            except Exception as err:  # torch has many kinds for what it cannot read
                raise FileError(f"cannot be read: {first_line(err)}") from err
            if not isinstance(state, dict):
                raise FileError(f"holds a {type(state).__name__}, and no state")
        return state

    def save(self, stage: str, state: State) -> None:
        """Keep the state of a stage; its file appears whole or not at all."""
        with whole_file(self.path(stage)) as work:
            torch.save(state, work)


def check_whole(path: Path) -> None:
    """Compare the checksums of a file of ``torch.save``, which torch does not: a bit that turned would be a weight.

    Raises:
        FileError: the file was cut short or changed, or it would unpack to more than its length.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            packed = [one.filename for one in members if one.compress_type != zipfile.ZIP_STORED]
            if packed or sum(one.file_size for one in members) > path.stat().st_size:
                raise FileError("is not as torch.save writes it: its parts are packed, or overlap")
            damaged = archive.testzip()
    except FileError:
        raise
    except Exception as err:  # zipfile has many kinds for a damaged archive
        raise FileError(f"is damaged: {first_line(err)}") from err
    if damaged is not None:
        raise FileError(f"is damaged: the checksum of {damaged!r} is another")


@contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Seed torch inside the block; the caller's own generators are as before after it."""
    with torch.random.fork_rng(devices=_indices(device)):
        torch.manual_seed(seed)
        yield


def random_state(device: torch.device) -> list[torch.Tensor]:
    """Return the states of torch's own generators, which dropout draws from."""
    return [torch.get_rng_state(), *(torch.cuda.get_rng_state(k) for k in _indices(device))]


def set_random_state(states: list[torch.Tensor], device: torch.device) -> None:
    """Put back what :func:`random_state` returned."""
    torch.set_rng_state(states[0])
    for state, k in zip(states[1:], _indices(device), strict=True):
        torch.cuda.set_rng_state(state, k)


def _indices(device: torch.device) -> list[int]:
    if device.type != "cuda":
        return []
    return [torch.cuda.current_device() if device.index is None else device.index]
