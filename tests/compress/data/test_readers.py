"""Every form of labelled images gives the same bytes and the same labels; what cannot be read is said."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from compress_images import CLASSES, bars, png, write_npz, write_parquet

from spred.compress.data.readers import Labelled, as_bytes, read_images
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
