"""``spred genes``, ``describe`` and ``predict``: whole results or none, one sentence for what is wrong."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from commands import arguments, assert_failed, call, spred_process, started, study, wait_for_pieces

from spred.genes import Settings


def test_a_study_from_file_to_report(data: Path, tmp_path: Path) -> None:
    result = study(data, tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert "[red]G0" in result.stdout
    assert "balanced accuracy, held out" in result.stdout
    assert "by guessing" in result.stdout
    assert "AUC, held out" in result.stdout
    assert "relative duality gap" in result.stdout
    assert f"Report: {tmp_path / 'out' / 'report.html'}" in result.stdout
    assert "their range is that of a logarithmic scale" in result.stdout
    assert "outer folds: 3 of 3" in result.stderr
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert metrics["balanced_accuracy"]["mean"] > 0.8
    arguments = json.loads((tmp_path / "out" / "run.json").read_text())["arguments"]
    assert arguments["target"] == "disease state"
    assert arguments["n_alphas"] == 8


def test_options_reach_the_study(data: Path, tmp_path: Path) -> None:
    result = study(data, tmp_path / "out", "--log2", "--rule", 1, "--seed", 3, "--unbalanced")
    assert result.exit_code == 0, result.output
    assert "as asked for" in result.stdout
    assert len(pd.read_csv(tmp_path / "out" / "genes.csv")) <= 1
    settings = json.loads((tmp_path / "out" / "run.json").read_text())["settings"]
    expected = Settings(rule=1, n_alphas=8, folds=3, seed=3, class_weight=None)
    assert settings == dataclasses.asdict(expected)


def test_what_is_asked_for_is_added(data: Path, tmp_path: Path) -> None:
    result = study(
        data, tmp_path / "out", "--stability", "--pfer", 0.5, "--baselines", "--permutations", 5, "--jobs", 1
    )
    assert result.exit_code == 0, result.output
    assert "univariate filter + linear SVM, in the same folds" in result.stdout
    assert "L1 logistic regression, in the same folds" in result.stdout
    assert "Labels permuted 5 times" in result.stdout
    assert "stable: selected in at least" in result.stdout
    assert "halves: 300 of 300" in result.stderr
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert metrics["stability"]["pfer"] <= 0.5
    assert (tmp_path / "out" / "stable_genes.csv").exists()


def test_a_second_run_replaces_the_first(data: Path, tmp_path: Path) -> None:
    assert study(data, tmp_path / "out").exit_code == 0
    first = (tmp_path / "out" / "genes.csv").read_text()
    assert study(data, tmp_path / "out").exit_code == 0
    assert (tmp_path / "out" / "genes.csv").read_text() == first
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_covariates_are_named_by_commas(data: Path, tmp_path: Path) -> None:
    pd.read_csv(data).assign(sex=["f", "m", "m"] * 10, age=np.arange(30) + 40).to_csv(tmp_path / "a.csv", index=False)
    result = study(tmp_path / "a.csv", tmp_path / "out", "--covariates", "sex, age")
    assert result.exit_code == 0, result.output
    assert "Adjusted for, without a penalty: sex as 2 levels (f, m), age as a number." in result.stdout
    assert_failed(
        study(tmp_path / "a.csv", tmp_path / "o", "--covariates", "ages"),
        "column 'ages' not found; did you mean 'age'?",
    )


def test_labels_in_a_second_file(data: Path, tmp_path: Path) -> None:
    frame = pd.read_csv(data)
    frame.drop(columns="disease state").set_index("sample").T.to_csv(tmp_path / "g.csv")
    frame[["sample", "disease state"]].to_csv(tmp_path / "l.csv", index=False)
    result = call("genes", tmp_path / "g.csv", "--labels", tmp_path / "l.csv", "--out", tmp_path / "out", "--folds", 3)
    assert result.exit_code == 0, result.output


def test_describe_needs_no_target(data: Path, tmp_path: Path) -> None:
    result = call("describe", data)
    assert result.exit_code == 0, result.output
    assert "small: 30 samples × 12 genes" in result.stdout
    assert "disease state  2 levels: normal (15), tumour (15)" in result.stdout
    assert_failed(call("describe", tmp_path / "none.csv"), "no such file")


def test_a_model_predicts_new_samples(data: Path, tmp_path: Path) -> None:
    assert study(data, tmp_path / "out").exit_code == 0
    new = pd.read_csv(data).assign(sample=[f"n{i}" for i in range(30)])
    new.to_csv(tmp_path / "new.csv", index=False)
    arguments = (tmp_path / "out", tmp_path / "new.csv", "--target", "disease state", "--out", tmp_path / "p.csv")
    result = call("predict", *arguments)
    assert result.exit_code == 0, result.output
    assert "balanced accuracy on the 30 with a known disease state" in result.stdout
    found = pd.read_csv(tmp_path / "p.csv")
    assert list(found["sample"]) == list(new["sample"])
    assert {p.name for p in tmp_path.iterdir()} == {"out", "new.csv", "p.csv"}
    printed = call("predict", tmp_path / "out" / "model.json", tmp_path / "new.csv")
    assert printed.stdout.startswith("sample,predicted,prob_normal,prob_tumour\nn0,")
    assert_failed(call("predict", tmp_path / "out", data, "--target", "disease state"), "a score would be too good")


def test_a_wrong_column_is_one_sentence(data: Path, tmp_path: Path) -> None:
    result = call("genes", data, "--target", "disease", "--out", tmp_path / "out")
    assert_failed(result, "column 'disease' not found; did you mean 'disease state'?")
    assert not (tmp_path / "out").exists()


def test_a_missing_file_is_one_sentence(data: Path, tmp_path: Path) -> None:
    assert_failed(study(data.with_name("smal.csv"), tmp_path / "out"), "no such file; did you mean 'small.csv'?")


def test_one_class_only_is_one_sentence(data: Path, tmp_path: Path) -> None:
    pd.read_csv(data).assign(**{"disease state": "tumour"}).to_csv(tmp_path / "a.csv", index=False)
    assert_failed(study(tmp_path / "a.csv", tmp_path / "out"), "one class only ('tumour')")


def test_a_folder_of_the_user_is_refused_before_the_work(data: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis.doc").write_text("years")
    result = study(data, tmp_path)
    assert_failed(result, "spred has not written (thesis.doc)")
    assert "outer folds" not in result.stderr


def test_wrong_use_is_exit_code_2(data: Path, tmp_path: Path) -> None:
    for wrong in (
        ["genes"],
        ["genes", data],
        ["genes", data, "--out", tmp_path / "o", "--rule", "2se"],
        ["genes", data, "--out", tmp_path / "o", "--rule", "0"],
        ["genes", data, "--out", tmp_path / "o", "--folds", "1"],
        ["genes", data, "--out", tmp_path / "o", "--task", "survival"],
        ["genes", data, "--out", tmp_path / "o", "--time", "days"],
        ["genes", data, "--out", tmp_path / "o", "--time", "days", "--event", "dead", "--target", "days"],
        ["genes", data, "--out", tmp_path / "o", "--normalize", "mean"],
        ["gene"],
        ["--nothing"],
    ):
        result = call(*wrong)
        assert result.exit_code == 2, wrong
        assert "Traceback" not in result.output
    assert not (tmp_path / "o").exists()


def test_a_killed_run_goes_on_and_gives_the_same_numbers(data: Path, tmp_path: Path) -> None:
    process = started(*arguments(data, tmp_path / "out"))
    wait_for_pieces(tmp_path / ".out.work", "halves-*/*.npz", 5, process)
    process.kill()
    process.communicate()
    assert not (tmp_path / "out").exists()
    kept = {p: p.stat().st_mtime_ns for p in (tmp_path / ".out.work").glob("*/*.npz")}
    assert len(kept) >= 3 + 3 + 4 + 5  # folds, baselines, permutations, halves
    changed: list[Path] = []

    def watched(path: Path, *more: object, **options: object) -> None:
        changed.extend(p for p, at in kept.items() if p.stat().st_mtime_ns != at)
        removed(path, *more, **options)

    removed, patch = shutil.rmtree, pytest.MonkeyPatch()
    with patch.context() as context:
        context.setattr("spred.runtime.tasks.shutil.rmtree", watched)
        assert call(*arguments(data, tmp_path / "out", "--resume")).exit_code == 0
    assert call(*arguments(data, tmp_path / "whole")).exit_code == 0
    assert changed == []
    for name in ("genes.csv", "stable_genes.csv", "predictions.csv", "model.json"):
        assert (tmp_path / "out" / name).read_text() == (tmp_path / "whole" / name).read_text(), name
    assert numbers(tmp_path / "out") == numbers(tmp_path / "whole")
    assert {p.name for p in tmp_path.iterdir()} == {"out", "whole"}


def numbers(folder: Path) -> object:
    """The metrics without the times."""

    def timeless(item: object) -> object:
        return {k: timeless(v) for k, v in item.items() if k != "seconds"} if isinstance(item, dict) else item

    return timeless(json.loads((folder / "metrics.json").read_text()))


def test_survival_from_file_to_new_samples(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(8, 1, size=(60, 12))
    time_, limit = rng.exponential(np.exp(-1.5 * (values[:, 0] - 8))), rng.exponential(2, size=60)
    frame = pd.DataFrame(values, columns=[f"G{j}" for j in range(12)])
    frame.insert(0, "sample", [f"s{i}" for i in range(60)])
    frame.insert(1, "days", np.minimum(time_, limit).round(4))
    frame.insert(2, "dead", (time_ <= limit).astype(int))
    frame.iloc[:48].to_csv(tmp_path / "a.csv", index=False)
    frame.iloc[48:].to_csv(tmp_path / "new.csv", index=False)
    result = call(
        "genes", tmp_path / "a.csv", "--time", "days", "--event", "dead", "--out", tmp_path / "out", "--folds", 3,
        "--n-alphas", 10, "--repeats", 2, "--baselines", "--permutations", 9, "--jobs", 1,
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert "concordance of risk and survival" in result.stdout
    found = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert found["task"] == "survival"
    assert found["concordance"]["mean"] > 0.65
    assert len(found["concordance"]["folds"]) == 6
    assert found["logrank_p"] < 0.1
    assert found["permutations"]["p"] == 0.1
    assert set(found["baselines"]) == {"equal risks", "L1 Cox regression", "univariate filter + ridge Cox"}
    assert found["baselines"]["equal risks"]["mean"] == 0.5
    assert pd.read_csv(tmp_path / "out" / "genes.csv")["gene"][0] == "G0"
    table = pd.read_csv(tmp_path / "out" / "predictions.csv")
    assert list(table.columns) == ["sample", "repeat", "fold", "time", "event", "risk", "risk_group"]
    assert len(table) == 96
    assert "Kaplan–Meier curves" in (tmp_path / "out" / "report.html").read_text()
    result = call("predict", tmp_path / "out", tmp_path / "new.csv", "--target", "days", "--out", tmp_path / "p.csv")
    assert result.exit_code == 0, result.output
    assert "concordance on the 12 with a known days" in result.stdout
    assert set(pd.read_csv(tmp_path / "p.csv")["group"]) <= {"low", "high"}


def test_a_study_never_loads_torch(data: Path, tmp_path: Path) -> None:
    code = "import sys\nfrom spred.cli import main\ntry: main()\nfinally: print('torch' in sys.modules)"
    options = ["--n-alphas", "4", "--folds", "2", "--jobs", "1", "--stability", "--baselines"]
    result = spred_process("genes", str(data), "--out", str(tmp_path / "out"), *options, code=code)
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines()[-1] == "False"


WITHOUT_TORCH = """
import sys
class NoTorch:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "torch":
            raise ModuleNotFoundError("No module named 'torch'", name="torch")
sys.meta_path.insert(0, NoTorch())
from spred.cli import main
main()
"""


def test_compressing_without_torch_is_one_sentence(tmp_path: Path) -> None:
    result = spred_process("compress", "--demo", "--out", str(tmp_path / "out"), code=WITHOUT_TORCH)
    assert result.returncode == 1
    assert result.stderr == "Error: torch is not installed; it comes with pip install 'torch-spred[nn]'\n"
