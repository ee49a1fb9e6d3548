"""What a study leaves: whole, consistent, escaped, and alone."""

from __future__ import annotations

import dataclasses
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from spred.genes import Settings, Study, write_study
from spred.genes.report.report import gene_table, link, metrics, predictions, tint

VOID = {"meta", "input", "br", "link", "img", "hr", "use", "path", "rect", "line", "image"}


class Balanced(HTMLParser):
    """Checks that every element that is opened is closed, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.append(tag)
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open, f"</{tag}> closes nothing"
            assert self.open.pop() == tag

    def handle_startendtag(self, tag: str, attrs: object) -> None:
        self.tags.append(tag)


def written(study: Study, folder: Path) -> tuple[Path, str]:
    out = write_study(study, folder / "out", arguments={"data": "small.csv"})
    return out, (out / "report.html").read_text(encoding="utf-8")


def renamed(study: Study, name: str) -> Study:
    """The study with its strongest gene, its classes and its source called ``name``."""
    genes = study.expression.genes.copy()
    genes[genes == study.genes["gene"][0]] = name
    table = study.genes.replace({"gene": {study.genes["gene"][0]: name}})
    expression = dataclasses.replace(study.expression, genes=genes, name=name, target_name=name)
    return dataclasses.replace(study, expression=expression, genes=table, notes=(*study.notes, name))


@pytest.fixture(scope="module")
def out(study: Study, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(study, tmp_path_factory.mktemp("report"))[0]


@pytest.fixture(scope="module")
def html(out: Path) -> str:
    return (out / "report.html").read_text(encoding="utf-8")


def test_six_files_and_no_more(out: Path) -> None:
    files = {"genes.csv", "metrics.json", "model.json", "predictions.csv", "report.html", "run.json"}
    assert {p.name for p in out.iterdir()} == files
    assert {p.name for p in out.parent.iterdir()} == {"out"}


def test_genes_csv_is_the_gene_table(out: Path, study: Study) -> None:
    pd.testing.assert_frame_equal(pd.read_csv(out / "genes.csv", keep_default_na=False), study.genes, check_dtype=False)


def test_metrics_have_the_promised_fields(out: Path, study: Study) -> None:
    found = json.loads((out / "metrics.json").read_text())
    assert set(found["balanced_accuracy"]) == {"mean", "sd", "folds", "interval"}
    assert len(found["balanced_accuracy"]["folds"]) == 4
    assert found["certificate"]["gap"] < 1e-7
    assert set(found["certificate"]) == {"gap", "kkt"}
    assert (found["n_samples"], found["n_features"], found["n_selected"]) == (40, 30, len(study.genes))
    assert found["majority"] == 0.5
    assert found["classes"] == {"normal": 20, "tumour": 20}
    assert 0.9 < found["auc"] <= 1
    assert found["seconds"] > 0


def test_predictions_have_a_row_a_sample(out: Path, study: Study) -> None:
    found = pd.read_csv(out / "predictions.csv", dtype={"group": str})
    assert list(found.columns) == ["sample", "group", "fold", "true", "predicted", "prob_normal", "prob_tumour"]
    assert sorted(found["sample"]) == sorted(study.expression.samples)
    assert sorted(found["fold"].unique()) == [1, 2, 3, 4]
    np.testing.assert_allclose(found["prob_normal"] + found["prob_tumour"], 1)
    mean = found.groupby("fold").apply(lambda f: (f["true"] == f["predicted"]).mean(), include_groups=False)
    assert tuple(mean) == pytest.approx(study.score.accuracy.folds)


def test_run_json_says_how_it_was_made(out: Path) -> None:
    run = json.loads((out / "run.json").read_text())
    assert run["arguments"] == {"data": "small.csv"}
    assert run["settings"] == dataclasses.asdict(Settings(n_alphas=15, folds=4))
    assert run["seed"] == 0
    assert run["versions"]["spred"]
    assert any("samples, 30 genes" in note for note in run["notes"])


def test_the_page_is_well_formed(html: str) -> None:
    parser = Balanced()
    parser.feed(html)
    assert parser.open == []
    assert parser.tags.count("svg") == 5
    assert {"table", "button", "figure"} <= set(parser.tags)


def test_the_page_loads_nothing(html: str) -> None:
    assert "http://" not in html
    assert set(re.findall(r'https://[^/"]+', html)) <= {"https://www.ncbi.nlm.nih.gov"}
    assert not re.search(r'\bsrc="(?!data:)', html)
    assert "<link" not in html
    assert not re.search(r'(?<!<a )\bhref="(?!#|data:)', html)


def test_symbols_lead_to_their_gene_and_probes_nowhere() -> None:
    assert link("TP53") == "https://www.ncbi.nlm.nih.gov/gene/?term=TP53%5Bsym%5D"
    assert link("MYC /// HLA-A").endswith("MYC%5Bsym%5D%20OR%20HLA-A%5Bsym%5D")
    assert link("C1orf112")
    for name in ("M23197_at", "AFFX-BioB-5_at", "", "gene_1", "<script>", 'A" onclick="'):
        assert link(name) == ""


def test_the_page_shows_the_result(html: str, study: Study) -> None:
    for gene in study.genes["gene"]:
        assert f">{gene}</td>" in html
    assert "balanced accuracy, held out" in html
    assert "Methods, ready for a paper" in html
    for note in study.notes:
        assert note.replace("'", "&#39;") in html


@pytest.mark.parametrize("name", ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "a$b$ & {{ 7*7 }}"])
def test_names_are_escaped_everywhere(name: str, study: Study, tmp_path: Path) -> None:
    html = written(renamed(study, name), tmp_path)[1]
    parser = Balanced()
    parser.feed(html)
    assert parser.open == []
    assert parser.tags.count("script") == 1
    assert "img" not in parser.tags
    assert "49" not in re.findall(r"a\$b\$ &amp; (\S+)", html)


def test_the_same_study_gives_the_same_page(study: Study, html: str, tmp_path: Path) -> None:
    assert written(study, tmp_path)[1] == html


def test_an_empty_list_is_a_result(study: Study, tmp_path: Path) -> None:
    html = written(dataclasses.replace(study, genes=study.genes.head(0)), tmp_path)[1]
    assert "No gene was selected. By the rule &#39;short&#39;" in html
    assert "None of 30 genes was selected" in html


def test_a_number_has_its_own_report(numbers_study: Study, tmp_path: Path) -> None:
    out, html = written(numbers_study, tmp_path)
    assert "R², held out" in html
    assert "true dose" in html
    found = metrics(numbers_study)
    assert found["r2"]["mean"] > 0.7
    assert list(pd.read_csv(out / "predictions.csv").columns) == ["sample", "fold", "true", "predicted"]


def test_a_long_list_is_cut_in_the_page(study: Study, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("spred.genes.report.report.MOST_ROWS", 2)
    out, html = written(study, tmp_path)
    assert f"{len(study.genes) - 2} weaker genes are in genes.csv" in html
    assert len(pd.read_csv(out / "genes.csv")) == len(study.genes)


def test_symbols_stand_beside_probes(study: Study, tmp_path: Path) -> None:
    symbols = np.array([f"SYM{j}" for j in range(30)], dtype=object)
    table = study.genes.assign(symbol="SYM1")
    named = dataclasses.replace(study, genes=table, expression=dataclasses.replace(study.expression, symbols=symbols))
    html = written(named, tmp_path)[1]
    assert ">symbol</button>" in html
    assert ">SYM0 G0<" in html


def test_rows_sort_by_value_and_show_rounded_text(study: Study) -> None:
    table = gene_table(study.genes, n_folds=4)
    assert table.sortable
    assert [head.title for head in table.heads][:3] == ["gene", "in folds", "coefficient"]
    assert all(len(row) == len(table.heads) for row in table.rows)
    frequency = table.rows[0][1]
    assert frequency.text == f"{round(4 * float(frequency.value))} of 4"
    assert float(table.rows[0][2].value) == pytest.approx(study.genes["std_coef_tumour"][0], rel=1e-4)


def test_tints_follow_sign_and_size() -> None:
    assert tint(0.0) == ""
    assert tint(1.0).startswith("rgba(194")
    assert tint(-0.5) == "rgba(11,110,153,0.175)"


def test_predictions_carry_the_fold_in_order(study: Study) -> None:
    assert list(predictions(study)["fold"]) == sorted(predictions(study)["fold"])


def test_numbered_columns_lead_nowhere(study: Study) -> None:
    table = study.genes.assign(gene=[f"V{j}" for j in range(len(study.genes))])
    assert {row[0].link for row in gene_table(table, n_folds=4).rows} == {""}
    known = table.assign(symbol=["F8", *("TP53" for _ in range(len(table) - 1))])
    assert "F8" in gene_table(known, n_folds=4).rows[0][1].link
