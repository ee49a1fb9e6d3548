"""Errors: one root, one sentence, context added once."""

from __future__ import annotations

import pickle
import subprocess
import sys

import pytest
from sklearn.exceptions import ConvergenceWarning as Theirs

import spred
from spred import errors
from spred.errors import FileError, InputError, SpredError, SpredWarning, StateError, did_you_mean, where


def test_every_error_has_one_root() -> None:
    assert errors.ConvergenceWarning
    for name, kind in vars(errors).items():
        if isinstance(kind, type) and issubclass(kind, Exception):
            assert issubclass(kind, SpredWarning if name.endswith("Warning") else SpredError)


def test_builtin_handlers_catch_ours() -> None:
    assert issubclass(InputError, ValueError)
    assert issubclass(FileError, ValueError)
    assert issubclass(StateError, RuntimeError)
    assert issubclass(SpredWarning, UserWarning)


def test_a_warning_of_convergence_is_scikit_learns_too() -> None:
    ours = errors.ConvergenceWarning
    assert ours is errors.ConvergenceWarning is spred.ConvergenceWarning
    assert issubclass(ours, SpredWarning)
    assert issubclass(ours, Theirs)
    again = pickle.loads(pickle.dumps(ours("not there yet")))
    assert type(again) is ours
    assert again.args == ("not there yet",)


def test_only_that_warning_loads_scikit_learn() -> None:
    code = """
import pickle, sys, spred.errors
assert "sklearn" not in sys.modules
kind = pickle.loads(b"cspred.errors\\nConvergenceWarning\\n.")
assert issubclass(kind, spred.errors.SpredWarning)
assert "sklearn" in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_other_names_are_not_there() -> None:
    with pytest.raises(AttributeError, match="no attribute 'DivergenceWarning'"):
        errors.DivergenceWarning  # noqa: B018


@pytest.mark.parametrize("kind", [InputError, FileError, StateError])
def test_where_puts_the_place_in_front_and_keeps_the_kind(kind: type[SpredError]) -> None:
    with (
        pytest.raises(kind, match=r"^a\.csv: sheet 2: no such column$") as caught,
        where("a.csv"),
        where("sheet 2"),
    ):
        raise kind("no such column")
    assert type(caught.value) is kind
    assert isinstance(caught.value.__cause__, kind)


def test_where_leaves_other_errors_and_good_work_alone() -> None:
    with pytest.raises(KeyError), where("a.csv"):
        raise KeyError("x")
    with where("a.csv"):
        done = True
    assert done


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("clas", "; did you mean 'Class'?"),
        ("CLASS", "; did you mean 'Class'?"),
        ("2", ""),
        ("temperature", ""),
    ],
)
def test_did_you_mean_names_the_nearest_or_nothing(name: str, hint: str) -> None:
    assert did_you_mean(name, ["Class", "sample", 7]) == hint


def test_what_another_library_says_is_quoted_in_one_printable_line() -> None:
    assert errors.first_line(ValueError("bad \x1b[31mname\nat line 3")) == r"bad \x1b[31mname"
    assert errors.first_line(ValueError("\udcff")) == r"\udcff"
    assert errors.first_line(KeyError()) == "KeyError"
    assert len(errors.first_line(ValueError("x" * 10**6))) == errors.LONGEST_LINE + 1


def test_a_very_long_message_loses_its_middle() -> None:
    with pytest.raises(InputError) as caught, where("a.csv"):
        raise InputError("row 's4': '" + "x" * 200_000 + "' is not a number")
    assert str(caught.value).startswith("a.csv: row 's4': 'xxx")
    assert str(caught.value).endswith("xxx' is not a number")
    assert len(str(caught.value)) < 1100
