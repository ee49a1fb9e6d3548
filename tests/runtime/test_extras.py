"""Packages that only some work needs: their table is that of pyproject.toml, and what is missing is one sentence."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from spred.errors import MissingPackageError, SpredError
from spred.runtime.extras import EXTRAS, extra

PYPROJECT = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
OPTIONAL = PYPROJECT["optional-dependencies"]
DISTRIBUTIONS = {"PIL": "pillow", "torch.utils.tensorboard": "tensorboard"}
"""Modules whose distribution has another name than their first word."""

FOR_DEVELOPERS = {"test", "dev", "examples"}


def distributions(extra_name: str) -> set[str]:
    """The distributions that an extra asks for, those of extras of ours within it left out."""
    return {re.split(r"[\[<>=!~; ]", line)[0].lower() for line in OPTIONAL[extra_name]} - {"torch-spred"}


@pytest.mark.parametrize("module", EXTRAS)
def test_the_extra_of_a_module_asks_for_its_distribution(module: str) -> None:
    name = next((found for start, found in DISTRIBUTIONS.items() if module.startswith(start)), module.split(".")[0])
    assert name in distributions(EXTRAS[module])


def test_every_extra_of_users_has_a_module() -> None:
    assert set(OPTIONAL) - FOR_DEVELOPERS == set(EXTRAS.values())


@pytest.mark.parametrize("module", EXTRAS)
def test_what_is_not_installed_is_one_sentence_with_its_remedy(module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr("spred.runtime.extras.import_module", missing)
    sentence = rf"{module} is not installed; it comes with pip install 'torch-spred\[{EXTRAS[module]}\]'"
    with pytest.raises(MissingPackageError, match=sentence) as caught:
        extra(module)
    assert isinstance(caught.value, SpredError)
    assert isinstance(caught.value, ImportError)


def test_what_is_installed_is_returned() -> None:
    pytest.importorskip("openpyxl")
    assert extra("openpyxl").load_workbook
