"""The options and arguments of the commands: the type of each, and its line of help."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

Data = Annotated[
    str,
    typer.Argument(metavar="DATA", help="CSV, TSV, Excel, parquet, .mat, .h5ad, GEO file or 10x folder; demo:tissue."),
]
NewData = Annotated[str, typer.Argument(metavar="DATA", help="New samples: any file that spred genes reads.")]
Model = Annotated[Path, typer.Argument(metavar="MODEL", help="The model.json of a results folder, or the folder.")]
Table = Annotated[Path | None, typer.Option(help="CSV file for the predictions. [default: the terminal]")]
Truth = Annotated[str | None, typer.Option(help="Column with the truth, for a score.")]
Out = Annotated[Path, typer.Option(help="Folder for the results; an earlier result there is replaced.")]
Target = Annotated[str | None, typer.Option(help="Column to predict. May be left out if there is only one.")]
Time = Annotated[str | None, typer.Option(help="Column of survival times, in the place of a target; with --event.")]
Event = Annotated[str | None, typer.Option(help="Column that says whether the event happened: 1 or 0, dead or alive.")]
Labels = Annotated[Path | None, typer.Option(help="Second file: sample names and their labels.")]
Annotation = Annotated[Path | None, typer.Option(help="GEO platform table (GPL97.annot.gz): symbols for the probes.")]
CollapseWay = Annotated[
    Literal["none", "mean", "variance"],
    typer.Option(help="Keep probes, or make one gene of them: their mean, or the one of largest variance."),
]
Covariates = Annotated[str, typer.Option(help="Columns to adjust for: age,sex,batch:levels.")]
Group = Annotated[str | None, typer.Option(help="Column of patients, say: one group is never split across folds.")]
Log2 = Annotated[bool | None, typer.Option("--log2/--no-log2", help="Scale of the values. [default: by their range]")]
TaskName = Annotated[
    Literal["auto", "classification", "regression"],
    typer.Option(help="Predict a class or a number; auto: a number if there are many distinct ones."),
]
Rule = Annotated[str, typer.Option(help="How the penalty is chosen: short, 1se, min, or at most so many genes.")]
Refit = Annotated[bool, typer.Option("--refit/--no-refit", help="Refit the chosen genes without the L1 shrinkage.")]
NAlphas = Annotated[int, typer.Option(min=2, help="Penalties on the path.")]
Folds = Annotated[int, typer.Option(min=2, help="Outer and inner folds.")]
Repeats = Annotated[int, typer.Option(min=1, help="Make the outer folds so many times, with other seeds.")]
Normalize = Annotated[
    Literal["none", "quantile"], typer.Option(help="Bring samples to one distribution, learned inside the folds.")
]
MinVariance = Annotated[
    float, typer.Option(min=0.0, max=0.99, help="Share of the genes, those that vary least, left out in each fold.")
]
L1Ratio = Annotated[float, typer.Option(help="Share of L1 in the penalty; below 1 keeps more genes that go together.")]
ModelName = Annotated[str, typer.Option(help="linear, or network: an MLP beside it, one gate for each gene.")]
Resume = Annotated[bool, typer.Option("--resume", help="Go on where a stopped run with the same --out ended.")]
Backend = Annotated[
    Literal["processes", "dask"],
    typer.Option(help="What runs the jobs; dask: the cluster of DASK_SCHEDULER_ADDRESS, or a local one."),
]
Balanced = Annotated[bool, typer.Option("--balanced/--unbalanced", help="Weigh every class alike, or every sample.")]
Seed = Annotated[int, typer.Option(min=0, help="Seed of the splits.")]
Jobs = Annotated[int, typer.Option(help="Folds fitted at the same time; -1 uses every core.")]

StabilityFlag = Annotated[
    bool, typer.Option("--stability", help="Add the stable list: genes that halves select again.")
]
Pfer = Annotated[float, typer.Option(help="False genes to accept in the stable list, on average.")]
Baselines = Annotated[bool, typer.Option("--baselines", help="Add L1 at its best and a univariate filter, same folds.")]
NPermutations = Annotated[int, typer.Option("--permutations", min=0, help="Add a p-value from so many permutations.")]

Recipe = Annotated[Path | None, typer.Argument(metavar="RECIPE", help="TOML file: model, data, penalty, training.")]
Demo = Annotated[bool, typer.Option("--demo", help="In the place of a recipe: LeNet-5 on 5,000 MNIST digits.")]
Compare = Annotated[bool, typer.Option("--compare", help="Add magnitude pruning, plain L1 and, if installed, PAT.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="Show no progress.")]
TensorBoard = Annotated[Path | None, typer.Option(help="Folder for TensorBoard logs.")]
