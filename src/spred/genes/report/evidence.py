"""The sentences and tables of what was added to a study: stability, baselines, permutations."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np

from spred.genes.report.text import leading, overlap
from spred.genes.study.results import Baseline, Stability
from spred.genes.study.scores import METRICS, Spread
from spred.genes.study.stability import agreement
from spred.genes.study.study import Study
from spred.report.wording import count

STABILITY_CAPTION = (
    "How often each gene was among those that a half of the samples selected, most frequent first. The dashed line is "
    "the threshold of the stable list."
)
ROC_CAPTION = (
    "ROC curves of the held-out predictions: thin, one for each outer fold; thick, their mean. On the diagonal, "
    "guessing."
)


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
    said = []
    if study.stability is not None:
        genes = study.stability.genes
        named = f"stable over halves of the samples: {leading(genes)}" if len(genes) else "stable over halves"
        said.append(
            f"{count(len(genes), 'gene') if len(genes) else 'No gene'} {'are' if len(genes) > 1 else 'is'} {named}."
        )
    others = [b for b in study.baselines if max(b.n_genes)]
    if others:
        best = max(others, key=lambda b: b.score.mean)
        own, mine = study.score.main.mean, np.mean(study.n_selected_folds)
        said.append(
            f"The best of the other methods in the same folds, {best.name}, scores {best.score.mean:.2f} with "
            f"{np.mean(best.n_genes):.0f} genes on average, spred {own:.2f} with {mine:.0f}."
        )
    if study.permutations is not None:
        said.append(f"Labels without meaning score as well with p = {study.permutations.p:.2g}.")
    return " ".join(said)


def comparison(study: Study) -> tuple[list[str], list[list[str]]]:
    """Return the table of methods in the same folds: headings and rows of text."""
    own = Baseline("spred", study.score.main, study.n_selected_folds)
    rows = [
        [b.name, written(b.score), written_interval(b.score), f"{np.mean(b.n_genes):.1f}", spoken_range(b.n_genes)]
        for b in (own, *study.baselines)
    ]
    return ["method", METRICS[study.expression.task].name, "95 % interval", "genes, mean", "range"], rows


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
    said = []
    if study.baselines:
        said += [
            f"  {row[1]:>14}  {row[0]}, in the same folds, with {row[3]} genes" for row in comparison(study)[1][1:]
        ]
    if study.permutations is not None:
        said.append(permutation_text(study))
    if study.stability is not None:
        said.append(stable(study, study.stability))
        said.append(agreement_text(study))
    return [line for line in said if line]


def numbers(study: Study) -> dict[str, object]:
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


def written(score: Spread) -> str:
    """Write a mean and its sd."""
    return f"{score.mean:.2f} ± {score.sd:.2f}"


def written_interval(score: Spread) -> str:
    """Write an interval; folds that all score the same tell none."""
    return "–" if score.interval[0] == score.interval[1] else f"{score.interval[0]:.2f} to {score.interval[1]:.2f}"


def spoken_range(counts: tuple[int, ...]) -> str:
    """Write how many genes were used: one number, or the range."""
    low, high = min(counts), max(counts)
    return str(low) if low == high else f"{low} to {high}"
