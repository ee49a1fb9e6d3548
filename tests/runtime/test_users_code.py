"""What a user's own code raises has one note, of the line where it was; spred's own sentences have none."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from spred.errors import InputError
from spred.runtime.users_code import users_code, users_note


def fails_in_a_library() -> None:
    json.loads("{")


def test_the_last_line_of_the_users_files_is_named():
    with pytest.raises(json.JSONDecodeError) as caught, users_code("your loader"):
        fails_in_a_library()
    line = fails_in_a_library.__code__.co_firstlineno + 1
    assert users_note(caught.value) == f"your loader ({Path(__file__).name}, line {line})"


def test_the_innermost_note_stays_alone():
    with pytest.raises(ZeroDivisionError) as caught, users_code("the stage"), users_code("your model"):
        raise ZeroDivisionError
    assert len(caught.value.__notes__) == 1
    assert (users_note(caught.value) or "").startswith("your model")


def test_errors_of_spred_and_of_nobody_have_no_note():
    with pytest.raises(InputError) as caught, users_code("your model"):
        raise InputError("a sentence")
    assert users_note(caught.value) is None
    assert users_note(ValueError("plain")) is None
