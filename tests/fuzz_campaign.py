"""Damaged files for every reader: a value or one sentence must come of each, and never a crash, a hang or an exception.

    scripts/fuzz all 300                       five minutes, shared by all readers
    scripts/fuzz h5ad 60 --seed 7              one minute of one reader, other damage
    scripts/fuzz --list                        the names of the readers

Each damaged input is read in another process, with a limit of memory and of time; a process that is lost or hangs is
counted and another one takes its place. What fails is kept in a folder that is printed. Exit code 1 if anything failed.
"""

from __future__ import annotations

import argparse
import faulthandler
import multiprocessing
import os
import subprocess
import sys
import tempfile
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from multiprocessing.connection import Connection
from pathlib import Path
from random import Random
from shutil import copytree
from time import monotonic
from typing import Any

from fuzz_mutations import mutate
from fuzz_readers import READERS, Files, Reader

HANG = 10.0
"""Seconds that one input may take."""

ROOM = 3 << 30
"""Bytes that a reader may take beyond what the process has when it starts."""

LIMIT = 256 << 20
"""Bytes that readers may unpack, by their own limit: small, so that a reader that has none shows."""

KINDS = ("values", "sentences", "stray", "hangs", "lost")
"""What may come of an input: a result, one sentence of spred, an exception of another kind, nothing in time, no
process."""


@dataclass
class Tally:
    """What came of the damaged inputs of one reader."""

    name: str
    counts: Counter[str] = field(default_factory=Counter)
    failures: dict[str, list[Any]] = field(default_factory=dict)  # what: how often, an example, where it lies

    @property
    def failed(self) -> int:
        """How many inputs gave neither a value nor a sentence."""
        return sum(self.counts[kind] for kind in ("stray", "hangs", "lost"))


def damaged(reader: Reader, files: Files, random: Random) -> Files:
    """Return the input with one of its files damaged."""
    name = random.choice(reader.damaged or tuple(files))
    return files | {name: mutate(name, files[name], random)}


def write(files: Files, folder: Path) -> None:
    """Write an input."""
    for name, content in files.items():
        place = folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)


def outcome(run: Callable[[Path], object], folder: Path) -> tuple[str, str]:
    """Read an input; return the kind of what came of it, and for a failure where."""
    from spred.errors import SpredError

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            run(folder)
        except SpredError as err:
            return judged(str(err), folder)
        except Exception as err:
            return "stray", f"{type(err).__name__} in {place_of(err)} | {str(err)[:120]!r}"
    return "values", ""


def judged(sentence: str, folder: Path) -> tuple[str, str]:
    """Return whether an error is one sentence that names the file."""
    names = {part for file in folder.rglob("*") for part in file.relative_to(folder).parts}
    if "\n" in sentence.strip():
        return "stray", f"several lines | {sentence[:120]!r}"
    if not any(name in sentence for name in (str(folder), *names)):
        return "stray", f"names no file | {sentence[:120]!r}"
    if len(sentence) > 2000:
        return "stray", f"a long sentence | {len(sentence)} characters, {sentence[:60]!r}"
    return "sentences", ""


def place_of(err: BaseException) -> str:
    """Return the innermost line of spred that an exception went through."""
    frames = traceback.extract_tb(err.__traceback__)
    ours = [frame for frame in frames if "/spred/" in frame.filename] or frames
    return f"{Path(ours[-1].filename).name}:{ours[-1].lineno}"


# --- processes --------------------------------------------------------------------------------------------


def serve(pipe: Connection, report: str, preloaded: bool) -> None:
    """Read inputs that come through a pipe until there are no more; a crash writes where it was to ``report``."""
    faulthandler.enable(open(report, "w"))  # noqa: SIM115 (open as long as the process)
    with suppress(ImportError):  # Windows has no such limits
        import resource

        taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (taken + ROOM, resource.RLIM_INFINITY))
    silence = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):  # what libraries written in C print of damaged files
        os.dup2(silence, stream)
    if hasattr(os, "fork") and preloaded:
        from spred.genes.io import hdf5_probe
        from spred.runtime.files import isolated

        isolated._verdict = Probe(hdf5_probe.__file__)
    pipe.send("ready")
    while (given := pipe.recv()) is not None:
        run, folder = given
        pipe.send(outcome(run if callable(run) else READERS[run].run, Path(folder)))


class Probe:
    """Stands for ``isolated._verdict`` in the campaign: the same script, in a process that need not start each time."""

    def __init__(self, script: str) -> None:
        command = [sys.executable, str(Path(__file__).with_name("fuzz_probe.py")), script]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __call__(self, script: str, path: str, changed: int, size: int) -> str | None:
        print(path, file=self.process.stdin, flush=True)
        found = self.process.stdout.readline().strip()
        if found not in ("ended", "crashed", "hung"):
            raise RuntimeError(f"the probe of the campaign said {found!r}")
        return None if found == "ended" else f"the library that reads it {found}"


class Worker:
    """A process that reads one input after the other; one that is lost is replaced at the next input."""

    def __init__(self, scratch: Path, *, preload: str = "fuzz_preload", hang: float = HANG) -> None:
        self.context = multiprocessing.get_context("forkserver" if hasattr(os, "fork") else "spawn")
        self.context.set_forkserver_preload([preload])
        self.report, self.hang, self.preloaded = scratch / "crash.txt", hang, preload == "fuzz_preload"
        self.process: Any = None

    def start(self) -> None:
        self.pipe, other = self.context.Pipe()
        self.process = self.context.Process(target=serve, args=(other, str(self.report), self.preloaded), daemon=True)
        self.process.start()
        other.close()
        self.pipe.recv()  # that it is ready; what it imports is not on its time

    def __call__(self, run: str | Callable[[Path], object], folder: Path) -> tuple[str, str]:
        """Return what came of reading an input with the reader of this name."""
        if self.process is None:
            self.start()
        try:
            self.pipe.send((run, str(folder)))
            if self.pipe.poll(self.hang):
                found: tuple[str, str] = self.pipe.recv()
                return found
            kind, where = "hangs", f"no answer after {self.hang:g} s"
        except (EOFError, BrokenPipeError, ConnectionResetError):
            self.process.join()
            kind, where = "lost", f"exit code {self.process.exitcode}: {self.crash()}"
        self.stop()
        return kind, where

    def crash(self) -> str:
        """Return where the process was when it crashed."""
        lines = self.report.read_text().splitlines() if self.report.exists() else []
        ours = [line.strip() for line in lines if "/spred/" in line]
        return "; ".join([*lines[:1], *ours[:1]])

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.join()
            self.pipe.close()
            self.process = None


# --- the campaign -----------------------------------------------------------------------------------------


def inputs(name: str, seed: int) -> Iterator[Files]:
    """Give damaged inputs of a reader, the same for a seed."""
    reader = READERS[name]
    files = reader.files()
    for i in count():
        yield damaged(reader, files, Random(f"{name} {seed} {i}"))


def campaign(name: str, worker: Worker, scratch: Path, kept: Path, *, seconds: float, seed: int) -> Tally:
    """Read damaged inputs for so many seconds; the whole input is read first, and must give a value."""
    tally = Tally(name)
    whole = scratch / "whole"
    write(READERS[name].files(), whole)
    if (found := worker(name, whole))[0] != "values":
        tally.counts["stray"] += 1
        tally.failures[f"stray: the whole input, {found[0]}"] = [1, found[1], whole]
    end = monotonic() + seconds
    for i, files in enumerate(inputs(name, seed)):
        if monotonic() > end:
            break
        folder = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=scratch))
        write(files, folder)
        kind, text = worker(name, folder)
        tally.counts[kind] += 1
        if kind in ("stray", "hangs", "lost"):
            what, _, example = text.partition(" | ")
            known = tally.failures.setdefault(f"{kind}: {what}", [0, example, kept / f"{name}-{seed}-{i}"])
            known[0] += 1
            if known[0] == 1:
                copytree(folder, known[2])
        remove(folder)
    remove(whole)
    return tally


def remove(folder: Path) -> None:
    for file in sorted(folder.rglob("*"), reverse=True):
        file.rmdir() if file.is_dir() and not file.is_symlink() else file.unlink()
    folder.rmdir()


def main(arguments: list[str]) -> int:
    """Run the campaign that the command line names; return the exit code."""
    parser = argparse.ArgumentParser(prog="scripts/fuzz", description="Read damaged files with every reader.")
    parser.add_argument("reader", nargs="?", default="all", help="a reader, several with commas, or all")
    parser.add_argument("seconds", nargs="?", type=float, default=60.0, help="for all of them together")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--list", action="store_true", help="print the names of the readers")
    given = parser.parse_args(arguments)
    if given.list:
        print("\n".join(READERS))
        return 0
    names = list(READERS) if given.reader == "all" else given.reader.split(",")
    if unknown := [name for name in names if name not in READERS]:
        parser.error(f"no reader is called {unknown[0]!r}; there are {', '.join(READERS)}")
    kept = Path(tempfile.mkdtemp(prefix="spred-fuzz-"))
    os.environ["SPRED_MEMORY_LIMIT"] = str(LIMIT)
    print(f"{'reader':14} {'mutations':>9} " + " ".join(f"{kind:>9}" for kind in KINDS), flush=True)
    tallies = []
    with tempfile.TemporaryDirectory() as scratch:
        worker = Worker(Path(scratch))
        for name in names:
            seconds = given.seconds / len(names)
            tally = campaign(name, worker, Path(scratch), kept, seconds=seconds, seed=given.seed)
            numbers = [sum(tally.counts.values()), *(tally.counts[kind] for kind in KINDS)]
            print(f"{name:14} " + " ".join(f"{number:9}" for number in numbers), flush=True)
            tallies.append(tally)
        worker.stop()
    for tally in tallies:
        for text, (times, example, place) in sorted(tally.failures.items(), key=lambda item: -item[1][0]):
            print(f"{tally.name}: {times} × {text}: {example}  ({place})")
    if not any(kept.iterdir()):
        kept.rmdir()
    return int(any(tally.failed for tally in tallies))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
