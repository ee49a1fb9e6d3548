"""Compiled functions: kept where there is a place, compiled anew where there is none, never an end of the work."""

from __future__ import annotations

import errno
import importlib.util
import os
import shutil
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numba
import pytest

import spred
from spred.errors import SpredWarning
from spred.runtime import compiled

SOURCE = "from spred.runtime.compiled import compiled\n@compiled(nogil=True)\ndef f(x):\n    return x + 1\n"


@pytest.fixture
def without_a_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A module beside which, and at home, nothing can be written: a file is where a folder would be made."""
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "__pycache__").write_text("")
    (tmp_path / "package" / "f.py").write_text(SOURCE)
    monkeypatch.setattr(numba.config, "CACHE_DIR", "")
    for variable in ("XDG_CACHE_HOME", "HOME"):
        monkeypatch.setenv(variable, str(tmp_path / "package" / "__pycache__"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    compiled._warn_once.cache_clear()
    return tmp_path / "package" / "f.py"


def imported(file: Path) -> Any:
    """Import a module from its file, anew each time, as a new process does."""
    spec = importlib.util.spec_from_file_location("f", file)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.f


def files(folder: Path, suffix: str) -> list[Path]:
    return sorted(folder.rglob(f"*.{suffix}"))


def test_the_temporary_folder_is_taken_where_no_other_can_be_written(without_a_place: Path) -> None:
    with pytest.warns(SpredWarning, match=r"can be written: compiled functions are kept in .*numba; NUMBA_CACHE_DIR"):
        assert imported(without_a_place)(1) == 2
    assert numba.config.CACHE_DIR == ""
    assert len(files(without_a_place.parents[1], "nbc")) == 1
    again = imported(without_a_place)  # no second note
    assert again(1) == 2
    assert sum(again.stats.cache_hits.values()) == 1


def test_no_place_at_all_is_one_note(without_a_place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(without_a_place))
    with pytest.warns(SpredWarning, match=r"each process compiles its functions anew, .*; NUMBA_CACHE_DIR names"):
        assert imported(without_a_place)(1) == 2
    assert imported(without_a_place)(1) == 2


def test_a_place_that_numba_may_not_take_is_no_place(without_a_place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numba.config, "CACHE_LOCATOR_CLASSES", "InTreeCacheLocator", raising=False)
    with pytest.warns(SpredWarning, match="each process compiles its functions anew"):
        assert imported(without_a_place)(1) == 2


def test_worker_processes_say_nothing(without_a_place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiled, "current_process", lambda: SimpleNamespace(name="LokyProcess-1"))
    assert imported(without_a_place)(1) == 2


def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A module whose function has been compiled and kept."""
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path / "cache"))
    (tmp_path / "f.py").write_text(SOURCE)
    imported(tmp_path / "f.py")(1)
    compiled._warn_once.cache_clear()
    return tmp_path / "f.py"


@pytest.mark.parametrize("suffix", ["nbi", "nbc"])
@pytest.mark.parametrize("damage", [lambda data: b"", lambda data: data[: len(data) // 2]])
def test_what_was_cut_short_is_compiled_anew(
    suffix: str, damage: Callable[[bytes], bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = kept(tmp_path, monkeypatch)
    (file,) = files(tmp_path, suffix)
    file.write_bytes(damage(file.read_bytes()))
    with pytest.warns(SpredWarning, match="a compiled function cannot be read"):
        assert imported(source)(1) == 2
    healed = imported(source)
    assert healed(1) == 2
    assert sum(healed.stats.cache_hits.values()) == 1


def test_a_full_disk_costs_the_cache_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*arguments: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    source = kept(tmp_path, monkeypatch)
    for file in files(tmp_path, "nb[ci]"):
        file.unlink()
    monkeypatch.setattr("os.replace", full)
    with pytest.warns(SpredWarning, match=r"cannot be kept \(OSError: .*No space left on device\)"):
        assert imported(source)(1) == 2


def test_without_compiling_it_is_a_plain_function(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numba.config, "DISABLE_JIT", 1)
    assert compiled.compiled(nogil=True)(lambda x: x + 1)(1) == 2


def test_the_installed_package_may_be_read_only(tmp_path: Path) -> None:
    """Every module of kernels, imported from a copy that cannot be written, without a home."""
    shutil.copytree(Path(spred.__file__).parent, tmp_path / "spred", ignore=shutil.ignore_patterns("__pycache__"))
    for folder in {file.parent for file in (tmp_path / "spred").rglob("*.py")}:
        (folder / "__pycache__").write_text("")
    (tmp_path / "temporary").mkdir()
    env = {**os.environ, "HOME": "/dev/null", "TMPDIR": str(tmp_path / "temporary"), "PYTHONPATH": str(tmp_path)}
    env = {name: value for name, value in env.items() if name not in ("XDG_CACHE_HOME", "NUMBA_CACHE_DIR")}
    code = "import spred.linear; print(spred.__file__)"
    done = subprocess.run([sys.executable, "-B", "-c", code], env=env, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, f"{tmp_path / 'spred' / '__init__.py'}\n"), done.stderr
    assert done.stderr.count("SpredWarning") == 1
    assert "compiled functions are kept in" in done.stderr


def test_a_usual_place_is_no_news(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        kept(tmp_path, monkeypatch)
