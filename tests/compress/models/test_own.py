"""A user's module is found beside the recipe, and what it raises comes through as it was raised."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from spred.compress.models.own import users_function
from spred.errors import InputError
from spred.runtime.users_code import users_note


@pytest.mark.parametrize("name", ["nets", ":f", "..nets:f", "a b:f", "/etc/passwd:f", "nets..x:f", "ne\x1bts:f"])
def test_names_that_are_no_modules_are_refused(name: str):
    with pytest.raises(InputError, match="there is no model") as caught:
        users_function(name, None, ["mlp"])
    assert str(caught.value).isprintable()


def test_a_module_that_is_missing_is_told_from_one_that_it_needs(tmp_path: Path):
    with pytest.raises(InputError, match="put the module beside the recipe"):
        users_function("no_such_module.inner:f", tmp_path, [])
    (tmp_path / "needs_more.py").write_text("x = 1\nimport no_such_package\n")
    with pytest.raises(ModuleNotFoundError, match="no_such_package") as caught:
        users_function("needs_more:f", tmp_path, [])
    assert users_note(caught.value) == "your module 'needs_more' (needs_more.py, line 2)"
    assert str(tmp_path) not in sys.path


def test_a_module_may_change_the_import_path_and_raise(tmp_path: Path):
    (tmp_path / "raises.py").write_text(f"import sys\nsys.path.remove({str(tmp_path)!r})\nraise KeyError('mine')\n")
    with pytest.raises(KeyError, match="mine") as caught:
        users_function("raises:f", tmp_path, [])
    assert users_note(caught.value) == "your module 'raises' (raises.py, line 3)"
