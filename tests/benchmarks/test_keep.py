"""A results file keeps what others wrote, and a run that is made again takes the place of its rows alone."""

from __future__ import annotations

from pathlib import Path

import pytest
from selection import keep


def test_a_run_made_again_replaces_its_own_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keep, "RESULTS", tmp_path)
    one, other = (keep.Kept("some", {"versions": {package: "1"}}) for package in ("a", "b"))
    task, beside = ("xor", "network", 0, 0), ("xor", "network", 1, 0)
    one.add(task, [{"rule": "1se", "score": 0.5}, {"rule": "min", "score": 0.6}])
    other.add(beside, [{"rule": "1se", "score": 0.7}])
    assert one.has(task)
    assert not one.has(("xor", "forest", 0, 0))
    one.add(task, [{"rule": "1se", "score": 0.9}])
    assert [(run["seed"], run["rule"], run["score"]) for run in other.runs()] == [(1, "1se", 0.7), (0, "1se", 0.9)]
    assert set(other._known()["versions"]) == {"a", "b"}
