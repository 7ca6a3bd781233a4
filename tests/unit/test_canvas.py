"""Canvases: what fits where, what is masked, and that every pixel outside the mask stays what it was."""

from __future__ import annotations

import contextlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from gesso.config import SD15
from gesso.errors import ImageError, RequestError
from gesso.pipeline.canvas import Canvas, around, feathered, make_canvas, notes
from gesso.pipeline.fit import fit, natural_size
from gesso.pipeline.margins import Margins
from gesso.pipeline.request import GenerationRequest

COLOURS = np.random.default_rng(0).integers(0, 256, (50, 70, 3), dtype=np.uint8)
PICTURE = Image.fromarray(COLOURS)


def box_mask(size: tuple[int, int], box: tuple[int, int, int, int]) -> Image.Image:
    mask = Image.new("L", size)
    mask.paste(255, box)
    return mask


def canvas_of(**fields: object) -> Canvas:
    canvas = make_canvas(GenerationRequest("", **{"image": PICTURE, **fields}).resolve(SD15))
    assert canvas is not None
    return canvas


def painted(canvas: Canvas) -> np.ndarray:
    """Where painting it green shows, among ground that is not green."""
    result = np.asarray(canvas.finish(Image.new("RGB", canvas.size, (0, 255, 0))))
    return (result != np.asarray(canvas.ground)).any(axis=-1)


# Sizes


@pytest.mark.parametrize(
    ("asked", "size"),
    [
        ({}, (64, 48)),
        ({"width": 136}, (136, 96)),
        ({"height": 96}, (128, 96)),
        ({"width": 8, "height": 200}, (8, 200)),
    ],
)
def test_the_size_is_the_pictures_own(asked: dict[str, int], size: tuple[int, int]) -> None:
    assert canvas_of(**asked).size == canvas_of(**asked).image.size == size


@given(st.tuples(st.integers(1, 300), st.integers(1, 300)), st.none() | st.integers(1, 40))
def test_natural_sizes_are_multiples(size: tuple[int, int], eighths: int | None) -> None:
    width = eighths and eighths * 8
    found = natural_size(size, width, None, 8)
    assert all(side >= 8 and side % 8 == 0 for side in found)
    if width:
        assert found[0] == width


@pytest.mark.parametrize("size", [(64, 48), (32, 96), (200, 40)])
def test_ways_to_fit(size: tuple[int, int]) -> None:
    halves = box_mask((70, 50), (35, 0, 70, 50)).convert("RGB")  # black on the left, white on the right
    for how in ("resize", "crop", "pad"):
        fitted = np.asarray(fit(halves, size, how))
        assert fitted.shape == (size[1], size[0], 3)
        middle = fitted[size[1] // 2, :, 0]
        assert middle[size[0] // 2 - 8 : size[0] // 2 - 4].max() < 40, "the edge stays in the middle"
        assert middle[size[0] // 2 + 4 : size[0] // 2 + 8].min() > 215


def test_padding_goes_on_in_the_colours_of_the_edge() -> None:
    red = Image.new("RGB", (40, 40), (250, 10, 10))
    assert np.abs(np.asarray(fit(red, (160, 40), "pad")).astype(int) - [250, 10, 10]).max() == 0


def test_what_happens_to_a_picture_is_told() -> None:
    def told(**fields: object) -> list[str]:
        return notes(GenerationRequest("", **{"image": PICTURE, **fields}).resolve(SD15))

    assert told() == ["the image: resized from 70×50 to 64×48"]
    assert told(fit="crop") == ["the image: scaled and cropped from 70×50 to 64×48"]
    assert told(image=PICTURE.crop((0, 0, 64, 48))) == []
    mask = box_mask((35, 25), (0, 0, 9, 9))
    assert told(mask=mask, only_masked=True) == ["the mask: resized from 35×25 to its picture's 70×50"]
    glass = Image.new("RGBA", (64, 48), (0, 0, 0, 0))
    assert told(image=glass) == ["the image: what is transparent is taken for white"]
    assert notes(GenerationRequest("").resolve(SD15)) == []


# Masks


@pytest.mark.parametrize("blur", [0, 1, 4, 30])
@pytest.mark.parametrize("fields", [{"width": 64, "height": 48}, {"only_masked": True}, {"fit": "crop"}])
def test_outside_the_mask_nothing_changes(blur: int, fields: dict[str, object]) -> None:
    mask = box_mask((70, 50), (20, 10, 45, 40))
    canvas = canvas_of(mask=mask, mask_blur=blur, **fields)
    inside = np.asarray(canvas.mask) > 0
    shown = painted(canvas)
    assert not (shown & ~inside).any()
    assert shown[inside].mean() > 0.99
    if fields.get("only_masked"):
        np.testing.assert_array_equal(np.asarray(canvas.ground), COLOURS)


def test_feathers_rise_from_the_edge() -> None:
    alpha = np.asarray(feathered(box_mask((40, 40), (10, 10, 30, 30)), 4))
    assert alpha[20, :10].max() == 0
    assert alpha[20, 10:15].tolist() == [51, 102, 153, 204, 255]
    assert alpha[20, 15:25].min() == 255
    thin = np.asarray(feathered(box_mask((40, 40), (10, 20, 30, 21)), 4))
    assert thin.max() == 51, "a line one pixel wide is still painted a little"


def test_masks_of_pictures_that_are_cropped_are_cropped_with_them() -> None:
    """The same grey levels as picture and as mask end in the same places."""
    white_right = box_mask((70, 50), (50, 0, 70, 50))
    for how in ("resize", "crop", "pad"):
        canvas = canvas_of(image=white_right, mask=white_right, width=64, height=64, fit=how, mask_blur=0)
        shown = np.asarray(canvas.ground)[32, :, 0] > 127
        masked = np.asarray(canvas.mask)[32] > 0
        assert np.abs(shown.sum() - masked.sum()) <= (15 if how == "pad" else 1)


def test_black_masks_leave_nothing_to_do() -> None:
    with pytest.raises(RequestError, match="mask: it is black all over, so there is nothing to do"):
        GenerationRequest("", image=PICTURE, mask=Image.new("RGB", (70, 50), (127, 127, 127)))
    with pytest.raises(RequestError, match="nothing to do"):
        GenerationRequest("", image=PICTURE, mask=Image.new("RGBA", (70, 50), (255, 255, 255, 0)))
    GenerationRequest("", image=PICTURE, mask=Image.new("L", (70, 50), 128))


@given(
    st.tuples(st.integers(1, 200), st.integers(1, 200)),
    st.tuples(st.integers(1, 64), st.integers(1, 64)),
    st.integers(0, 64),
    st.data(),
)
def test_boxes_hold_the_mask_and_lie_in_the_picture(
    size: tuple[int, int], shape: tuple[int, int], padding: int, data: st.DataObject
) -> None:
    left, top = data.draw(st.integers(0, size[0] - 1)), data.draw(st.integers(0, size[1] - 1))
    right, bottom = data.draw(st.integers(left + 1, size[0])), data.draw(st.integers(top + 1, size[1]))
    found = around(box_mask(size, (left, top, right, bottom)), padding, shape)
    assert 0 <= found[0] <= max(left - padding, 0)
    assert 0 <= found[1] <= max(top - padding, 0)
    assert min(right + padding, size[0]) <= found[2] <= size[0]
    assert min(bottom + padding, size[1]) <= found[3] <= size[1]


def test_boxes_have_the_proportions_of_what_is_drawn() -> None:
    left, top, right, bottom = around(box_mask((500, 500), (240, 200, 260, 300)), 10, (512, 512))
    assert (right - left, bottom - top) == (120, 120)
    left, top, right, bottom = around(box_mask((500, 500), (0, 0, 20, 20)), 40, (1024, 512))
    assert (left, top, right - left, bottom - top) == (0, 0, 120, 60)


# Growing


def test_a_picture_that_grows_keeps_its_pixels() -> None:
    canvas = canvas_of(expand="left=16,bottom=8", width=80, height=56, mask_blur=0)
    np.testing.assert_array_equal(
        np.asarray(canvas.ground)[:48, 16:], np.asarray(PICTURE.resize((64, 48), Image.Resampling.LANCZOS))
    )
    shown = painted(canvas)
    assert not shown[:48, 16:].any()
    assert shown[48:].all()
    assert shown[:, :16].all()


def test_feathers_of_what_is_new_lie_over_the_old() -> None:
    canvas = canvas_of(expand={"right": 24}, mask_blur=5)
    assert canvas.size == (88, 48)
    alpha = np.asarray(feathered(canvas.mask, 5)) if canvas.mask else np.zeros(0)
    assert alpha[24, :59].max() == 0
    assert alpha[24, 59:65].tolist() == sorted(alpha[24, 59:65].tolist())
    assert alpha[24, 64:].min() == 255


def test_what_is_masked_and_what_is_new_are_painted_together() -> None:
    canvas = canvas_of(expand="top=8", mask=box_mask((70, 50), (0, 25, 70, 50)), mask_blur=0)
    masked = np.asarray(canvas.mask)[:, 10] > 0
    assert masked[:8].all()
    assert not masked[8:31].any()
    assert masked[33:].all()


def test_the_whole_has_the_size_asked_for() -> None:
    assert canvas_of(expand="left=16", width=128, height=64).ground.size == (128, 64)
    with pytest.raises(RequestError, match="width: 16 leaves nothing between margins of 16"):
        canvas_of(expand="left=16", width=16)


@given(
    st.dictionaries(st.sampled_from(["left", "top", "right", "bottom"]), st.integers(1, 1024), min_size=1)
)
def test_margins_in_words_and_numbers(eighths: dict[str, int]) -> None:
    sides = {side: 8 * count for side, count in eighths.items()}
    text = ", ".join(f"{side}={pixels}" for side, pixels in sides.items())
    margins = Margins.read(text, "expand")
    assert margins == Margins.read(sides, "expand") == Margins.read(margins.to_json(), "expand")
    assert margins.to_json() == {"left": 0, "top": 0, "right": 0, "bottom": 0, **sides}


@given(st.text(max_size=30))
def test_other_margins_are_refused(text: str) -> None:
    with contextlib.suppress(RequestError):
        assert any(Margins.read(text, "expand").to_json().values())


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"expand": "left=12"}, r"expand \(left\): 12 is not a positive multiple of 8\. Use 8 or 16"),
        ({"expand": "lft=8"}, "expand: 'lft' is no side"),
        ({"expand": "left=8,left=16"}, "left is there twice"),
        ({"expand": {}}, "expand: no side grows"),
        ({"expand": 8}, "expand: int names no sides"),
        ({"expand": {"left": -8}}, "is not a positive multiple"),
        ({"fit": "stretch"}, "fit: 'stretch' is unknown. Use resize, crop, pad"),
        ({"strength": 0}, "strength: 0 changes nothing"),
        ({"strength": 1.1}, "strength: 1.1 is outside 0…1"),
        ({"strength": float("nan")}, "strength: nan is outside"),
        ({"strength": 0.04, "steps": 20}, "strength: 0.04 of 20 steps is less than one"),
        ({"image": None, "strength": 0.5}, "strength: there is no picture that it is for"),
        ({"image": None, "mask": PICTURE}, "mask: there is no picture"),
        ({"image": None, "expand": "left=8"}, "expand: there is no picture"),
        ({"only_masked": True}, "only_masked: there is no mask"),
        ({"only_masked": 1}, "only_masked: 1 is neither true nor false"),
        ({"mask_blur": -1}, "mask_blur: -1 is outside 0…256"),
        ({"mask_padding": 1.5}, "mask_padding: 1.5 is not a whole number"),
        ({"hires_scale": 2}, "hires_scale: a second pass follows pictures from text alone"),
        ({"image": 3}, "image: int is no picture"),
    ],
)
def test_what_does_not_go_together_is_refused(fields: dict[str, object], message: str) -> None:
    with pytest.raises(RequestError, match=message):
        GenerationRequest("", **{"image": PICTURE, **fields})  # pyright: ignore[reportArgumentType]


def test_pictures_that_cannot_be_read_are_refused_with_the_request() -> None:
    with pytest.raises(ImageError, match=r"none\.png: cannot be read"):
        GenerationRequest("", image="none.png")
