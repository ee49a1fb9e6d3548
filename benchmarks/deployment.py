"""Size on disk and speed in ONNX Runtime of models with given zeros, without any training.

    scripts/bench deployment

Filters and blocks of ResNet-20 (32 × 32 images) are set to zero at random with the batch norms behind them; the model
is shrunk, written as ONNX and timed beside the dense one, in turn, on one thread. Then single weights are set to zero
at random, and the sparse file is compared with gzip of the dense one. It writes ``results/deployment.json``.
"""

from __future__ import annotations

import argparse
import gzip
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from record import machine, write
from torch import nn

from spred.compress.export.measure import multiply_adds, speed
from spred.compress.export.onnx import save_onnx
from spred.compress.export.safetensors import write_tensors
from spred.compress.export.sparse import save_sparse
from spred.compress.models.zoo import Facts, build
from spred.nn import shrink

DENSITIES = (0.5, 0.1, 0.01)


@dataclass(frozen=True)
class Case:
    """Filters kept inside the blocks of each stage, channels kept of its residual sums, and blocks of zeros."""

    what: str
    inner: tuple[int, int, int] = (16, 32, 64)
    residual: tuple[int, int, int] = (16, 32, 64)
    blocks: tuple[int, ...] = ()


CASES = (
    Case("filters inside blocks", inner=(8, 16, 32)),
    Case("filters inside blocks, more", inner=(8, 8, 16)),
    Case("filters everywhere", inner=(8, 16, 32), residual=(8, 16, 32)),
    Case("blocks", blocks=(1, 2, 4, 5, 7, 8)),
    Case("blocks, and filters to multiples of 8", inner=(8, 16, 32), blocks=(1, 4, 7)),
    Case("blocks, and filters to multiples of 16", inner=(16, 16, 32), blocks=(1, 2, 4, 7)),
)


def resnet() -> nn.Module:
    """Return a ResNet-20 of random weights."""
    torch.manual_seed(0)
    return build("resnet-20", {}, Facts(3, (32, 32), 10)).eval()


@torch.no_grad()
def pruned(case: Case) -> nn.Module:
    """Return a ResNet-20 with the filters and blocks of a case set to zero."""
    model = resnet()
    stage = {16: 0, 32: 1, 64: 2}
    residual = [torch.randperm(width)[left:] for width, left in zip(stage, case.residual, strict=True)]
    _zero(model[0], model[1], residual[0])
    for number, block in enumerate(module for module in model if hasattr(module, "body")):
        width = len(block.body[0].weight)
        _zero(block.body[0], block.body[1], torch.randperm(width)[case.inner[stage[width]] :])
        _zero(block.body[3], block.body[4], slice(None) if number in case.blocks else residual[stage[width]])
        if len(block.shortcut):
            _zero(block.shortcut[0], block.shortcut[1], residual[stage[width]])
    return model


def _zero(conv: nn.Conv2d, norm: nn.BatchNorm2d, filters: torch.Tensor | slice) -> None:
    for tensor in (conv.weight, norm.weight, norm.bias):
        tensor[filters] = 0.0


def times(folder: Path, runs: int) -> list[dict]:
    """Shrink and time every case, print, and return the rows."""
    images = torch.randn(32, 3, 32, 32)
    dense = resnet()
    save_onnx(dense, images, folder / "dense.onnx")
    rows = []
    print(f"{'set to zero':40} {'MACs':>7} {'batch':>6} {'dense':>10} {'shrunk':>10} {'faster':>8}  quartiles")
    for case in CASES:
        small = shrink(pruned(case), images, multiple=8)
        save_onnx(small, images, folder / "small.onnx")
        macs_ratio = multiply_adds(dense, images) / multiply_adds(small, images)
        for batch in (1, 32):
            pairs = runs if batch == 1 else runs // 4
            found = speed(folder / "dense.onnx", folder / "small.onnx", images[:batch], runs=pairs)
            rows.append({"case": asdict(case), "macs_ratio": macs_ratio, "speed": asdict(found)})
            columns = (f"{case.what:40}", f"÷{macs_ratio:6.2f}", f"{batch:6}", f"{found.dense_ms:7.3f} ms")
            faster = f"{found.ratio:7.2f}×  {found.low:.2f} to {found.high:.2f}"
            print(*columns, f"{found.shrunk_ms:7.3f} ms", faster, flush=True)
    return rows


@torch.no_grad()
def sizes(folder: Path) -> list[dict]:
    """Write files at each density, print, and return the rows."""
    rows = []
    print(f"\n{'density':>8} {'dense':>12} {'gzip':>12} {'sparse':>12}  bytes")
    for density in DENSITIES:
        model = resnet()
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.mul_(torch.rand_like(parameter) < density)
        write_tensors(model.state_dict(), folder / "dense.safetensors")
        save_sparse(model.state_dict(), folder / "sparse.safetensors")
        content = (folder / "dense.safetensors").read_bytes()
        row = {"density": density, "dense": len(content), "gzip": len(gzip.compress(content, 9))}
        row["sparse"] = (folder / "sparse.safetensors").stat().st_size
        rows.append(row)
        print(f"{density:8g} {row['dense']:12,} {row['gzip']:12,} {row['sparse']:12,}")
    return rows


def main(arguments: list[str]) -> None:
    """Time, weigh, print, write JSON."""
    parser = argparse.ArgumentParser("scripts/bench deployment", description=__doc__.split("\n")[0])
    parser.add_argument("--runs", type=int, default=200, help="timed pairs at batch 1; a quarter at batch 32")
    runs = parser.parse_args(arguments).runs
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as scratch:
        rows = times(Path(scratch), runs)
        files = sizes(Path(scratch))
    write("deployment", {"machine": machine(), "times": rows, "sizes": files})
