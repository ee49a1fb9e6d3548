"""The methods of a study in words, ready for a paper: what was done, with which settings and versions."""

from __future__ import annotations

from collections.abc import Mapping

from spred.genes.report.text import certificates, software, test_name
from spred.genes.study.models import find_model
from spred.genes.study.results import Stability
from spred.genes.study.settings import Settings
from spred.genes.study.study import Study

COLLAPSED = {
    "none": "",
    "mean": "Probes of one gene were averaged; probes of none or several were left out. ",
    "variance": "Of the probes of one gene the most variable was kept; probes of none or several were left out. ",
}


def paragraph(study: Study, run: Mapping[str, object]) -> str:
    """Return the methods of a study in words."""
    expression, settings = study.expression, study.settings
    adjusted = f", adjusted for {', '.join(c.name for c in expression.covariates)}" if expression.covariates else ""
    k = len(study.folds) // settings.repeats
    repeated = f"{settings.repeats} times repeated " if settings.repeats > 1 else ""
    scale = "log2(1 + value), negative values counted as 0" if expression.log2 else "the values as given"
    model = find_model(settings.model).title[expression.kind]
    weighted = ", all classes weighted equally" if settings.class_weight == "balanced" else ""
    kind = "stratified " * (expression.strata is not None) + "grouped " * (expression.group is not None)
    unit = f" (all samples of one {expression.group_name!r} in one fold)" if expression.group is not None else ""
    what, how_small = certificates(study)[0]
    mixed = f" (elastic net, {settings.l1_ratio:.0%} of it L1)" if settings.l1_ratio < 1 else ""
    return (
        f"Genes were selected with {model}{mixed}{weighted}, on {scale}, each gene standardised on the training "
        f"samples{adjusted}. {COLLAPSED[expression.collapse]}"
        f"The penalty was chosen on a path of {settings.n_alphas} values by {kind}cross-validation of the deviance, "
        f"{rule_text(settings.rule)}. {refit_text(settings)}"
        f"Performance was estimated by {repeated}{k}-fold {kind}nested cross-validation{unit}: {inner_steps(settings)}"
        "imputation, standardisation, choice of the penalty and selection were repeated in every outer fold without "
        f"its held-out samples. {interval_text(study)}"
        f"The reported genes come from the same procedure on all {len(expression.samples)} samples, solved to a "
        f"{what.rstrip(',')} of {how_small}. {added(study)}"
        f"Software: {software(run)}; seed {settings.seed}."
    )


def inner_steps(settings: Settings) -> str:
    """Name in the methods the steps beyond the usual ones."""
    quantiles = "quantile normalisation, " if settings.normalize == "quantile" else ""
    filtered = (
        f"removal of the {settings.min_variance:.0%} of genes of least variance, " if settings.min_variance else ""
    )
    return quantiles + filtered


def added(study: Study) -> str:
    """Say how stability selection, permutations, baselines and tests were done, where they were."""
    text = ""
    if study.stability is not None:
        found = study.stability
        text += (
            f"Stability selection used {found.n_pairs} complementary pairs of halves, {found.n_selected} genes of each "
            f"({find_model(study.settings.model).ranks}), and a threshold of {found.threshold:.2f} (PFER at most "
            f"{found.pfer:.2g} by the {found.bound} bound of Shah and Samworth, 2013){decoy_text(found)}. "
        )
    if study.permutations is not None:
        text += (
            f"The p-value of the score comes from {len(study.permutations.scores)} permutations of the labels in the "
            "same folds, at the penalties chosen for the true labels. "
        )
    if study.baselines:
        others = ", ".join(baseline.name for baseline in study.baselines)
        text += f"Other methods were scored in the same folds ({others}). "
    test = test_name(study.expression)
    return f"{text}P-values of single genes ({test}) were adjusted after Benjamini and Hochberg. "


def interval_text(study: Study) -> str:
    """Say in the methods what the interval of the score is; folds that all score the same have none."""
    main = study.score.main
    if main.sd:
        return "The interval of the score is the corrected resampled t interval (Nadeau and Bengio, 2003). "
    if main.interval[0] < main.interval[1]:
        return "The interval of the score is the exact binomial one (Clopper and Pearson, 1934). "
    return ""


def refit_text(settings: Settings) -> str:
    """Say in the methods how the chosen genes were refitted."""
    return "The genes chosen were refitted with a ridge penalty of the same strength. " if settings.refit else ""


def decoy_text(found: Stability) -> str:
    """Say in the methods how the false discovery proportion was estimated."""
    if found.fdp is None:
        return ""
    return (
        "; the false discovery proportion was estimated from decoy genes, whose samples are permuted, as "
        f"{found.fdp:.2f} ({found.fdp_safe:.2f} with one decoy more, as for knockoffs)"
    )


def rule_text(rule: object) -> str:
    """Say how the penalty is chosen."""
    if rule == "short":
        return (
            "taking the sparser of two models: the sparsest within one standard error of the best, and the best with "
            "at most half the genes of the best"
        )
    if rule == "1se":
        return "taking the sparsest model within one standard error of the best"
    return "taking the best" if rule == "min" else f"taking the best with at most {rule} genes"
