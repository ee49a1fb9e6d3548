"""Labels number the groups, and say so where they do not."""

from __future__ import annotations

import numpy as np
import pytest
from strategies import WORLDS, send

from spred.core.partition import Labels
from spred.errors import InputError


@pytest.mark.parametrize("labels", [[0, 2], [-1, 0]])
def test_labels_outside_the_groups_are_refused(labels: list[int]) -> None:
    with pytest.raises(InputError, match=r"outside 0 … 1; number the groups from 0"):
        Labels(np.array(labels), 2)


@pytest.mark.parametrize("world", WORLDS)
def test_empty_labels_of_some_groups_are_refused(world: str) -> None:
    with pytest.raises(InputError, match="empty"):
        Labels(send(world, np.zeros(0, dtype=np.int64)), 1)
