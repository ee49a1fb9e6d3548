"""Every reader and loader of spred, with small inputs made here: what the campaign of ``fuzz_campaign.py`` damages."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd

N, P = 12, 8
"""Samples and genes."""

Files = dict[str, bytes]


@dataclass(frozen=True)
class Reader:
    """A reader of the campaign.

    Attributes:
        make: writes the whole input into an empty folder.
        run: reads it from there; whatever it returns is a value.
        damaged: which of the files are damaged; all if empty.
    """

    make: Callable[[Path], None]
    run: Callable[[Path], object]
    damaged: tuple[str, ...] = ()

    def files(self) -> Files:
        """Return the whole input as bytes."""
        with TemporaryDirectory() as scratch:
            self.make(Path(scratch))
            return {
                file.relative_to(scratch).as_posix(): file.read_bytes()
                for file in sorted(Path(scratch).rglob("*"))
                if file.is_file()
            }


# --- gene expression --------------------------------------------------------------------------------------


@cache
def values() -> np.ndarray:
    return np.random.default_rng(0).poisson(3, size=(N, P)).astype(float) + 0.25


CLASSES = ["tumour" if i % 2 else "normal" for i in range(N)]
GENES = [f"G{j}" for j in range(P)]


def frame() -> pd.DataFrame:
    table = pd.DataFrame(values(), columns=GENES)
    table.insert(0, "sample", [f"s{i}" for i in range(N)])
    table.insert(1, "class", CLASSES)
    table.insert(2, "age", 40 + np.arange(N))
    return table


def reading(name: str, **options: Any) -> Callable[[Path], object]:
    """Describe a file and read it; a sentence from one of them is a sentence."""

    def run(folder: Path) -> object:
        from spred.genes import describe, read

        path = folder / name
        given = {key: folder / value if key != "target" else value for key, value in options.items()}
        describe(path, labels=given.get("labels"))
        return read(path, **given)

    return run


def table(name: str, **how: Any) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        frame().to_csv(folder / name, index=False, **how)

    return make


def rows(name: str) -> Callable[[Path], None]:
    """Genes in rows, and a labels file."""

    def make(folder: Path) -> None:
        turned = frame().set_index("sample")[GENES].T
        turned.to_csv(folder / name, index_label="gene", sep="\t")
        frame()[["sample", "class"]].to_csv(folder / "labels.csv", index=False)

    return make


def soft(folder: Path) -> None:
    names = [f"GSM{i}" for i in range(N)]
    half = {kind: [n for n, c in zip(names, CLASSES, strict=True) if c == kind] for kind in ("normal", "tumour")}
    lines = ["^DATASET = GDS1", "!dataset_title = small", f"!dataset_sample_count = {N}"]
    for k, (kind, members) in enumerate(half.items()):
        lines += [f"^SUBSET = GDS1_{k}", "!subset_dataset_id = GDS1", f"!subset_description = {kind}"]
        lines += [f"!subset_sample_id = {','.join(members)}", "!subset_type = disease state"]
    lines += ["^DATASET = GDS1", "!dataset_table_begin", "\t".join(["ID_REF", "IDENTIFIER", *names])]
    lines += ["\t".join([f"p{j}", GENES[j], *(f"{x:.2f}" for x in values()[:, j])]) for j in range(P)]
    (folder / "a.soft").write_text("\n".join([*lines, "!dataset_table_end", ""]))


def series(folder: Path) -> None:
    names = [f'"GSM{i}"' for i in range(N)]
    lines = ['!Series_title\t"small"', "\t".join(["!Sample_geo_accession", *names])]
    lines += ["\t".join(["!Sample_characteristics_ch1", *(f'"class: {c}"' for c in CLASSES)])]
    lines += ["\t".join(["!Sample_characteristics_ch1", *(f'"age: {40 + i}"' for i in range(N))])]
    lines += ["!series_matrix_table_begin", "\t".join(['"ID_REF"', *names])]
    lines += ["\t".join([f'"p{j}"', *(f"{x:.2f}" for x in values()[:, j])]) for j in range(P)]
    (folder / "a_series_matrix.txt").write_text("\n".join([*lines, "!series_matrix_table_end", ""]))


def annotation(folder: Path) -> None:
    frame().rename(columns={g: f"p{g[1:]}" for g in GENES}).to_csv(folder / "a.csv", index=False)
    lines = ["^Annotation", "!Annotation_platform = GPL1", "!platform_table_begin", "ID\tGene title\tGene symbol"]
    lines += [f"p{j}\ta gene\t{GENES[j]}" + ("///G0" if j == 3 else "") for j in range(P)]
    text = "\n".join([*lines, "!platform_table_end", ""])
    (folder / "GPL1.annot.gz").write_bytes(gzip.compress(text.encode(), mtime=0))


def excel(folder: Path) -> None:
    frame().to_excel(folder / "a.xlsx", index=False)


def parquet(folder: Path) -> None:
    frame().to_parquet(folder / "a.parquet")


def tenx(folder: Path) -> None:
    from scipy import sparse
    from scipy.io import mmwrite

    (folder / "features.tsv").write_text("".join(f"E{j}\t{GENES[j]}\tGene Expression\n" for j in range(P)))
    (folder / "barcodes.tsv").write_text("".join(f"AC{i}-1\n" for i in range(N)))
    frame().assign(sample=[f"AC{i}-1" for i in range(N)])[["sample", "class"]].to_csv(
        folder / "labels.csv", index=False
    )
    mmwrite(folder / "matrix.mtx", sparse.coo_array(values().T.astype(int)))


def tenx_gz(folder: Path) -> None:
    tenx(folder)
    for name in ("features.tsv", "barcodes.tsv", "matrix.mtx"):
        (folder / f"{name}.gz").write_bytes(gzip.compress((folder / name).read_bytes(), mtime=0))
        (folder / name).unlink()


def read_tenx(folder: Path) -> object:
    from spred.genes import describe, read

    describe(folder)
    return read(folder, labels=folder / "labels.csv")


def h5ad(kind: str) -> Callable[[Path], None]:
    """As anndata lays it out: a categorical, a nullable and a plain column, symbols in var."""

    def make(folder: Path) -> None:
        import h5py
        from scipy import sparse

        text = h5py.string_dtype()
        with h5py.File(folder / "a.h5ad", "w") as file:
            if kind == "dense":
                file.create_dataset("X", data=values(), compression="gzip")
            else:
                matrix = (sparse.csr_array if kind == "csr" else sparse.csc_array)(np.floor(values()))
                group = file.create_group("X")
                group.attrs["encoding-type"], group.attrs["shape"] = f"{kind}_matrix", matrix.shape
                for part in ("data", "indices", "indptr"):
                    group[part] = getattr(matrix, part)
            obs, var = file.create_group("obs"), file.create_group("var")
            obs.attrs["_index"], obs.attrs["column-order"] = "cell", np.array(["class", "age", "size"], dtype=object)
            obs.create_dataset("cell", data=[f"c{i}" for i in range(N)], dtype=text)
            level = obs.create_group("class")
            level["codes"] = np.arange(N, dtype=np.int8) % 2
            level.create_dataset("categories", data=["normal", "tumour"], dtype=text)
            age = obs.create_group("age")
            age["values"], age["mask"] = np.arange(N), np.arange(N) == 3
            obs["size"] = values().sum(axis=1)
            var.attrs["_index"], var.attrs["column-order"] = "_index", np.array(["gene_symbols"], dtype=object)
            var.create_dataset("_index", data=[f"E{j}" for j in range(P)], dtype=text)
            var.create_dataset("gene_symbols", data=GENES, dtype=text)

    return make


def matlab(**how: Any) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        from scipy import sparse
        from scipy.io import savemat

        more = {} if how.get("format") == "4" else {"names": np.array([f"s{i}" for i in range(N)], dtype=object)}
        some = sparse.csc_array(np.floor(values()))
        savemat(folder / "a.mat", {"X": values(), "class": (np.arange(N) % 2)[:, None], "S": some, **more}, **how)

    return make


@cache
def model_texts() -> dict[str, str]:
    """Return a linear model and a network, small, as ``model.json`` has them."""
    from dataclasses import replace

    from spred.genes import Settings, read, run_study
    from spred.genes.saved_model import NetworkWeights, as_json, model_of

    with TemporaryDirectory() as scratch:
        apart(Path(scratch))
        study = run_study(read(Path(scratch, "a.csv"), target="class"), Settings(rule="min", n_alphas=4, folds=2))
    linear = model_of(study)
    k = len(linear.genes)
    weights = NetworkWeights(
        activation="tanh",
        constant=True,
        free=[[0.5]],
        first=[[1.0, 0.5, -0.5]] * k,
        biases=[[0.0, 0.1]],
        upper=[[[1.0, -1.0]]],
        means=[0.0] * k,
        scales=[1.0] * k,
        shift=[0.0],
        unit=[1.0],
        basis=[],
    )
    return {
        "linear": json.dumps(as_json(linear)),
        "network": json.dumps(as_json(replace(linear, intercept=[0.0] * len(linear.coef), network=weights))),
    }


def model(kind: str) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        (folder / "model.json").write_text(model_texts()[kind])
        apart(folder)

    return make


def apart(folder: Path) -> None:
    """Write a table whose first two genes tell the classes apart."""
    classes = np.arange(N)[:, None] % 2
    moved = frame()
    moved[GENES[:2]] += 6.0 * classes
    moved.to_csv(folder / "a.csv", index=False)


def apply_model(folder: Path) -> object:
    from spred.genes import apply_model

    return apply_model(folder / "model.json", folder / "a.csv")


# --- compression ------------------------------------------------------------------------------------------


def bars() -> tuple[np.ndarray, np.ndarray]:
    from compress_images import bars

    return bars(12)


def plain_model() -> Any:
    import torch
    from torch import nn

    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 6), nn.ReLU(), nn.Linear(6, 3))


def sparse_file(folder: Path) -> None:
    from spred.compress.export.sparse import save_sparse

    state = plain_model().state_dict()
    state["1.weight"] = state["1.weight"] * (state["1.weight"] > 0.1)
    save_sparse(state, folder / "model.sparse.safetensors")


def load_sparse(folder: Path) -> object:
    from spred.compress.export.sparse import load_sparse

    return load_sparse(folder / "model.sparse.safetensors")


def shrunk(folder: Path) -> None:
    import torch

    import spred
    from spred.compress.export.shrunk import save_shrunk

    origin = {
        "name": "mlp",
        "arguments": {"widths": [6]},
        "facts": {"channels": 1, "size": [8, 8], "n_classes": 3},
    }
    plain = plain_model()
    with torch.no_grad():
        plain[1].weight[2:4] = 0
        plain[1].bias[2:4] = 0
    save_shrunk(spred.shrink(plain, torch.zeros(1, 1, 8, 8)), plain, folder, origin)


def load_shrunk(folder: Path) -> object:
    from spred.compress.export.shrunk import load_shrunk

    load_shrunk(folder)
    return load_shrunk(folder, plain_model())


def pictures(folder: Path) -> None:
    from compress_images import png

    folder = folder / "pictures"
    folder.mkdir()
    images, labels = bars()
    for i in range(3):
        (folder / f"{i}.png").write_bytes(png(images[i]))
    cells = {"file_name": [f"{i}.png" for i in range(3)], "label": labels[:3]}
    pd.DataFrame(cells).to_csv(folder / "metadata.csv", index=False)


def coded(suffix: str, **how: Any) -> Callable[[Path], None]:
    """Write a folder of one class with one picture in some format."""

    def make(folder: Path) -> None:
        from PIL import Image

        for name in ("a", "b"):
            (folder / "pictures" / name).mkdir(parents=True)
            Image.fromarray(bars()[0][0]).save(folder / "pictures" / name / f"0.{suffix}", **how)

    return make


def images(name: str) -> Callable[[Path], object]:
    def run(folder: Path) -> object:
        from spred.compress.data.readers import read_images
        from spred.compress.recipe import DataSection

        return read_images(name, "train", DataSection(name), folder)

    return run


def image_arrays(folder: Path) -> None:
    x, y = bars()
    np.savez_compressed(folder / "a.npz", x_train=x, y_train=y)


def image_table(folder: Path) -> None:
    from compress_images import write_parquet

    write_parquet(folder / "a.parquet", n=4)


def recipe(folder: Path) -> None:
    (folder / "recipe.toml").write_text(
        '[model]\nname = "mlp"\narguments = { widths = [16] }\n[data]\ntrain = "a.npz"\ntest = 0.2\n'
        "[penalty]\nalphas = [3e-3, 1e-2]\n[train]\nepochs = 2\nlr = 0.1\nbatch_size = 16\n"
        "[choose]\ntolerance = 1.0\n[export]\nonnx = false\n"
    )


def read_recipe(folder: Path) -> object:
    from spred.compress.recipe import read_recipe

    return read_recipe(folder / "recipe.toml")


def resume_state(folder: Path) -> None:
    import torch

    from spred.compress.training.checkpoints import Keep

    net = plain_model()
    opt = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    net(torch.zeros(1, 1, 8, 8)).sum().backward()
    opt.step()
    Keep(folder).save("dense", {"epoch": 3, "model": net.state_dict(), "optimizer": opt.state_dict()})


def load_state(folder: Path) -> object:
    from spred.compress.training.checkpoints import Keep

    return Keep(folder).load("dense")


def weights(name: str) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        import torch

        from spred.compress.export.safetensors import write_tensors

        state = plain_model().state_dict()
        if name.endswith(".pt"):
            torch.save(state, folder / name)
        else:
            write_tensors(state, folder / name)

    return make


def load_weights(name: str) -> Callable[[Path], object]:
    def run(folder: Path) -> object:
        try:
            from spred.compress.models.weights import load_weights
        except ImportError:
            from spred.compress.models.zoo import load_weights

        return load_weights(plain_model(), folder / name)

    return run


def resume_store(folder: Path) -> None:
    from spred.runtime.tasks import Store

    Store(folder).keep(0, {"score": np.array(0.9), "coef": np.arange(6.0), "names": np.array(["a", "b"])})


def load_store(folder: Path) -> object:
    from spred.runtime.tasks import Store

    return Store(folder).load(0)


def run_record(folder: Path) -> None:
    (folder / "genes.csv").write_text("gene\n")
    (folder / "run.json").write_text(json.dumps({"made_by": "spred", "seed": 0, "files": ["genes.csv", "run.json"]}))


def check_folder(folder: Path) -> object:
    from spred.runtime.folder import check_folder

    return check_folder(folder)


READERS: dict[str, Reader] = {
    "csv": Reader(table("a.csv"), reading("a.csv", target="class")),
    "csv.gz": Reader(table("a.csv.gz"), reading("a.csv.gz", target="class")),
    "tsv": Reader(rows("a.tsv"), reading("a.tsv", labels="labels.csv")),
    "soft": Reader(soft, reading("a.soft", target="disease state")),
    "series": Reader(series, reading("a_series_matrix.txt", target="class")),
    "annot": Reader(annotation, reading("a.csv", target="class", annotation="GPL1.annot.gz"), ("GPL1.annot.gz",)),
    "xlsx": Reader(excel, reading("a.xlsx", target="class")),
    "parquet": Reader(parquet, reading("a.parquet", target="class")),
    "mtx": Reader(tenx, read_tenx, ("matrix.mtx", "features.tsv", "barcodes.tsv")),
    "mtx.gz": Reader(tenx_gz, read_tenx, ("matrix.mtx.gz", "features.tsv.gz", "barcodes.tsv.gz")),
    "h5ad": Reader(h5ad("dense"), reading("a.h5ad", target="class")),
    "h5ad-csr": Reader(h5ad("csr"), reading("a.h5ad", target="class")),
    "h5ad-csc": Reader(h5ad("csc"), reading("a.h5ad", target="class")),
    "mat": Reader(matlab(), reading("a.mat", target="class")),
    "mat-packed": Reader(matlab(do_compression=True), reading("a.mat", target="class")),
    "mat-4": Reader(matlab(format="4"), reading("a.mat", target="class")),
    "model": Reader(model("linear"), apply_model, ("model.json",)),
    "model-network": Reader(model("network"), apply_model, ("model.json",)),
    "sparse": Reader(sparse_file, load_sparse),
    "shrunk": Reader(shrunk, load_shrunk),
    "metadata": Reader(pictures, images("pictures"), ("pictures/metadata.csv",)),
    "png": Reader(coded("png"), images("pictures"), ("pictures/a/0.png",)),
    "gif": Reader(coded("gif"), images("pictures"), ("pictures/a/0.gif",)),
    "tiff": Reader(coded("tiff", compression="tiff_lzw"), images("pictures"), ("pictures/a/0.tiff",)),
    "jpeg": Reader(coded("jpeg"), images("pictures"), ("pictures/a/0.jpeg",)),
    "npz": Reader(image_arrays, images("a.npz")),
    "image-parquet": Reader(image_table, images("a.parquet")),
    "recipe": Reader(recipe, read_recipe),
    "weights": Reader(weights("w.safetensors"), load_weights("w.safetensors")),
    "weights-pt": Reader(weights("w.pt"), load_weights("w.pt")),
    "state": Reader(resume_state, load_state),
    "store": Reader(resume_store, load_store),
    "run-record": Reader(run_record, check_folder),
}
"""Every reader and loader by its name on the command line; a new format is a new row."""
