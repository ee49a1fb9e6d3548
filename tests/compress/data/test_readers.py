"""Every form of labelled images gives the same bytes and the same labels; what cannot be read is said."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from compress_images import CLASSES, bars, png, write_npz, write_parquet
from mutations import outcomes

from spred.compress.data.labels import Labelled
from spred.compress.data.pixels import as_bytes
from spred.compress.data.readers import read_images
from spred.compress.recipe import DataSection
from spred.errors import FileError, InputError

N = 30
SECTION = DataSection("")


def write_folders(folder: Path, channels: int) -> str:
    for index, (image, label) in enumerate(zip(*bars(N, channels=channels), strict=True)):
        place = folder / "classes" / CLASSES[label]
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{index:03d}.png").write_bytes(png(image))
    return "classes"


def write_table(folder: Path, channels: int) -> str:
    images, labels = bars(N, channels=channels)
    (folder / "table").mkdir()
    names = [f"{index}.png" for index in range(N)]
    for name, image in zip(names, images, strict=True):
        (folder / "table" / name).write_bytes(png(image))
    pd.DataFrame({"file_name": names, "label": [CLASSES[label] for label in labels]}).to_csv(
        folder / "table" / "metadata.csv", index=False
    )
    return "table"


def write_arrays(folder: Path, channels: int) -> str:
    images, labels = bars(N, channels=channels)
    np.savez(folder / "arrays.npz", images=images, labels=labels)
    return "arrays.npz"


def write_shards(folder: Path, channels: int) -> str:
    table = pd.read_parquet(write_parquet(folder / "whole.parquet", N, channels))
    for k, half in enumerate((table[:10], table[10:])):
        half.to_parquet(folder / f"train-{k}.parquet")
    return "train-*.parquet"


def write_plain_bytes(folder: Path, channels: int) -> str:
    images, labels = bars(N, channels=channels)
    table = pa.table({"picture": [png(image) for image in images], "class": labels})
    named = table.replace_schema_metadata({"class_names": ",".join(CLASSES)})
    pq.write_table(named, folder / "bytes.parquet")
    return "bytes.parquet"


FORMS = [write_folders, write_table, write_arrays, write_shards, write_plain_bytes]


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("write", FORMS)
def test_every_form_gives_the_same_images(write, channels: int, tmp_path: Path):
    found = read_images(write(tmp_path, channels), "train", SECTION, tmp_path)
    images, labels = bars(N, channels=channels)
    expected = images[:, None] if channels == 1 else images.transpose(0, 3, 1, 2)
    order = np.argsort(labels, kind="stable") if write is write_folders else np.arange(N)
    assert found.images.dtype == np.uint8
    np.testing.assert_array_equal(found.images, expected[order])
    np.testing.assert_array_equal(found.labels, labels[order])
    assert found.classes in (CLASSES, ("0", "1", "2"))


def test_an_npz_file_holds_several_parts(tmp_path: Path):
    write_npz(tmp_path / "bars.npz")
    found = read_images("bars.npz", "test", SECTION, tmp_path)
    np.testing.assert_array_equal(found.images[:, 0], bars(60, seed=1)[0])


def test_numbers_between_0_and_1_become_bytes_and_channels_go_first():
    floats = np.linspace(0, 1, 2 * 5 * 4 * 3).reshape(2, 5, 4, 3)
    found = as_bytes(floats, None)
    assert found.shape == (2, 3, 5, 4)
    np.testing.assert_array_equal(found, np.rint(255 * floats).transpose(0, 3, 1, 2))
    assert as_bytes(floats, 8).shape == (2, 3, 8, 8)


def test_images_of_several_sizes_need_a_size(tmp_path: Path):
    for name, side in (("a", 8), ("b", 12)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "one.png").write_bytes(png(np.full((side, side), 9, dtype=np.uint8)))
    with pytest.raises(InputError, match=r"2 sizes, from 8 × 8 to 12 × 12; give data\.size"):
        read_images(".", "train", SECTION, tmp_path)
    found = read_images(".", "train", DataSection("", size=10), tmp_path)
    assert isinstance(found, Labelled)
    np.testing.assert_array_equal(found.images, np.full((2, 1, 10, 10), 9))


def test_grey_images_among_coloured_ones_become_grey_in_colour(tmp_path: Path):
    for name, image in (("a", np.full((8, 8), 7)), ("b", np.full((8, 8, 3), 9))):
        (tmp_path / name).mkdir()
        (tmp_path / name / "one.png").write_bytes(png(image.astype(np.uint8)))
    found = read_images(".", "train", SECTION, tmp_path)
    assert found.images.shape == (2, 3, 8, 8)
    assert set(found.images[0].ravel()) == {7}


def test_what_cannot_be_read_is_said(tmp_path: Path):
    def fails(source: str, message: str, kind: type[Exception] = FileError, **section: str) -> None:
        with pytest.raises(kind, match=message) as caught:
            read_images(source, "train", DataSection("", **section), tmp_path)
        assert str(caught.value).startswith(source)

    fails("none.parquet", "there is no such file or folder")
    (tmp_path / "notes.txt").write_text("")
    fails("notes.txt", "a form that is not known")
    (tmp_path / "bad.parquet").write_text("no")
    fails("bad.parquet", "no parquet file that can be read")
    write_parquet(tmp_path / "good.parquet")
    fails("good.parquet", "no column 'lable'; did you mean 'label'", InputError, label="lable")
    pd.DataFrame({"image": [b"none"], "label": [0]}).to_parquet(tmp_path / "broken.parquet")
    fails("broken.parquet", "image number 0 cannot be decoded")
    pd.DataFrame({"x": [1.0], "label": [0]}).to_parquet(tmp_path / "numbers.parquet")
    fails("numbers.parquet", r"say with data\.image", InputError)
    np.savez(tmp_path / "other.npz", a=np.zeros(3))
    fails("other.npz", "needs x_train and y_train, or images and labels", InputError)
    np.savez(tmp_path / "wild.npz", images=np.full((2, 8, 8), 300.0), labels=[0, 1])
    fails("wild.npz", "outside 0 … 255", InputError)
    (tmp_path / "empty").mkdir()
    fails("empty", "holds no folder with images")


def a_folder(place: Path, *names: str) -> Path:
    """Make a picture of each name."""
    for name in names:
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_bytes(png(np.full((8, 8), 9, dtype=np.uint8)))
    return place


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (("train/a/1.png", "test/a/1.png"), r"holds \['test', 'train'\], which are parts and no classes"),
        (("a/1.png", "b/.hidden.png"), "holds the folder 'b', in which there is no image"),
        (("a\nb/._1.png", "c/1.png"), r"holds the folder 'a\\nb'"),
    ],
)
def test_folders_that_are_no_classes_are_told(names: tuple[str, ...], message: str, tmp_path: Path):
    with pytest.raises(FileError, match=message):
        read_images(str(a_folder(tmp_path, *names)), "train", SECTION)


def test_what_the_system_leaves_is_no_class(tmp_path: Path):
    a_folder(tmp_path, "a/1.png", "é b/1.png", ".git/1.png", "__MACOSX/._1.png", "a/.ipynb_checkpoints/1.png")
    (tmp_path / "a" / "up").symlink_to(tmp_path)
    assert read_images(str(tmp_path), "train", SECTION).classes == ("a", "é b")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"file_name,label\n../out.png,1\n", r"line 2 names '\.\./out\.png'; give a file inside the folder"),
        (b"file_name,label\na.png,1\na/../../out.png,1\n", "line 3 names"),
        (b"file_name,label\n/etc/passwd,1\n", "line 2 names '/etc/passwd'"),
        (b"file_name,label\n,1\n", "line 2 names ''"),
        (b"file_name,label\na.png,1,\n", "row 2 has 3 cells and the header 2"),
        (b"file_name,label\na.png\n", "row 2 has 1 cells and the header 2"),
        (b"file_name,label\na.png,caf\xe9\n", "is not UTF-8"),
        (b'file_name,label\n"a.png,1\n', "is no table with commas"),
        (b"file_name,label,label\n", "names a column twice"),
        (b"file_name;label\na.png;1\n", r"say with data\.image"),
        (b"file_name,label\nno.png,1\n", "image 'no.png' is not there"),
        (b"file_name,label\na.png,\n", "has images without a label"),
        (b"file_name,label\n", "names no images"),
        (b"", "is empty"),
    ],
)
def test_tables_that_cannot_be_right_are_told(text: bytes, message: str, tmp_path: Path):
    a_folder(tmp_path, "out.png", "images/a.png")
    (tmp_path / "images" / "metadata.csv").write_bytes(text)
    with pytest.raises(InputError, match=message):
        read_images(str(tmp_path / "images"), "train", SECTION)


def test_a_table_of_a_spreadsheet_is_read(tmp_path: Path):
    a_folder(tmp_path, "a.png", "sub/001.png")
    (tmp_path / "metadata.csv").write_bytes(b"\xef\xbb\xbffile_name,label\r\na.png,NA\r\n./sub/001.png,US\r\n")
    assert read_images(str(tmp_path), "train", SECTION).classes == ("NA", "US")


@pytest.mark.parametrize(
    ("columns", "section", "message"),
    [
        ({"image": [b"x", None], "label": [0, 1]}, {}, "column 'image' lacks 1 images"),
        ({"left": [b"x"], "right": [b"y"], "label": [0]}, {}, r"say with data\.image"),
        ({"image": [b"x"], "label": [0]}, {"image": "label"}, "column 'label' is of int64; give images as bytes"),
        ({"image": [{"path": "a.png"}], "label": [0]}, {}, r"say with data\.image"),
    ],
)
def test_columns_that_hold_no_images_are_told(columns: dict, section: dict, message: str, tmp_path: Path):
    pq.write_table(pa.table(columns), tmp_path / "a.parquet")
    with pytest.raises(InputError, match=message):
        read_images(str(tmp_path / "*.parquet"), "train", DataSection("", **section))


@pytest.mark.parametrize("written", [b"{", b'{"info": {"features": {"label": {"names": "ab"}}}}', b"[" * 100_000])
def test_names_of_classes_that_are_none_are_told(written: bytes, tmp_path: Path):
    table = pa.table({"image": [png(bars(1)[0][0])], "label": [0]}).replace_schema_metadata({"huggingface": written})
    pq.write_table(table, tmp_path / "a.parquet")
    with pytest.raises(FileError, match="has names of classes that"):
        read_images(str(tmp_path / "a.parquet"), "train", SECTION)


def test_shards_of_unlike_columns_are_told(tmp_path: Path):
    for k, name in enumerate(("label", "class")):
        pq.write_table(pa.table({"image": [b"x"], name: [0]}), tmp_path / f"{k}.parquet")
    with pytest.raises(FileError, match="is no parquet file that can be read"):
        read_images(str(tmp_path / "*.parquet"), "train", SECTION)


@pytest.mark.parametrize("name", ["bars.npz", "images/metadata.csv"])
def test_damaged_files_give_images_or_one_sentence(name: str, tmp_path: Path):
    write_npz(tmp_path / "bars.npz", 4)
    a_folder(tmp_path / "images", "a.png", "b.png")
    (tmp_path / "images" / "metadata.csv").write_text("file_name,label\na.png,x\nb.png,y\n")
    source = tmp_path / name if name.endswith("npz") else tmp_path / "images"

    def load(damaged: bytes) -> None:
        (tmp_path / name).write_bytes(damaged)
        found = read_images(str(source), "train", SECTION)
        assert len(found.images) == len(found.labels)

    assert outcomes((tmp_path / name).read_bytes(), 100, load)[1] > 50
