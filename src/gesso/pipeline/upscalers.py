"""Ways to make a picture larger between two passes: of its latents, or of its pixels."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from gesso.errors import RequestError

if TYPE_CHECKING:
    from PIL.Image import Image


@dataclass(frozen=True)
class Upscaler:
    """One way.

    Attributes:
        name: what requests say.
        label: what AUTOMATIC1111 calls it.
        of: what is interpolated.
        mode: torch's name of the interpolation for latents, Pillow's of the filter for pixels; for
            "network", the file of its weights.
        antialias: for latents.
    """

    name: str
    label: str
    of: Literal["latents", "pixels", "network"]
    mode: str
    antialias: bool = False

    def enlarge(self, pil_image: Image, size: tuple[int, int]) -> Image:
        """A picture of this width and height; those that work on latents use Lanczos' filter.

        Raises:
            CheckpointError: the network cannot be loaded, or its loader is not installed.
        """
        if self.of == "network":
            from gesso.pipeline.upscaling_network import load_network

            pil_image = load_network(self.mode)(pil_image)
        from PIL.Image import Resampling

        resampling = Resampling[self.mode if self.of == "pixels" else "LANCZOS"]
        return pil_image if pil_image.size == size else pil_image.resize(size, resampling)


UPSCALERS = {
    upscaler.name: upscaler
    for upscaler in (
        Upscaler("latent", "Latent", "latents", "bilinear"),
        Upscaler("latent_antialiased", "Latent (antialiased)", "latents", "bilinear", antialias=True),
        Upscaler("latent_bicubic", "Latent (bicubic)", "latents", "bicubic"),
        Upscaler(
            "latent_bicubic_antialiased",
            "Latent (bicubic antialiased)",
            "latents",
            "bicubic",
            antialias=True,
        ),
        Upscaler("latent_nearest", "Latent (nearest)", "latents", "nearest"),
        Upscaler("latent_nearest_exact", "Latent (nearest-exact)", "latents", "nearest-exact"),
        Upscaler("lanczos", "Lanczos", "pixels", "LANCZOS"),
        Upscaler("bicubic", "Bicubic", "pixels", "BICUBIC"),
        Upscaler("nearest", "Nearest", "pixels", "NEAREST"),
    )
}

NETWORK_SUFFIXES = (".pth", ".pt", ".safetensors")


def resolve_upscaler(name: str, where: str) -> Upscaler:
    """Find an upscaler by gesso's name, AUTOMATIC1111's label, or the file of an ESRGAN-like network.

    Raises:
        RequestError: none is called that.
    """
    key = name.strip().casefold()
    for upscaler in UPSCALERS.values():
        if key in (upscaler.name, upscaler.label.casefold()):
            return upscaler
    if key.endswith(NETWORK_SUFFIXES):
        return Upscaler(name, Path(name).stem, "network", name)
    nearest = get_close_matches(key, UPSCALERS, n=1)
    raise RequestError(
        f'no upscaler is called "{name}"',
        (f'Did you mean "{nearest[0]}"? ' if nearest else "")
        + f"There are {', '.join(UPSCALERS)}, or the .pth or .safetensors file of a network.",
        where=where,
    )
