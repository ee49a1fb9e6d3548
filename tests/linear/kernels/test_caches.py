"""Compiled kernels that are older than a module beside them go, wherever numba keeps them; nothing else does."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from numba.core.caching import UserProvidedCacheLocator

from spred.linear.kernels import caches

FILE = Path(caches.__file__)


def written(file: Path, seconds: float) -> Path:
    """Write a file that was last changed at this time."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("")
    os.utime(file, (seconds, seconds))
    return file


def package(root: Path) -> Path:
    """A package with two folders: the modules of ``a`` were changed at 100 and 200, that of ``b`` at 300."""
    for name, seconds in {"a/one.py": 100, "a/two.py": 200, "b/three.py": 300}.items():
        written(root / "package" / name, seconds)
    return root / "package"


def test_what_is_older_than_the_newest_module_of_its_folder_is_removed(tmp_path: Path) -> None:
    where = package(tmp_path)
    stale = [written(where / "a/__pycache__" / f"one.f-1.py311{end}", 150) for end in (".nbi", ".1.nbc")]
    kept = [
        written(where / "a/__pycache__/two.g-1.py311.nbi", 250),
        written(where / "a/__pycache__/one.cpython-311.pyc", 150),
        written(where / "b/__pycache__/three.h-1.py311.nbi", 301),
    ]
    assert caches.clear_stale(where) == sorted(stale)
    assert not any(file.exists() for file in stale)
    assert all(file.exists() for file in kept)
    assert caches.clear_stale(where) == []


def test_a_cache_folder_of_ones_own_loses_the_caches_of_these_modules_alone(tmp_path: Path) -> None:
    where, elsewhere = package(tmp_path), tmp_path / "cache"
    own = elsewhere / UserProvidedCacheLocator.get_suitable_cache_subpath(str(where / "a/one.py"))
    stale, fresh = written(own / "one.f-1.py311.nbi", 150), written(own / "two.g-1.py311.nbi", 250)
    other = written(elsewhere / "kernels_0123/another.f-1.py311.nbi", 1)
    assert caches.clear_stale(where, elsewhere) == [stale]
    assert fresh.exists()
    assert other.exists()
    assert caches.clear_stale(where, tmp_path / "not there") == []


def test_two_processes_may_clear_at_once(tmp_path: Path) -> None:
    where = package(tmp_path)
    stale = [written(where / f"a/__pycache__/one.f-{i}.py311.nbi", 150) for i in range(500)]
    code = "import runpy, sys; from pathlib import Path; runpy.run_path(sys.argv[1])['clear_stale'](Path(sys.argv[2]))"
    two = [subprocess.Popen([sys.executable, "-c", code, str(FILE), str(where)]) for _ in range(2)]
    assert [process.wait() for process in two] == [0, 0]
    assert not any(file.exists() for file in stale)


def test_it_runs_without_any_package() -> None:
    subprocess.run([sys.executable, "-I", "-S", str(FILE)], check=True, env={"NUMBA_CACHE_DIR": "/not/there"})


def test_numba_would_keep_the_old_function_of_another_file(tmp_path: Path) -> None:
    """Why all this is needed, and that it is enough: ``f`` calls ``g`` of a file that changes."""
    where = tmp_path / "package"
    where.mkdir()
    head = "from numba import njit\n"
    (where / "f.py").write_text(f"{head}from g import g\n@njit(cache=True)\ndef f():\n    return g()\nprint(f())\n")

    def run(value: int) -> int:
        (where / "g.py").write_text(f"{head}@njit(cache=True)\ndef g():\n    return {value}\n")
        outside = {name: value for name, value in os.environ.items() if name != "NUMBA_CACHE_DIR"}
        done = subprocess.run([sys.executable, "-B", where / "f.py"], env=outside, capture_output=True, check=True)
        return int(done.stdout)

    assert run(1) == 1
    assert run(2) == 1, "numba has learnt to check the files of the functions that are called: caches can go"
    assert caches.clear_stale(where)
    assert run(2) == 2
