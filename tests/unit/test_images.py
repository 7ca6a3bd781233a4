"""Images become pictures and back without a shift, and NaN never becomes a picture."""

import numpy as np
import pytest
import torch
from diffusers.image_processor import VaeImageProcessor
from PIL import Image

from gesso.errors import NumericsError
from gesso.pipeline.images import from_pil, to_pil


def test_pictures_equal_those_of_diffusers() -> None:
    image = torch.randn(2, 3, 24, 16, generator=torch.Generator().manual_seed(0))
    theirs = VaeImageProcessor().postprocess(image, output_type="pil")
    for mine, other in zip(to_pil(image), theirs, strict=True):
        assert (mine.mode, mine.size) == ("RGB", (16, 24))
        np.testing.assert_array_equal(np.asarray(mine), np.asarray(other))


def test_images_equal_those_of_diffusers() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (24, 16, 3), dtype=np.uint8)
    picture = Image.fromarray(pixels)
    theirs = VaeImageProcessor(vae_scale_factor=8).preprocess(picture)
    torch.testing.assert_close(from_pil(picture), theirs, rtol=0, atol=1e-6)


def test_every_level_survives_the_round_trip() -> None:
    levels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    picture = Image.fromarray(np.stack([levels, levels.T, 255 - levels], axis=-1))
    image = from_pil(picture)
    assert image.shape == (1, 3, 16, 16)
    assert image.dtype == torch.float32
    assert (image.min().item(), image.max().item()) == (-1.0, 1.0)
    np.testing.assert_array_equal(np.asarray(to_pil(image)[0]), np.asarray(picture))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_any_float_type_is_read(dtype: torch.dtype) -> None:
    image = torch.tensor([-1.0, 0.25, 2.0], dtype=dtype).reshape(1, 3, 1, 1)
    assert to_pil(image)[0].getpixel((0, 0)) == (0, 159, 255)


def test_greys_palettes_and_transparency_become_colours() -> None:
    grey = Image.new("L", (1, 1), 51)
    assert from_pil(grey).flatten().tolist() == pytest.approx([-0.6] * 3)
    assert from_pil(Image.new("RGB", (1, 1), "red").convert("P")).flatten().tolist() == [1, -1, -1]
    clear = Image.new("RGBA", (1, 1), (0, 0, 0, 0))
    assert from_pil(clear).flatten().tolist() == [1, 1, 1]
    deep = Image.fromarray(np.full((1, 1), 51 * 257, dtype=np.uint16))
    assert from_pil(deep).flatten().tolist() == pytest.approx([-0.6] * 3)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_values_that_are_no_colour_are_refused(value: float) -> None:
    image = torch.zeros(1, 3, 4, 4)
    image[0, 1, 2, 3] = value
    with pytest.raises(NumericsError, match="1 of 48"):
        to_pil(image)
