"""``scripts/bench torch``: each method trains, makes its zeros, and holds them in the refit."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from networks import suite
from networks.methods import METHODS
from networks.objective import run

from spred.compress.data.dataset import Images, Part

pytestmark = pytest.mark.filterwarnings("ignore:the decay budget")


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(n_threads)


@pytest.fixture(scope="module")
def images() -> Images:
    """Images of 28 × 28 pixels on which a bright bar tells the class."""
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(60, (768, 1, 28, 28), generator=generator, dtype=torch.uint8)
    labels = torch.randint(10, (768,), generator=generator)
    pixels[torch.arange(768), 0, 2 * labels] += 120
    parts = [Part(pixels[rows], labels[rows]) for rows in (slice(512), slice(512, 640), slice(640, None))]
    return Images(*parts, tuple("0123456789"), (0.12,), (0.08,))


@pytest.mark.parametrize("name", suite.available(list(METHODS)))
def test_each_method_trains_and_reaches_the_density_that_it_is_given(name: str, images: Images):
    strength = METHODS[name].GRID[0]
    result = run(METHODS[name], strength, images, 0, 7, 2)
    assert result.validation > 0.8
    assert result.test > 0.8
    assert result.seconds > 0
    assert result.density == pytest.approx(strength, rel=0.1) if strength >= 0.01 else 0.5 < result.density <= 1.0


def test_no_refit_is_no_epoch_of_it(images: Images):
    few = run(METHODS["magnitude"], 0.04, images, 0, 2, 0)
    assert few.density == pytest.approx(0.04, rel=0.01)
