"""Tasks on a Dask cluster: those of a lost worker run elsewhere with their data, and a cluster that is gone is told.

joblib's own Dask backend leaves the data with a worker alone. If that worker dies they are lost, and the tasks that
need them never end. Here data are the result of a task themselves: the scheduler makes them anew where they are needed.
"""

from __future__ import annotations

import logging
import pickle
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Event, Thread
from typing import Any

from spred.errors import ResourceError, WorkerError
from spred.runtime.extras import extra

LOST_AFTER = 20.0
"""Seconds without an answer of the scheduler, or without any worker, until a cluster counts as gone. Too small, and a
worker that its nanny starts anew comes too late; too large, and a run waits for nothing."""

LOOK = 0.5
"""Seconds between two looks at the cluster, while a result is waited for."""

FIRST_ANSWER = 2.0
"""Seconds that the scheduler has to say how many tasks it can run; if it takes longer, no first task is timed here."""

PLAIN = (bool, int, float, complex, str, bytes, type(None))
"""What is sent along with each task, however many have it; the rest of what tasks share is sent once."""


@contextmanager
def cluster() -> Iterator[None]:
    """Run the tasks inside the block on the cluster of Dask's own configuration, or on a local one.

    Raises:
        MissingPackageError: Dask is not installed.
        ResourceError: the cluster does not answer.
    """
    from joblib import parallel_config

    distributed = extra("distributed")
    try:
        client = distributed.Client(timeout=LOST_AFTER)
    except OSError as err:
        raise ResourceError(f"the Dask cluster does not answer ({err}); see whether its scheduler runs") from err
    try:
        with parallel_config(backend="dask"):
            yield
    finally:
        if client.status == "running":
            client.close()
        else:  # it would try to reconnect first, and log how it fails
            for name in [name for name in logging.root.manager.loggerDict if name.startswith("distributed")]:
                logging.getLogger(name).setLevel(logging.CRITICAL)


def active_client() -> Any | None:
    """Return the client of joblib's Dask backend where that is active; None elsewhere, and inside of a Dask task."""
    from joblib.parallel import get_active_backend

    client = getattr(get_active_backend()[0], "client", None)
    if client is None:
        return None
    try:
        extra("distributed").get_worker()
    except ValueError:  # so it says that this is no task
        return client
    return None


def on_cluster(client: Any, function: Callable[..., Any], tasks: Sequence[tuple[Any, ...]]) -> Iterator[Any]:
    """Give ``function(*task)`` for each task, in order, as soon as it is there.

    Raises:
        WorkerError: the workers that had one task were lost, one after the other.
        ResourceError: the cluster is gone.
    """
    with watched(client) as news:
        try:
            futures = submitted(client, function, tasks)
        except Exception as err:
            raise err if client.status == "running" else gone() from err
        try:
            while futures:
                yield result(futures[0], news.heard)
                del futures[0]
        finally:
            if futures and client.status == "running":
                client.cancel(futures, force=True)


def submitted(client: Any, function: Callable[..., Any], tasks: Sequence[tuple[Any, ...]]) -> list[Any]:
    """Hand the tasks to the scheduler, and the function and what several of them share once."""
    dumps = extra("cloudpickle").dumps
    held: dict[int, Any] = {id(function): send(client, unpacked, dumps(function))}
    often = Counter(id(item) for task in tasks for item in set_of(task))
    for item in (item for task in tasks for item in task):
        if often[id(item)] > 1 and not isinstance(item, PLAIN) and id(item) not in held:
            held[id(item)] = send(client, unpacked, dumps(item))
    futures = []
    for task in tasks:
        shared = {i: held[id(item)] for i, item in enumerate(task) if id(item) in held}
        own = dumps([None if i in shared else item for i, item in enumerate(task)])
        futures.append(send(client, called, held[id(function)], own, list(shared), *shared.values()))
    return futures


def set_of(task: tuple[Any, ...]) -> list[Any]:
    """Return each object of a task once."""
    return list({id(item): item for item in task}.values())


def send(client: Any, function: Callable[..., Any], *arguments: Any) -> Any:
    """Submit one call. Dask warns of large data in it: they are there on purpose."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Sending large graph", category=UserWarning)
        return client.submit(function, *arguments, pure=False)


def unpacked(data: bytes) -> Any:
    """Return data on a worker."""
    return pickle.loads(data)


def called(function: Callable[..., Any], own: bytes, places: list[int], *shared: Any) -> Any:
    """Call a function on a worker, with arguments of its own and those that tasks share put in their places."""
    arguments = pickle.loads(own)
    for place, item in zip(places, shared, strict=True):
        arguments[place] = item
    return function(*arguments)


@dataclass
class News:
    """What the scheduler has answered: ``heard`` is set when there are workers, for ``slots`` tasks at a time."""

    heard: Event = field(default_factory=Event)
    slots: int = 0


@contextmanager
def watched(client: Any) -> Iterator[News]:
    """Ask the scheduler for its workers inside the block, again and again, from a thread: an answer may never come."""
    news, ended = News(), Event()

    def watch() -> None:
        while not ended.is_set():
            try:
                news.slots = sum(worker["nthreads"] for worker in client.scheduler_info()["workers"].values())
            except Exception:  # whatever it is: there was no answer, and the patience of the one who waits ends
                news.slots = 0
            if news.slots:
                news.heard.set()
            ended.wait(LOOK)

    Thread(target=watch, daemon=True, name="spred-cluster").start()
    try:
        yield news
    finally:
        ended.set()


def n_slots(client: Any) -> int:
    """Return how many tasks the cluster runs at a time; 0 where it has no worker, or does not answer."""
    with watched(client) as news:
        news.heard.wait(FIRST_ANSWER)
        return news.slots


def result(future: Any, heard: Event) -> Any:
    """Wait for a result, as long as the cluster is there."""
    distributed, silent = extra("distributed"), 0.0
    while silent < LOST_AFTER and not future.cancelled():
        try:
            distributed.wait(future, timeout=LOOK)
            if future.status == "finished":
                return future.result(timeout=LOST_AFTER)
        except TimeoutError:  # not there yet, or lost again with the worker that had it
            # Steps are counted, and no clock is read: a process that was suspended has missed nothing.
            silent = 0.0 if heard.is_set() else silent + LOOK
            heard.clear()
            continue
        except (OSError, distributed.CancelledError):
            break
        if future.status == "error":
            raise told(future)
    raise gone()


def gone() -> ResourceError:
    """Say that there is no cluster any more."""
    return ResourceError("the Dask cluster is gone: it has no worker any more, or its scheduler does not answer")


def told(future: Any) -> BaseException:
    """Return what a task raised, or that its workers were lost."""
    error: BaseException = future.exception()
    if not isinstance(error, extra("distributed").KilledWorker):
        return error
    return WorkerError("several Dask workers were lost at one piece of the work, most often for want of memory")
