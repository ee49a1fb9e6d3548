"""A script that crashes, hangs or eats memory is survived, and its file refused; whatever else it does is no matter."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from spred.errors import FileError
from spred.runtime.files import isolated


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "a.h5ad").write_text("x")
    return tmp_path / "a.h5ad"


def script(folder: Path, code: str) -> str:
    (folder / "script.py").write_text(code)
    return str(folder / "script.py")


def test_a_crash_is_told_and_a_changed_file_is_looked_at_again(file: Path) -> None:
    crash = "import os, signal, sys\nif open(sys.argv[1]).read() == 'x': os.kill(os.getpid(), signal.SIGSEGV)"
    code = script(file.parent, crash)
    with pytest.raises(FileError, match="the library that reads it crashes; write or copy it again"):
        isolated.refuse_crash(code, file)
    file.write_text("whole")
    isolated.refuse_crash(code, file)


def test_what_does_not_end_is_told(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(isolated, "PATIENCE", 0.2)
    with pytest.raises(FileError, match="was not done after 0 s"):
        isolated.refuse_crash(script(file.parent, "import time\ntime.sleep(60)"), file)


def test_an_exception_is_left_to_the_reader_and_a_file_is_looked_at_once(file: Path) -> None:
    log = file.parent / "log"
    code = script(file.parent, f"open({str(log)!r}, 'a').write('once')\nraise ValueError('no such thing')")
    isolated.refuse_crash(code, file)
    isolated.refuse_crash(code, file)
    assert log.read_text() == "once"


def test_memory_is_limited(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("resource")
    monkeypatch.setenv("SPRED_MEMORY_LIMIT", "1M")
    limited = file.parent / "limited"
    told = f"open({str(limited)!r}, 'w')"
    code = f"import os\ntry:\n    bytearray(4 << 30)\nexcept MemoryError:\n    {told}\nelse:\n    os.abort()"
    isolated.refuse_crash(script(file.parent, code), file)
    assert limited.exists()


def test_where_no_process_can_start_nothing_is_refused(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def refuse(*arguments: object, **__: object) -> None:
        asked.append(arguments)
        raise OSError("no more processes")

    monkeypatch.setattr(subprocess, "run", refuse)
    isolated.refuse_crash(script(file.parent, ""), file)
    assert len(asked) == 1
