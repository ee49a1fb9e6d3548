"""Tasks on a Dask cluster: the same as anywhere, whatever becomes of a worker; a cluster that is gone is told."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from joblib import parallel_config

from spred.errors import ResourceError, WorkerError
from spred.runtime import cluster, tasks
from spred.runtime.cluster import active_client, n_slots, on_cluster, told, watched
from spred.runtime.tasks import Arrays, run_tasks, workers

distributed = pytest.importorskip("distributed")


@pytest.fixture
def client() -> Iterator[Any]:
    """Two processes that are started anew when they are lost."""
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as local,
        distributed.Client(local) as client,
    ):
        yield client


@pytest.fixture
def nobody(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A scheduler without workers."""
    monkeypatch.setattr(cluster, "LOST_AFTER", 0.5)
    monkeypatch.setattr(cluster, "FIRST_ANSWER", 0.1)
    monkeypatch.setattr(cluster, "LOOK", 0.1)
    with (
        distributed.LocalCluster(n_workers=0, processes=False, dashboard_address=None) as local,
        distributed.Client(local) as client,
    ):
        yield client


def killed_once(folder: Path) -> Callable[[np.ndarray, int], Arrays]:
    """A piece that ends its own worker the first time, the data with it; sent by value."""

    def piece(data: np.ndarray, column: int) -> Arrays:
        first = folder / "killed"
        if not first.exists():
            first.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return {"sum": data[:, column].sum(), "whose": np.array(os.getpid())}

    return piece


def test_a_worker_that_is_killed_midway_costs_no_result(
    client: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = np.random.default_rng(0).normal(size=(2000, 6))
    monkeypatch.setattr(tasks, "START_UP", 0.0)
    with parallel_config(backend="dask"):
        assert active_client() is client
        assert n_slots(client) == 2
        with pytest.raises(ZeroDivisionError):
            run_tasks(lambda x: {"inverse": np.array(1 // x)}, [(1,), (1,), (1,), (0,)])
        (tmp_path / "killed").touch()
        whole = run_tasks(killed_once(tmp_path), [(data, j) for j in range(6)])
        (tmp_path / "killed").unlink()
        pieces = list(on_cluster(client, killed_once(tmp_path), [(data, j) for j in range(6)]))
    assert (tmp_path / "killed").exists()
    assert [piece["sum"] for piece in pieces] == [piece["sum"] for piece in whole]
    assert [piece["sum"] for piece in pieces] == [data[:, j].sum() for j in range(6)]
    assert os.getpid() not in {int(piece["whose"]) for piece in pieces}


def test_a_cluster_without_workers_is_told(nobody: Any) -> None:
    assert n_slots(nobody) == 0
    with (
        parallel_config(backend="dask"),
        pytest.raises(ResourceError, match=r"^the Dask cluster is gone: it has no worker any more"),
    ):
        run_tasks(lambda x: {"x": np.array(x)}, [(1,), (2,)])


def test_a_scheduler_that_is_gone_is_told(nobody: Any) -> None:
    pieces = on_cluster(nobody, abs, [(1,)])
    nobody.cluster.scheduler.stop()
    nobody.cluster.close()
    with pytest.raises(ResourceError, match="the Dask cluster is gone"):
        next(pieces)


def test_patience_begins_anew_with_each_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter([{"a": {"nthreads": 2}, "b": {"nthreads": 1}}, OSError(), {}])

    def scheduler_info() -> dict[str, object]:
        found = next(answers)
        if isinstance(found, OSError):
            raise found
        return {"workers": found}

    monkeypatch.setattr(cluster, "LOOK", 0.01)
    with watched(SimpleNamespace(scheduler_info=scheduler_info)) as news:
        assert news.heard.wait(60)
    assert news.slots in (3, 0)


def test_a_piece_that_ends_every_worker_is_told() -> None:
    killed = distributed.KilledWorker("piece", SimpleNamespace(address="tcp://a"), 3)
    assert isinstance(told(SimpleNamespace(exception=lambda: killed)), WorkerError)
    assert isinstance(told(SimpleNamespace(exception=lambda: KeyError("x"))), KeyError)


def test_a_cluster_that_does_not_answer_at_all_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(**options: object) -> None:
        raise OSError("Timed out trying to connect to tcp://10.0.0.1:8786 after 20 s")

    monkeypatch.setattr("distributed.Client", refused)
    with pytest.raises(ResourceError, match=r"the Dask cluster does not answer \(Timed out"), workers("dask"):
        pytest.fail("the block must not run")


@pytest.mark.parametrize("status", ["running", "closed"])
def test_the_client_is_closed_where_it_can_be(status: str, monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[bool] = []
    client = SimpleNamespace(status=status, close=lambda: closed.append(True))
    monkeypatch.setattr("distributed.Client", lambda timeout: client)
    monkeypatch.setattr("joblib.parallel_config", lambda backend: parallel_config(backend="threading"))
    with workers("dask"):
        pass
    assert closed == [True] * (status == "running")
