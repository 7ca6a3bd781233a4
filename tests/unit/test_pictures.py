"""Pictures that requests are given: every kind is read alike, and hostile files are refused by name."""

from __future__ import annotations

import contextlib
import io
import json
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from gesso.errors import ImageError, RequestError
from gesso.pipeline import pictures
from gesso.pipeline.frames import MAX_FRAMES
from gesso.pipeline.pictures import Picture

COLOURS = np.random.default_rng(0).integers(0, 256, (6, 9, 3), dtype=np.uint8)
RGB = Image.fromarray(COLOURS)


def saved(picture: Image.Image, name: str, **options: object) -> bytes:
    file = io.BytesIO()
    picture.save(file, format=name, **options)
    return file.getvalue()


def read(source: object) -> Picture:
    return Picture.read(source, "image")


def colours(picture: Picture) -> np.ndarray:
    assert picture.colours().mode == "RGB"
    return np.asarray(picture.colours()).astype(int)


# Every kind of picture


@pytest.mark.parametrize("name", ["PNG", "BMP", "WEBP"])
def test_lossless_files(name: str, tmp_path: Path) -> None:
    path = tmp_path / "picture.anything"
    path.write_bytes(saved(RGB, name, **({"lossless": True} if name == "WEBP" else {})))
    for source in (path, str(path), path.read_bytes(), RGB):
        np.testing.assert_array_equal(colours(read(source)), COLOURS)
    assert read(path).path == str(path)
    assert read(RGB).path is None


def test_jpeg_in_cmyk() -> None:
    flat = Image.new("CMYK", (16, 16), (0, 255, 255, 0))  # red in ink
    assert np.abs(colours(read(saved(flat, "JPEG"))) - [255, 0, 0]).max() <= 8


def test_palettes_become_colours() -> None:
    palette = RGB.convert("P", palette=Image.Palette.ADAPTIVE, colors=256)
    np.testing.assert_array_equal(colours(read(saved(palette, "PNG"))), np.asarray(palette.convert("RGB")))


def test_sixteen_bits_become_eight() -> None:
    levels = np.arange(0, 65536, 257, dtype=np.uint16).reshape(16, 16)
    read_back = colours(read(saved(Image.fromarray(levels), "PNG")))
    np.testing.assert_array_equal(read_back[..., 0], np.arange(256).reshape(16, 16))


def test_black_and_white_becomes_grey() -> None:
    bits = Image.fromarray(COLOURS[..., 0] > 127)
    assert bits.mode == "1"
    np.testing.assert_array_equal(colours(read(bits))[..., 1], (COLOURS[..., 0] > 127) * 255)


def test_transparency_is_white_in_pictures_and_black_in_masks() -> None:
    layer = Image.new("RGBA", (2, 1), (200, 0, 0, 255))
    layer.putpixel((1, 0), (200, 0, 0, 0))
    picture = read(saved(layer, "PNG"))
    np.testing.assert_array_equal(colours(picture)[0], [[200, 0, 0], [255, 255, 255]])
    assert picture.transparent
    assert picture.brightness().getpixel((1, 0)) == 0
    assert not read(Image.new("RGBA", (2, 2), (1, 2, 3, 255))).transparent


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_turns_it(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    picture = read(saved(RGB, "PNG", exif=exif))
    across = orientation >= 5
    assert picture.size == ((6, 9) if across else (9, 6))
    corner = {1: (0, 0), 2: (0, 8), 3: (5, 8), 4: (5, 0), 5: (0, 0), 6: (5, 0), 7: (5, 8), 8: (0, 8)}
    np.testing.assert_array_equal(colours(picture)[0, 0], COLOURS[corner[orientation]])


@pytest.mark.parametrize("name", ["GIF", "WEBP", "PNG"])
def test_of_many_frames_the_first(name: str) -> None:
    shades = [Image.new("RGB", (4, 4), (shade, 0, 0)) for shade in (255, 90, 0)]
    picture = read(saved(shades[0], name, save_all=True, append_images=shades[1:]))
    assert colours(picture)[0, 0, 0] >= 250
    assert picture.notes == ("only its first frame is used",)
    assert read(saved(RGB, name)).notes == ()


# Hostile files


def refused(source: object, message: str) -> None:
    with pytest.raises(ImageError, match=message) as caught:
        read(source)
    assert caught.value.where == (str(source) if isinstance(source, Path) else "image")


def png(width: int, height: int, data: bytes, *more: tuple[bytes, bytes]) -> bytes:
    """A PNG file of one byte a pixel, whatever its data unpacks to."""
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    chunks = [(b"IHDR", header), *more, (b"IDAT", data), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in chunks
    )


def test_a_bomb_is_refused_before_it_goes_off(tmp_path: Path) -> None:
    bomb = png(60_000, 60_000, zlib.compress(b"\0" * 1_000_000))
    path = tmp_path / "bomb.png"
    path.write_bytes(bomb)
    refused(path, "it has more than [0-9,]+ pixels")
    refused(bomb, "it has more than")


def test_too_many_pixels_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "MAX_PIXELS", 50)
    refused(RGB, "9×6 pixels, more than 50")


def test_too_many_bytes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "large.png"
    path.write_bytes(saved(RGB, "PNG"))
    monkeypatch.setattr(pictures, "MAX_BYTES", 100)
    refused(path, "bytes, more than 100")
    refused(path.read_bytes(), "bytes, more than 100")


def test_a_text_that_unpacks_to_twenty_megabytes() -> None:
    text = b"note\0\0" + zlib.compress(b"a" * 20_000_000, 9)
    refused(png(1, 1, zlib.compress(b"\0\0"), (b"zTXt", text)), "damaged")


def test_texts_of_a_sane_length_do_no_harm() -> None:
    info = PngInfo()
    info.add_text("parameters", "a cat " * 1000, zip=True)
    np.testing.assert_array_equal(colours(read(saved(RGB, "PNG", pnginfo=info))), COLOURS)


def test_ten_thousand_frames() -> None:
    one = saved(Image.new("P", (1, 1)), "GIF")
    start = one.index(b"\x2c")
    frame, trailer = one[start:-1], one[-1:]
    refused(one[:start] + frame * 10_000 + trailer, f"more than {MAX_FRAMES:,} frames")
    assert read(one[:start] + frame * 5 + trailer).notes


@pytest.mark.parametrize("name", ["PNG", "JPEG", "WEBP", "BMP"])
def test_cut_short(name: str, tmp_path: Path) -> None:
    path = tmp_path / "short"
    path.write_bytes(saved(RGB.resize((90, 60)), name)[:-200])
    refused(path, "damaged or cut short|no picture")


@given(
    st.binary(max_size=200), st.sampled_from([b"", b"GIF89a", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"BM"])
)
def test_any_bytes_are_a_picture_or_an_image_error(data: bytes, start: bytes) -> None:
    with contextlib.suppress(ImageError):
        read(start + data)


@given(st.sampled_from(["PNG", "GIF", "WEBP", "JPEG", "BMP"]), st.data())
def test_damaged_files_are_a_picture_or_an_image_error(name: str, data: st.DataObject) -> None:
    whole = bytearray(saved(RGB, name))
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(ImageError):
        read(bytes(whole))


@pytest.mark.parametrize("data", [b"", b"a cat", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"])
def test_what_is_no_picture(data: bytes) -> None:
    refused(data, "no picture that gesso reads")


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    refused(tmp_path / "none.png", "No such file")
    refused(tmp_path, "directory|Permission")


@pytest.mark.parametrize("value", [3, ["a.png"], True])
def test_values_that_are_no_picture(value: object) -> None:
    with pytest.raises(RequestError, match="no picture"):
        read(value)


# Found again


def test_it_is_found_again(tmp_path: Path) -> None:
    path = tmp_path / "ø.png"
    RGB.save(path)
    picture = read(path)
    reference = json.loads(json.dumps(picture.to_json()))
    assert reference == {"path": str(path), "width": 9, "height": 6, "sha256": picture.sha256}
    assert read(reference) == picture == read(RGB)
    assert hash(read(reference)) == hash(picture)


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    path = tmp_path / "gone.png"
    RGB.save(path)
    reference = read(path).to_json()
    path.unlink()
    with pytest.raises(RequestError, match=r"image: it was .*gone\.png, 9×6 pixels: .*No such file"):
        read(reference)
    RGB.rotate(180).save(path)
    with pytest.raises(RequestError, match=r"gone\.png is no longer the picture that it was"):
        read(reference)
    with pytest.raises(RequestError, match="9×6 pixels that came from no file"):
        read(read(RGB).to_json())
    for path_ in (3, "a\0b"):
        with pytest.raises(RequestError, match="not text"):
            read({"path": path_})


def test_pictures_differ_by_mode_and_shape() -> None:
    grey = Image.new("L", (4, 2), 9)
    assert read(grey) != read(grey.resize((2, 4)))
    assert read(grey) != read(grey.convert("RGB"))
    assert read(grey) != "a picture"
