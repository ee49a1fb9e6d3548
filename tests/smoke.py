"""The main job of each user, small: what must work in every environment that pyproject.toml allows.

    python tests/smoke.py                      every job
    python tests/smoke.py linear genes         these; `scripts/check-versions` runs it so

Each job ends by a claim about its result. A job whose extra is not installed fails, so name those that should work.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np


def linear() -> str:
    """Paths with certificates, an estimator chosen by cross-validation in processes, a survival model."""
    import spred

    rng = np.random.default_rng(0)
    X = rng.normal(size=(80, 200))
    y = 3 * X[:, 0] - 2 * X[:, 1] + rng.normal(size=80)
    worst = 0.0
    for loss, target in {
        "squared": y,
        "logistic": (y > 0).astype(float),
        "multinomial": np.digitize(y, [-1, 1]),
    }.items():
        path = spred.path(X, target, loss=loss, n_alphas=10, eps=0.2)
        assert path.converged
        worst = max(worst, float(path.gaps.max()))
    model = spred.SparseRegressorCV(cv=4, n_alphas=20, n_jobs=2).fit(X, y)
    assert {0, 1} <= set(model.get_support(indices=True))
    times = spred.survival_target(rng.random(80) < 0.7, rng.exponential(np.exp(-2 * X[:, 2])))
    assert 2 in spred.SparseCoxCV(cv=4, n_alphas=10, rule="min").fit(X[:, :20], times).get_support(indices=True)
    return f"largest gap {worst:.0e}"


def networks() -> str:
    """A network that selects its inputs, on NumPy alone."""
    import spred

    rng = np.random.default_rng(0)
    X = rng.normal(size=(120, 10))
    model = spred.NetworkRegressor(n_alphas=8, cv=3, random_state=0).fit(X, X[:, 0] + np.sin(2 * X[:, 1]))
    assert {0, 1} <= set(model.get_support(indices=True))
    return f"{model.get_support().sum()} of 10 inputs"


def genes() -> str:
    """From a table to a list, a report and a prediction, by the command."""
    rng = np.random.default_rng(0)
    classes = np.arange(40) % 2
    values = 8 + rng.normal(size=(40, 30))
    values[:, 0] += 3 * classes
    with tempfile.TemporaryDirectory() as scratch:
        table, out = Path(scratch, "small.csv"), Path(scratch, "out")
        names = ",".join(f"G{j}" for j in range(30))
        rows = [f"s{i},{'ab'[classes[i]]}," + ",".join(f"{x:.3f}" for x in values[i]) for i in range(40)]
        table.write_text("\n".join([f"sample,class,{names}", *rows]))
        command("describe", table)
        command("genes", table, "--target", "class", "--out", out, "--n-alphas", 10, "--folds", 3, "--jobs", 2)
        command("predict", out / "model.json", table, "--out", Path(scratch, "predicted.csv"))
        chosen = (out / "genes.csv").read_text()
        assert "G0" in chosen
        assert (out / "report.html").stat().st_size > 10_000
    return f"{len(chosen.splitlines()) - 1} genes"


def nn() -> str:
    """A torch model made sparse by the optimiser and by autograd, and cut."""
    import torch

    import spred

    torch.manual_seed(0)
    torch.set_num_threads(1)
    inputs = torch.randn(256, 20)
    targets = inputs[:, :3].sum(dim=1, keepdim=True)
    model = torch.nn.Sequential(torch.nn.Linear(20, 16), torch.nn.ReLU(), torch.nn.Linear(16, 1))
    penalty = spred.GroupL1(model[0].weight, alpha=2e-2, dim=1)
    opt = spred.SpredOptimizer(torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9), [penalty])
    for _ in range(1500):
        opt.zero_grad()
        torch.nn.functional.mse_loss(model(inputs), targets).backward()
        opt.step()
    spred.finalize(model, opt)
    inside = set(torch.nonzero(model[0].weight.abs().sum(dim=0)).flatten().tolist())
    assert inside == {0, 1, 2}, inside
    small = spred.shrink(model, inputs[:1])
    assert torch.allclose(small(inputs), model(inputs), atol=1e-5)
    # By autograd the penalty must reach the factors: an array library without it drops the gradient in silence.
    other = torch.nn.Linear(4, 2)
    spred.parametrize(other, spred.L1(spred.prunable_weights(other), 1e-2))
    spred.penalty(other).backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for n, p in other.named_parameters() if "bias" not in n)
    return f"{len(inside)} of 20 inputs"


RECIPE = """
[model]
name = "mlp"
arguments = { widths = [16] }
[data]
train = "bars.npz"
test = "bars.npz"
validation = 0.25
[penalty]
alphas = [3e-3, 1e-2]
[train]
epochs = 2
sparse_epochs = 2
refit_epochs = 1
batch_size = 16
[choose]
tolerance = 1.0
"""


def compress() -> str:
    """From a recipe to a smaller model and its report, by the command, with safetensors and ONNX."""
    from compress_images import write_npz

    with tempfile.TemporaryDirectory() as scratch:
        write_npz(Path(scratch, "bars.npz"))
        recipe, out = Path(scratch, "recipe.toml"), Path(scratch, "out")
        recipe.write_text(RECIPE)
        command("compress", recipe, "--out", out)
        made = sorted(file.name for file in out.iterdir())
    assert "report.html" in made
    assert any(name.endswith(".onnx") for name in made)
    assert any(name.endswith(".safetensors") for name in made)
    return f"{len(made)} files"


JOBS: dict[str, Callable[[], str]] = {
    "linear": linear,
    "networks": networks,
    "genes": genes,
    "nn": nn,
    "compress": compress,
}


def command(*arguments: object) -> None:
    """Run ``spred`` as a user would, with warnings of its dependencies as they come."""
    call = [sys.executable, "-c", "from spred.cli import main; main()", *map(str, arguments)]
    done = subprocess.run(call, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def main(names: list[str]) -> None:
    """Run the jobs named, or all; a line for each."""
    unknown = [name for name in names if name not in JOBS]
    if unknown:
        sys.exit(f"no job is called {unknown[0]!r}; there are {', '.join(JOBS)}")
    for name in names or JOBS:
        print(f"{name:10} {JOBS[name]()}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
