"""The sentences and tables of what was added say what the records say."""

from __future__ import annotations

import dataclasses

import pytest

from spred.genes import Study, add_baselines, add_permutations, add_stability
from spred.genes.report import robustness
from spred.genes.study.stability import agreement


@pytest.fixture(scope="module")
def whole(study: Study) -> Study:
    return add_permutations(add_baselines(add_stability(study, n_pairs=10)), 3)


def test_the_assurance_says_what_was_asked_for(study: Study) -> None:
    assert robustness.assurance(study) == ""
    found = robustness.assurance(add_baselines(add_stability(study, n_pairs=10)))
    assert "stable over halves" in found
    assert "The best of the other methods in the same folds" in found
    assert "p =" not in found


def test_the_terminal_gets_a_line_each(whole: Study, study: Study) -> None:
    lines = robustness.lines(whole)
    for method in ("largest class", "L1 logistic regression", "univariate filter + linear SVM"):
        assert any(f"{method}, in the same folds, with" in line for line in lines)
    assert any("Labels permuted 3 times" in line for line in lines)
    assert any("stable: selected in at least" in line for line in lines)
    assert any("Nogueira's index" in line for line in lines)
    assert robustness.lines(study) == []


def test_the_table_of_methods_begins_with_spred(whole: Study) -> None:
    table = robustness.comparison(whole)
    assert [row[0].text for row in table.rows] == ["spred", *(b.name for b in whole.baselines)]
    assert table.rows[0][1].text == f"{whole.score.main.mean:.2f} ± {whole.score.main.sd:.2f}"
    assert table.narrow


def test_the_table_of_stable_genes_names_symbols(whole: Study) -> None:
    genes = whole.stability.genes
    first = robustness.stable_table(genes).rows[0]
    assert [cell.text for cell in first][:3] == [genes["gene"][0], f"{genes['frequency'][0]:.0%}", "yes"]
    named = robustness.stable_table(genes.assign(symbol="TP53", in_list=False)).rows[0]
    assert [cell.text for cell in named][:3:2] == ["TP53", "no"]


def test_decoys_are_counted_in_words(whole: Study) -> None:
    found = whole.stability
    some = dataclasses.replace(found, fdp=0.25, fdp_safe=0.5, n_decoys=1)
    assert "1 got as far, which puts the share of false genes at 25%, or 50%" in robustness.stable(whole, some)
    assert "decoys" not in robustness.stable(whole, dataclasses.replace(found, fdp=None, fdp_safe=None))


def test_the_metrics_hold_what_was_added(whole: Study, study: Study) -> None:
    found = robustness.metrics(whole)
    assert set(found) == {"nogueira", "stability", "baselines", "permutations"}
    assert found["stability"]["n_stable"] == len(whole.stability.genes)
    assert set(found["baselines"]) == {b.name for b in whole.baselines}
    assert robustness.metrics(study) == {"nogueira": agreement(study)}


@pytest.mark.parametrize(("counts", "text"), [((3, 3), "3"), ((2, 5, 3), "2 to 5")])
def test_ranges_of_counts(counts: tuple[int, ...], text: str) -> None:
    assert robustness.range_text(counts) == text
