"""Pictures as cameras, scanners and other programs write them: the right pixels, or one sentence that says why not."""

from __future__ import annotations

import io
import os
import warnings
from pathlib import Path

import numpy as np
import pytest
from mutations import outcomes
from PIL import Image

from spred.compress.data.pictures import decode, pictures_in
from spred.errors import FileError, InputError, SpredWarning

GREY = np.arange(0, 240, 2, dtype=np.uint8).reshape(10, 12)
COLOUR = np.stack([GREY, GREY[::-1], 255 - GREY], axis=-1)


def encoded(image: Image.Image, kind: str, **options: object) -> io.BytesIO:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return io.BytesIO(file.getvalue())


def one(image: Image.Image, kind: str, **options: object) -> np.ndarray:
    return decode([encoded(image, kind, **options)], None)[0]


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "PPM"])
def test_sixteen_bits_are_scaled_and_not_cut_off(kind: str):
    deep = Image.fromarray(GREY.astype(np.uint16) * 257)
    np.testing.assert_array_equal(one(deep, kind), GREY[None])


def test_colours_are_red_green_and_blue():
    plain = Image.fromarray(COLOUR)
    np.testing.assert_array_equal(one(plain, "PNG"), COLOUR.transpose(2, 0, 1))
    np.testing.assert_array_equal(one(plain.convert("RGBA"), "PNG"), COLOUR.transpose(2, 0, 1))
    assert np.abs(one(plain.convert("CMYK"), "TIFF").astype(int) - COLOUR.transpose(2, 0, 1)).max() <= 1
    assert one(plain.convert("P"), "PNG", transparency=3).shape == (3, 10, 12)
    assert one(Image.fromarray(GREY > 100), "PNG").shape == (1, 10, 12)
    assert one(Image.fromarray(COLOUR[:1, :1]), "PNG").shape == (3, 1, 1)


def test_a_photograph_is_turned_as_its_camera_says():
    tags = Image.Exif()
    tags[0x0112] = 6  # held upright: turn by a quarter, clockwise
    np.testing.assert_array_equal(one(Image.fromarray(GREY), "PNG", exif=tags)[0], np.rot90(GREY, -1))


@pytest.mark.parametrize("kind", ["GIF", "TIFF"])
def test_of_several_pages_the_first_is_taken_and_it_is_said(kind: str):
    pages = [Image.fromarray(GREY), Image.fromarray(255 - GREY)]
    file = encoded(pages[0], kind, save_all=True, append_images=pages[1:])
    with pytest.warns(SpredWarning, match=r"1 images have several pages or frames \(number 0, say\)"):
        found = decode([file], None)
    np.testing.assert_array_equal(found[0, 0], GREY)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "number 0 cannot be decoded"),
        (encoded(Image.fromarray(COLOUR), "PNG").getvalue()[:-40], "cannot be decoded"),
        (encoded(Image.fromarray(COLOUR), "JPEG").getvalue()[:300], "cannot be decoded"),
        (encoded(Image.fromarray(COLOUR), "EPS").getvalue(), "cannot be decoded"),  # would be run by Ghostscript
        (encoded(Image.fromarray(GREY.astype(np.float32)), "TIFF").getvalue(), "numbers of 32 bits"),
        (encoded(Image.new("1", (9000, 9000)), "PNG").getvalue(), "has 9000 × 9000 pixels"),
        (encoded(Image.new("1", (20000, 20000)), "PNG").getvalue(), "bomb"),
    ],
)
def test_what_is_no_picture_is_said(content: bytes, message: str):
    with pytest.raises(FileError, match=message):
        decode([io.BytesIO(content)], 8)


def test_files_that_are_none_are_named(tmp_path: Path):
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "loop.png").symlink_to("loop.png")
    (tmp_path / "gone.png").symlink_to("nowhere")
    for name, message in {"pipe": "is no file", "loop": "is not there", "gone": "is not there"}.items():
        with pytest.raises(FileError, match=f"image '{name}.png' {message}"):
            decode([tmp_path / f"{name}.png"], None)
    with pytest.raises(FileError, match=r"image 'bad\\nname\.png' is not there"):
        decode([tmp_path / "bad\nname.png"], None)


def test_hidden_files_are_no_pictures(tmp_path: Path):
    for name in ("b.PNG", "a.jpg", "._a.jpg", ".x/c.png", "__MACOSX/d.png", "sub/e.png", "Thumbs.db", ".DS_Store"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert [path.relative_to(tmp_path).as_posix() for path in pictures_in(tmp_path)] == ["a.jpg", "b.PNG", "sub/e.png"]


def test_pictures_that_do_not_fit_into_memory_are_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SPRED_MEMORY_LIMIT", str(5 * GREY.nbytes // 2))
    file = encoded(Image.fromarray(GREY), "PNG").getvalue()
    with pytest.raises(InputError, match=r"do not fit into memory: 2 do; give data\.size"):
        decode([io.BytesIO(file) for _ in range(3)], None)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "BMP"])
def test_damaged_pictures_give_pixels_or_one_sentence(kind: str):
    content = encoded(Image.fromarray(COLOUR), kind).getvalue()

    def load(damaged: bytes) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SpredWarning)
            decode([io.BytesIO(damaged)], 8)

    values, refused = outcomes(content, 60, load)
    assert values + refused == 60
    assert refused > 5
