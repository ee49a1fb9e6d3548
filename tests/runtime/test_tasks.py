"""Work in pieces: kept whole, taken up again, never mistaken for other work."""

from __future__ import annotations

import dataclasses
import os
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy import sparse

from spred.errors import MissingPackageError
from spred.runtime import tasks
from spred.runtime.tasks import Arrays, Store, digest, run_tasks, tracked, tracking, unfinished_work, workers


def square(x: int) -> Arrays:
    return {"square": np.array(x * x), "words": np.array(["a", "é"])}


def portable() -> Callable[[int], Arrays]:
    """The same as a closure, which other processes get by value: they cannot import this file."""
    return lambda x: {"square": np.array(x * x)}


def broken(x: int) -> Arrays:
    raise ZeroDivisionError(f"computed {x} again")


def values(pieces: list[Arrays]) -> list[int]:
    return [int(piece["square"]) for piece in pieces]


def test_what_is_kept_is_not_computed_again(tmp_path: Path) -> None:
    store = Store(tmp_path).stage("squares", 1)
    assert values(run_tasks(square, [(i,) for i in range(4)], store=store)) == [0, 1, 4, 9]
    again = run_tasks(broken, [(i,) for i in range(4)], store=store)
    assert values(again) == [0, 1, 4, 9]
    assert again[0]["words"].tolist() == ["a", "é"]
    with pytest.raises(ZeroDivisionError, match="computed 4 again"):
        run_tasks(broken, [(i,) for i in range(5)], store=store)


def test_progress_counts_what_was_kept(tmp_path: Path) -> None:
    calls: list[tuple[int, int]] = []
    run_tasks(square, [(0,), (1,)], store=Store(tmp_path))
    run_tasks(square, [(0,), (1,), (2,)], store=Store(tmp_path), on_done=lambda *call: calls.append(call))
    assert calls == [(2, 3), (3, 3)]


def whose() -> Callable[[int], Arrays]:
    """Tell which process makes each piece."""
    return lambda x: {"square": np.array(os.getpid())}


def test_processes_give_the_same_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "START_UP", 0.0)
    assert values(run_tasks(portable(), [(i,) for i in range(6)], n_jobs=2)) == [0, 1, 4, 9, 16, 25]


@pytest.mark.parametrize(("start_up", "number", "own"), [(1e9, 4, 4), (0.0, 4, 1), (1e9, 2, 0)])
def test_processes_are_started_where_they_pay(
    start_up: float, number: int, own: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks, "START_UP", start_up)
    assert values(run_tasks(whose(), [(i,) for i in range(number)], n_jobs=2)).count(os.getpid()) == own


def test_a_file_that_was_cut_short_is_not_finished(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.keep(0, square(3))
    whole = (tmp_path / "0.npz").read_bytes()
    for length in (0, 10, len(whole) - 5):
        (tmp_path / "0.npz").write_bytes(whole[:length])
        assert store.load(0) is None
    assert values(run_tasks(square, [(3,)], store=store)) == [9]


def test_no_pickle_is_opened(tmp_path: Path) -> None:
    np.savez(tmp_path / "0.npz", square=np.array([{"a": 1}], dtype=object))
    assert Store(tmp_path).load(0) is None


def test_other_inputs_have_another_folder(tmp_path: Path) -> None:
    @dataclasses.dataclass(frozen=True)
    class Options:
        seed: int

    x = np.arange(6.0)
    inputs = [(x, 1), (x, 2), (x.reshape(2, 3), 1), (x.astype(int), 1), (x, Options(1)), (x, Options(2)), (None, 1)]
    inputs += [(sparse.csr_array(np.eye(3)), 1), (np.array(["a", None], dtype=object), 1), ([x, x], 1)]
    assert len({digest(*each) for each in inputs}) == len(inputs)
    assert digest(x, [1, Options(1)]) == digest(x.copy(), [1, Options(1)])
    assert Store(tmp_path).stage("folds", x).folder.parent == tmp_path


def test_work_stays_after_a_failure_and_goes_after_success(tmp_path: Path) -> None:
    def stopped() -> None:
        with unfinished_work(tmp_path / "out", resume=False) as store:
            store.keep(0, square(1))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stopped()
    with unfinished_work(tmp_path / "out", resume=True) as store:
        assert store.load(0) is not None
    assert list(tmp_path.iterdir()) == []


def test_without_resume_the_work_begins_anew(tmp_path: Path) -> None:
    (tmp_path / ".out.work").mkdir()
    Store(tmp_path / ".out.work").keep(0, square(1))
    with unfinished_work(tmp_path / "out", resume=False) as store:
        assert store.load(0) is None


def test_dask_that_is_not_there_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(MissingPackageError, match=r"torch-spred\[cluster\]"), workers("dask"):
        pass


def test_two_dask_workers_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster:
        monkeypatch.setattr(tasks, "START_UP", 0.0)
        monkeypatch.setattr("distributed.Client", lambda: distributed.client.Client(cluster))
        with workers("dask"):
            assert values(run_tasks(portable(), [(i,) for i in range(6)], n_jobs=-1)) == [0, 1, 4, 9, 16, 25]


# --- tracked work ------------------------------------------------------------------------------------------


def test_the_outermost_work_is_tracked_and_not_what_runs_inside_it(tmp_path: Path) -> None:
    done: list[tuple[int, int]] = []

    def inner() -> None:
        with tracking() as outer:
            assert (outer.on_done, outer.store) == (None, None)

    with tracked(on_done=lambda *step: done.append(step), store=Store(tmp_path)), tracking() as outer:
        inner()
        run_tasks(square, [(1,), (2,)], store=outer.store, on_done=outer.on_done)
    assert done == [(1, 2), (2, 2)]
    assert sorted(file.name for file in tmp_path.iterdir()) == ["0.npz", "1.npz"]
    with tracking() as outside:
        assert (outside.on_done, outside.store) == (None, None)


def test_tracking_ends_where_a_fit_fails() -> None:
    with pytest.raises(ZeroDivisionError), tracked(on_done=print):
        broken(1)
    with tracking() as outside:
        assert outside.on_done is None
