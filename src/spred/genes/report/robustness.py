"""How sure a study is: the sentences and tables of stability selection, other methods, and permuted labels."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np
import pandas as pd

from spred.genes.report.text import interval_cell, leading, mean_and_sd, overlap
from spred.genes.study.results import Baseline, Stability
from spred.genes.study.scores import METRICS
from spred.genes.study.stability import agreement
from spred.genes.study.study import Study
from spred.report.blocks import Heading, Table, headings, text_table
from spred.report.wording import count


def stable(study: Study, found: Stability) -> str:
    """Say what stability selection found, and what its bound promises."""
    n = len(found.genes)
    how = (
        f"{2 * found.n_pairs} halves of the samples ({count(found.n_pairs, 'complementary pair')}), in each of which "
        f"the {count(found.n_selected, 'gene')} that the model wants most were selected"
    )
    promise = (
        f"At most {found.pfer:.2g} of the genes that a half selects no more often than chance would are expected in "
        f"such a list ({found.bound} bound of Shah and Samworth)"
    )
    if found.fdp is not None:
        reached = "none" if found.n_decoys == 0 else str(found.n_decoys)
        promise += (
            f"; of as many decoys, genes in another order of the samples, {reached} got as far, which puts the share "
            f"of false genes at {found.fdp:.0%}, or {found.fdp_safe:.0%} on the safe side (one decoy more)"
        )
    if not n:
        top = float(found.frequency.max())
        return (
            f"No gene is stable: none came back in {found.threshold:.0%} of {how}; the most frequent one did in "
            f"{top:.0%}. The list then depends on which samples were at hand: take it as one of several that "
            "predict alike. More samples would help most."
        )
    return (
        f"{count(n, 'gene')} {'is' if n == 1 else 'are'} stable: selected in at least {found.threshold:.0%} of {how}. "
        f"{promise}. {overlap(n, int(found.genes['in_list'].sum()))} in the list of all samples too."
    )


def agreement_text(study: Study) -> str:
    """Say how much the outer folds agree."""
    index = agreement(study)
    if index is None:
        return ""
    return (
        f"Nogueira's index of agreement between the {len(study.folds)} outer folds is {index:.2f} "
        "(1: the same genes in every fold; 0: no more in common than chance gives)."
    )


def assurance(study: Study) -> str:
    """Say in short how sure the result is: stable genes, other methods, meaningless labels, as far as asked for."""
    found = []
    if study.stability is not None:
        genes = study.stability.genes
        named = f"stable over halves of the samples: {leading(genes)}" if len(genes) else "stable over halves"
        found.append(
            f"{count(len(genes), 'gene') if len(genes) else 'No gene'} {'are' if len(genes) > 1 else 'is'} {named}."
        )
    others = [b for b in study.baselines if max(b.n_genes)]
    if others:
        best = max(others, key=lambda b: b.score.mean)
        own, mine = study.score.main.mean, np.mean(study.n_selected_folds)
        found.append(
            f"The best of the other methods in the same folds, {best.name}, scores {best.score.mean:.2f} with "
            f"{np.mean(best.n_genes):.0f} genes on average, spred {own:.2f} with {mine:.0f}."
        )
    if study.permutations is not None:
        found.append(f"Labels without meaning score as well with p = {study.permutations.p:.2g}.")
    return " ".join(found)


def comparison(study: Study) -> Table:
    """Return the table of methods in the same folds, spred first."""
    own = Baseline("spred", study.score.main, study.n_selected_folds)
    rows = [
        [b.name, mean_and_sd(b.score), interval_cell(b.score), f"{np.mean(b.n_genes):.1f}", range_text(b.n_genes)]
        for b in (own, *study.baselines)
    ]
    name = METRICS[study.expression.task].name
    return text_table(headings("method", name, "95 % interval", "genes, mean", "range"), rows, narrow=True)


def stable_table(genes: pd.DataFrame) -> Table:
    """Return the page's table of stable genes: name, frequency, whether the list has it, neighbours."""
    rows = []
    for gene in genes.to_dict("records"):
        name, in_list = str(gene.get("symbol") or gene["gene"]), "yes" if gene["in_list"] else "no"
        rows.append([name, f"{gene['frequency']:.0%}", in_list, gene["neighbours"]])
    heads = (*headings("gene", "in halves", "in the list"), Heading("neighbours", is_name=True))
    return text_table(heads, rows)


def permutation_text(study: Study) -> str:
    """Say how good a score labels without meaning reach."""
    found = study.permutations
    if found is None:
        return ""
    n, best = len(found.scores), max(found.scores)
    return (
        f"Labels permuted {n} times, in the same folds at the penalties chosen, scored {sum(found.scores) / n:.2f} on "
        f"average and {best:.2f} at best, against {found.observed:.2f} for the true labels: p = {found.p:.2g}."
    )


def lines(study: Study) -> list[str]:
    """Return what was added to a study, a sentence or row each, for the terminal."""
    found = []
    if study.baselines:
        for name, score, _, genes, _ in comparison(study).rows[1:]:
            found.append(f"  {score.text:>14}  {name.text}, in the same folds, with {genes.text} genes")
    if study.permutations is not None:
        found.append(permutation_text(study))
    if study.stability is not None:
        found += [stable(study, study.stability), agreement_text(study)]
    return [line for line in found if line]


def metrics(study: Study) -> dict[str, object]:
    """Return what was added to a study as it stands in metrics.json."""
    found: dict[str, object] = {"nogueira": agreement(study)}
    if study.stability is not None:
        s = study.stability
        found["stability"] = {
            "n_stable": len(s.genes),
            "threshold": s.threshold,
            "pfer": s.pfer,
            "bound": s.bound,
            "n_selected": s.n_selected,
            "n_pairs": s.n_pairs,
            "fdp": s.fdp,
            "fdp_safe": s.fdp_safe,
            "n_decoys": s.n_decoys,
            "seconds": round(s.seconds, 3),
        }
    if study.baselines:
        found["baselines"] = {
            b.name: {**asdict(b.score), "n_genes": float(np.mean(b.n_genes)), "n_genes_folds": b.n_genes}
            for b in study.baselines
        }
    if study.permutations is not None:
        p = study.permutations
        found["permutations"] = {"p": p.p, "scores": p.scores, "seconds": round(p.seconds, 3)}
    return found


def range_text(counts: tuple[int, ...]) -> str:
    """Write how many genes were used: one number, or the range."""
    low, high = min(counts), max(counts)
    return str(low) if low == high else f"{low} to {high}"
