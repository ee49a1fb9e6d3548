"""A saved model is read whole or refused in a sentence; labels and truth may come from a second file."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from spred.errors import FileError
from spred.genes import Study, apply_model, load_model, write_study
from spred.genes.saved_model import model_of


def test_a_folder_and_its_file_hold_the_same_model(study: Study, tmp_path: Path) -> None:
    folder = write_study(study, tmp_path / "out")
    assert load_model(folder) == load_model(folder / "model.json") == model_of(study)


def test_labels_may_be_in_a_second_file(study: Study, frame: pd.DataFrame, tmp_path: Path) -> None:
    new = frame.assign(sample=[f"n{i}" for i in range(len(frame))])
    new[["sample", "class"]].to_csv(tmp_path / "labels.csv", index=False)
    new.drop(columns=["class", "patient"]).to_csv(tmp_path / "new.csv", index=False)
    found = apply_model(model_of(study), tmp_path / "new.csv", target="class", labels=tmp_path / "labels.csv")
    assert list(found.table["true"]) == list(frame["class"])
    assert found.n_scored == len(frame)


def test_a_missing_file_is_named(study: Study, tmp_path: Path) -> None:
    with pytest.raises(FileError, match=r"model\.json: no such file"):
        load_model(tmp_path / "model.json")
    with pytest.raises(FileError, match=r"new\.csv: no such file"):
        apply_model(model_of(study), tmp_path / "new.csv")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("{", "line 1 is not JSON"),
        ("[]", "no model of spred"),
        ('{"made_by": "spred", "command": "genes"}', "no model of spred"),
        ('{"made_by": "spred", "version": "9", "format": 9, "coef": []}', "format 9 is not known here; use spred 9"),
        (
            '{"made_by": "spred", "version": "9", "format": "' + "x" * 5000 + '", "coef": []}',
            "format x{20} is not known",
        ),
        ('{"made_by": "spred", "format": 1, "coef": []}', "the model is damaged"),
        ("[" * 100_000, "no model of spred"),
        ('{"made_by": ' + "1" * 5000 + "}", "no model of spred"),
        ('{"made_by": "spred", "genes": ["\\ud800"]}', "no model of spred: it holds a half of a character"),
    ],
)
def test_other_files_are_refused(content: str, sentence: str, tmp_path: Path) -> None:
    (tmp_path / "model.json").write_text(content)
    with pytest.raises(FileError, match=sentence):
        load_model(tmp_path / "model.json")
