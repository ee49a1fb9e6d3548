"""What there is of memory is what the system says, and no more than a container may have."""

from __future__ import annotations

from pathlib import Path

import pytest

from spred.runtime.files import memory


def test_a_container_has_less_than_the_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    whole = memory.available_memory()
    (tmp_path / "max").write_text("1048576\n")
    (tmp_path / "none").write_text("max\n")
    monkeypatch.setattr(memory, "LIMITS", (str(tmp_path / "none"), str(tmp_path / "missing")))
    assert memory.available_memory() == pytest.approx(whole, rel=0.9)
    monkeypatch.setattr(memory, "LIMITS", (str(tmp_path / "max"),))
    assert memory.available_memory() == 1048576


def test_a_system_that_does_not_say_has_what_can_be_addressed(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(memory, "LIMITS", ())
    monkeypatch.setattr(memory, "_free", lambda: None)
    assert memory.available_memory() == 2**47
