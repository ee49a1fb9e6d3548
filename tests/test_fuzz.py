"""Damaged files: a short campaign over every reader, always the same, and what the campaign itself sees.

``scripts/fuzz`` runs a longer one, each input in another process; here they are read in this one, to be quick.
"""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import fuzz_toys
import pytest
from fuzz_campaign import Worker, inputs, main, outcome, write
from fuzz_readers import READERS

MUTATIONS, SLOW = 12, 4
"""Of each reader, and of each that starts a process for every file; they are the same in every run."""


@pytest.mark.parametrize("name", READERS)
def test_a_damaged_file_gives_a_value_or_a_sentence(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPRED_MEMORY_LIMIT", str(256 << 20))
    write(READERS[name].files(), tmp_path / "whole")
    assert outcome(READERS[name].run, tmp_path / "whole") == ("values", "")
    for i, files in enumerate(islice(inputs(name, seed=0), SLOW if "h5ad" in name else MUTATIONS)):
        write(files, tmp_path / str(i))
        kind, text = outcome(READERS[name].run, tmp_path / str(i))
        assert kind in ("values", "sentences"), text


def test_the_campaign_sees_every_kind_of_failure(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("x")
    worker = Worker(tmp_path, preload="fuzz_toys", hang=1.0)
    found = {
        run.__name__: worker(run, tmp_path)
        for run in (
            *(fuzz_toys.reads, fuzz_toys.refuses, fuzz_toys.forgets_the_name, fuzz_toys.goes_on_and_on),
            *(fuzz_toys.raises, fuzz_toys.takes_all_memory, fuzz_toys.hangs, fuzz_toys.crashes, fuzz_toys.reads),
        )
    }
    worker.stop()
    assert {name: kind for name, (kind, _) in found.items()} == {
        "reads": "values",
        "refuses": "sentences",
        "forgets_the_name": "stray",
        "goes_on_and_on": "stray",
        "raises": "stray",
        "takes_all_memory": "stray",
        "hangs": "hangs",
        "crashes": "lost",
    }
    assert "KeyError" in found["raises"][1]
    assert "MemoryError" in found["takes_all_memory"][1]
    assert "exit code -11" in found["crashes"][1]


def test_damage_is_the_same_for_a_seed() -> None:
    one, same, other = (list(islice(inputs("csv", seed), 5)) for seed in (3, 3, 4))
    assert one == same != other


def test_the_readers_are_listed_and_others_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--list"]) == 0
    assert capsys.readouterr().out.split() == list(READERS)
    with pytest.raises(SystemExit):
        main(["docx", "1"])
