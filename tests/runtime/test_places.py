"""A place for files that are kept between runs: nobody else's, and none where there is none."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

import pytest

from spred.runtime.places import ensure_temporary, give_matplotlib_a_place, temporary_place, writable


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_runs_share_a_place_of_their_own(temporary: Path) -> None:
    place = temporary_place("numba")
    assert place == temporary_place("numba")
    assert place is not None
    assert place.parent.stat().st_mode & 0o777 == 0o700
    assert place.parent.parent == temporary


def test_what_others_may_write_to_is_no_place(temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = temporary_place("numba").parent
    folder.chmod(0o777)
    assert temporary_place("numba") is None
    folder.chmod(0o700)
    user = os.geteuid()
    with monkeypatch.context() as context:
        (temporary / folder.name.replace(str(user), "4711")).mkdir(mode=0o700)
        context.setattr(os, "geteuid", lambda: 4711)
        assert temporary_place("numba") is None
    folder.rename(temporary / "elsewhere")
    folder.symlink_to(temporary / "elsewhere")
    assert temporary_place("numba") is None


def test_no_temporary_folder_is_no_place(temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(temporary / "not there"))
    assert temporary_place("numba") is None


def test_matplotlib_gets_a_place_where_the_home_cannot_be_written(
    temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("MPLCONFIGDIR", "XDG_CONFIG_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.delitem(sys.modules, "matplotlib", raising=False)
    (temporary / "home").mkdir()
    (temporary / "file").write_text("")
    monkeypatch.setenv("HOME", str(temporary / "home"))
    give_matplotlib_a_place()
    assert "MPLCONFIGDIR" not in os.environ
    monkeypatch.setenv("HOME", str(temporary / "file"))
    monkeypatch.setattr(tempfile, "tempdir", str(temporary / "not there"))
    give_matplotlib_a_place()
    assert "MPLCONFIGDIR" not in os.environ
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    give_matplotlib_a_place()
    assert os.environ["MPLCONFIGDIR"] == str(temporary_place("matplotlib"))
    monkeypatch.setenv("MPLCONFIGDIR", "as the user says")
    give_matplotlib_a_place()
    assert os.environ["MPLCONFIGDIR"] == "as the user says"


def test_what_can_be_made_and_written(temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def read_only(dir: Path) -> None:
        raise OSError(30, "Read-only file system")

    assert writable(temporary / "new" / "deep")
    (temporary / "file").write_text("")
    assert not writable(temporary / "file" / "below")
    monkeypatch.setattr("tempfile.TemporaryFile", read_only)
    assert not writable(temporary)


def test_a_system_without_temporary_files_gets_some(temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none() -> str:
        raise FileNotFoundError("No usable temporary directory found")

    monkeypatch.delenv("TMPDIR", raising=False)
    ensure_temporary(temporary / "work")
    assert not (temporary / "work").exists()
    monkeypatch.setattr("tempfile.gettempdir", none)
    ensure_temporary(temporary / "work")
    assert tempfile.tempdir == os.environ.pop("TMPDIR") == str(temporary / "work" / "temporary")
    assert (temporary / "work" / "temporary").is_dir()
