"""``spred compress`` from the shell: exit codes, one sentence for what is wrong, plain lines of progress."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from compress_images import write_npz
from smoke import RECIPE
from typer.testing import CliRunner, Result

from spred import cli

RECIPE_WITHOUT_ONNX = RECIPE + "[export]\nonnx = false\n"


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    write_npz(tmp_path / "bars.npz")
    path = tmp_path / "recipe.toml"
    path.write_text(RECIPE_WITHOUT_ONNX)
    return path


def call(*arguments: object) -> Result:
    return CliRunner().invoke(cli.app, ["compress", *map(str, arguments)])


def test_from_recipe_to_report(recipe: Path, tmp_path: Path):
    out = tmp_path / "out"
    result = call(recipe, "--out", out)
    assert result.exit_code == 0, result.output
    assert "dense: loss" in result.stderr
    assert "epochs: 8 of 8" in result.stderr
    assert "spred, alpha 0.003, refit: loss" in result.stderr
    assert "chosen" in result.stdout
    assert f"Report: {out / 'report.html'}" in result.stdout
    assert json.loads((out / "run.json").read_text())["arguments"]["train"]["epochs"] == 2


def test_quiet_shows_no_progress_and_compare_adds_the_peers(recipe: Path, tmp_path: Path):
    logs = tmp_path / "logs"
    result = call(recipe, "--out", tmp_path / "out", "--quiet", "--compare", "--tensorboard", logs)
    assert result.exit_code == 0, result.output
    assert result.stderr == ""
    for name in ("one-shot", "gradual", "subgradient"):
        assert name in result.stdout
    assert list(logs.iterdir())


def test_what_is_wrong_is_one_sentence(recipe: Path, tmp_path: Path):
    recipe.write_text(RECIPE.replace("sparse_epochs", "sparse_epoch"))
    result = call(recipe, "--out", tmp_path / "out")
    assert result.exit_code == 1
    assert result.stderr.startswith(f"Error: {recipe}: train.sparse_epoch is not known; did you mean 'sparse_epochs'")
    assert len(result.stderr.splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_what_a_users_model_raises_is_one_readable_line(recipe: Path, tmp_path: Path):
    (tmp_path / "my_raising_net.py").write_text("def made(n_classes):\n    raise KeyError('width')\n")
    recipe.write_text(RECIPE.replace('"mlp"\narguments = { widths = [16] }', '"my_raising_net:made"'))
    result = call(recipe, "--out", tmp_path / "out")
    assert result.exit_code == 1
    expected = "Error: your model 'my_raising_net:made' (my_raising_net.py, line 2): KeyError: 'width'"
    assert result.stderr.startswith(expected)
    assert "mistake in spred" not in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_training_that_diverges_is_one_sentence(recipe: Path, tmp_path: Path):
    recipe.write_text(RECIPE_WITHOUT_ONNX.replace("[train]", "[train]\nlr = 1e30"))
    result = call(recipe, "--out", tmp_path / "out", "--quiet")
    assert result.exit_code == 1
    assert "of the stage 'dense': training has diverged" in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("arguments", [[], ["--demo", "recipe.toml"]])
def test_a_recipe_or_the_demo(arguments: list[str], tmp_path: Path):
    result = call(*arguments, "--out", tmp_path / "out")
    assert result.exit_code == 2
    assert "give a recipe, or --demo" in result.stderr


def test_help_loads_no_torch():
    code = (
        "import sys\nfrom typer.testing import CliRunner\nfrom spred import cli\n"
        "result = CliRunner().invoke(cli.app, ['compress', '--help'])\n"
        "assert result.exit_code == 0 and '--tensorboard' in result.stdout, result.output\n"
        "print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
