"""Long work in pieces: pieces run side by side through joblib, and finished ones are kept on the disk.

A piece is a function call that returns named arrays. With a :class:`Store`, what is finished lies in a folder as
``.npz`` files without pickle, and a later run takes it from there instead of computing it again.
"""

from __future__ import annotations

import re
import shutil
import signal
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np

from spred import __version__
from spred.errors import FileError, SpredWarning, WorkerError, where
from spred.runtime.cluster import active_client, cluster, n_slots, on_cluster
from spred.runtime.files.arrays import read_arrays
from spred.runtime.files.atomic import tidy, whole_file
from spred.runtime.lock import locked

Arrays = dict[str, np.ndarray]

START_UP = 4.0
"""Seconds of a processor that two worker processes take until they have imported everything, about: work that takes
less is done in this process. Too small, and short studies wait for processes; too large, and long ones run on one core.
``python benchmarks/study.py`` measures it."""


@dataclass(frozen=True)
class Store:
    """A folder in which finished pieces lie, ``0.npz`` the first.

    >>> import tempfile
    >>> store = Store(Path(tempfile.mkdtemp())).stage("folds", np.arange(3), {"seed": 0})
    >>> store.keep(0, {"score": np.array(0.9)})
    >>> store.load(0), store.load(1)
    ({'score': array(0.9)}, None)
    """

    folder: Path

    def stage(self, name: str, *inputs: object) -> Store:
        """Return the store for one kind of work on these inputs; other inputs have another one."""
        return Store(self.folder / f"{name}-{digest(*inputs)}")

    def load(self, index: int) -> Arrays | None:
        """Return a finished piece, or None; of a file that cannot be read a warning says that it is made again."""
        path = self._path(index)
        if not path.exists():
            return None
        try:
            with where(str(path)):
                return read_arrays(path)
        except FileError as err:
            warnings.warn(f"{err}; so this finished piece is computed again", SpredWarning, stacklevel=2)
            return None

    def keep(self, index: int, arrays: Mapping[str, np.ndarray]) -> None:
        """Keep a finished piece; its file appears whole or not at all."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with whole_file(self._path(index)) as work, work.open("wb") as file:
            np.savez(file, **arrays)  # type: ignore[arg-type]  # its stub takes the names for options

    def _path(self, index: int) -> Path:
        return self.folder / f"{index}.npz"


OnDone = Callable[[int, int], None]
"""Called with (pieces done, pieces in all)."""


@dataclass(frozen=True)
class Tracking:
    """Who hears how far a fit is, and where its finished pieces are kept."""

    on_done: OnDone | None = None
    store: Store | None = None


_NOT = Tracking()
_TRACKING: ContextVar[Tracking] = ContextVar("spred_tracking", default=_NOT)


@contextmanager
def tracked(*, on_done: OnDone | None = None, store: Store | None = None) -> Iterator[None]:
    """Track the fit inside the block: an estimator's ``fit`` takes data alone.

    ``on_done`` is called with (pieces done, pieces in all): paths of a cross-validation, halves of a stability
    selection. ``store`` keeps finished pieces, and gives them back to the same fit.

    >>> import spred
    >>> X, done = np.random.default_rng(0).normal(size=(30, 3)), []
    >>> with tracked(on_done=lambda k, total: done.append((k, total))):
    ...     model = spred.SparseRegressorCV(n_alphas=5, cv=2).fit(X, X[:, 0])
    >>> done
    [(1, 3), (2, 3), (3, 3)]
    """
    token = _TRACKING.set(Tracking(on_done, store))
    try:
        yield
    finally:
        _TRACKING.reset(token)


@contextmanager
def tracking() -> Iterator[Tracking]:
    """Give what :func:`tracked` was given to the outermost fit; the fits inside that one are not tracked."""
    found = _TRACKING.get()
    token = _TRACKING.set(_NOT)
    try:
        yield found
    finally:
        _TRACKING.reset(token)


def run_tasks(
    function: Callable[..., Arrays],
    tasks: Sequence[tuple[Any, ...]],
    *,
    n_jobs: int | None = None,
    store: Store | None = None,
    on_done: OnDone | None = None,
) -> list[Arrays]:
    """Return ``function(*task)`` for each task, in order; pieces that ``store`` has are not computed again.

    ``on_done`` is called with (pieces done, pieces in all); kept ones count as done from the start. Where
    there are more pieces than processes, the first is made here and timed: if the rest takes less time than processes
    need to start, none are started.

    >>> run_tasks(lambda x: {"square": np.array(x * x)}, [(2,), (3,)])
    [{'square': array(4)}, {'square': array(9)}]
    """
    kept = {} if store is None else {i: piece for i in range(len(tasks)) if (piece := store.load(i)) is not None}
    open_ = [i for i in range(len(tasks)) if i not in kept]
    if on_done is not None and kept:
        on_done(len(kept), len(tasks))
    for i, piece in zip(open_, side_by_side(function, [tasks[i] for i in open_], n_jobs), strict=True):
        kept[i] = piece
        if store is not None:
            store.keep(i, piece)
        if on_done is not None:
            on_done(len(kept), len(tasks))
    return [kept[i] for i in range(len(tasks))]


@contextmanager
def unfinished_work(out: str | Path, *, resume: bool) -> Iterator[Store]:
    """Give the store of the work for the results folder ``out``: a hidden folder beside it, gone when all is done.

    If the block raises, what was finished stays there, for ``resume``; without ``resume`` the work begins anew. What
    killed runs have left half written is removed.

    Raises:
        FileError: another run is at work on this folder.
    """
    target = Path(out).resolve()
    folder = target.with_name(f".{target.name}.work")
    with locked(target):
        tidy(target)
        if not resume:
            shutil.rmtree(folder, ignore_errors=True)
        yield Store(folder)
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def workers(backend: str) -> Iterator[None]:
    """Run the tasks inside the block in processes of this machine, or on a Dask cluster.

    The cluster is the one that Dask's own configuration names (``DASK_SCHEDULER_ADDRESS``), or a local one.

    Raises:
        MissingPackageError: Dask is not installed.
        ResourceError: the cluster does not answer.
    """
    from joblib import parallel_config

    if backend == "dask":
        with cluster():
            yield
        return
    with parallel_config(backend="loky", initializer=leave_stopping_to_the_parent):
        yield


def leave_stopping_to_the_parent() -> None:
    """Let a worker ignore Ctrl-C, which the terminal sends to it too: its parent ends it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def side_by_side(
    function: Callable[..., Arrays], tasks: Sequence[tuple[Any, ...]], n_jobs: int | None
) -> Iterator[Arrays]:
    """Give the result of each task in order, as soon as it is there."""
    from joblib import effective_n_jobs

    client = active_client()
    if 1 < (effective_n_jobs(n_jobs) if client is None else n_slots(client)) < len(tasks):
        start = process_time()
        yield function(*tasks[0])
        tasks = tasks[1:]
        if (process_time() - start) * len(tasks) < START_UP:
            yield from (function(*task) for task in tasks)
            return
    yield from in_processes(function, tasks, n_jobs) if client is None else on_cluster(client, function, tasks)


def in_processes(
    function: Callable[..., Arrays], tasks: Sequence[tuple[Any, ...]], n_jobs: int | None
) -> Iterator[Arrays]:
    """Give the result of each task through joblib.

    Raises:
        WorkerError: a process was killed from outside.
    """
    from joblib import Parallel, delayed

    pieces = Parallel(n_jobs=n_jobs, return_as="generator")(delayed(function)(*task) for task in tasks)
    try:
        yield from pieces
    except BrokenProcessPool as err:
        if "terminated" not in str(err):  # what cannot be pickled breaks the pool too
            raise
        raise WorkerError(lost(str(err))) from err
    finally:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that tasks were cancelled is what stopping means
            pieces.close()


def lost(reported: str) -> str:
    """Say that a worker process was lost, and by which signal, as far as joblib reports it."""
    names = sorted(set(re.findall(r"SIG[A-Z]+", reported)))
    if names and "SIGKILL" not in names:
        return f"a worker process crashed ({', '.join(names)})"
    return "a worker process was killed, most often for want of memory; take fewer jobs at a time, or more memory"


def digest(*inputs: object) -> str:
    """Return a short name for these inputs: arrays by their bytes, everything else by its ``repr``.

    The version of spred belongs to it: another one may compute other numbers.

    >>> digest(np.arange(3)) == digest(np.arange(3)), digest(np.arange(3)) == digest(np.arange(4))
    (True, False)
    """
    sum_ = blake2b(__version__.encode(), digest_size=8)
    for item in inputs:
        for part in flat(item):
            sum_.update(part)
            sum_.update(b"\x00")
    return sum_.hexdigest()


def flat(item: Any) -> Iterator[bytes]:
    """Write an input as bytes, piece by piece."""
    if hasattr(item, "indptr"):  # a sparse matrix
        for part in (item.data, item.indices, item.indptr):
            yield from flat(part)
    elif isinstance(item, np.ndarray) and item.dtype != object:
        yield f"{item.dtype}{item.shape}".encode()
        yield np.ascontiguousarray(item).tobytes()
    elif isinstance(item, list | tuple):
        yield f"[{len(item)}]".encode()
        for part in item:
            yield from flat(part)
    elif isinstance(item, np.ndarray):
        yield repr(item.tolist()).encode()
    else:
        yield repr(item).encode()
