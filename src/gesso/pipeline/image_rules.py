"""How many steps a walk has that starts from a picture, as programs count them.

They agree that ``strength`` is the share of the noise; they do not agree whether ``steps`` are those of the
whole walk, of which the last are taken, or those that are taken.
"""

from __future__ import annotations

IMAGE_RULES = ("diffusers", "a1111", "comfy")
ALMOST_WHOLE = 0.999
"""AUTOMATIC1111's largest strength."""


def steps_from_picture(steps: int, strength: float, rules: str, *, second: bool = False) -> tuple[int, int]:
    """(planned, walked): a walk is planned over so many steps, and the last so many of them are walked.

    diffusers: ⌊steps · strength⌋ are walked of ``steps`` (``StableDiffusionImg2ImgPipeline``).
    a1111: one more, and at most ``steps``; in a second pass all ``steps`` are, of ⌊steps / strength⌋
        (AUTOMATIC1111, ``modules/sd_samplers_common.py``, ``setup_img2img_steps``).
    comfy: all ``steps`` are, of ⌊steps / strength⌋ (ComfyUI, ``comfy/samplers.py``, ``set_steps``).

    Args:
        strength: above 0, up to 1.
        second: whether it is the second pass of a picture, over the enlarged first.
    """
    if rules == "diffusers":
        return steps, min(int(steps * strength), steps)
    if rules == "a1111":
        strength = min(strength, ALMOST_WHOLE)
        return (int(steps / strength), steps) if second else (steps, int(strength * steps) + 1)
    return (steps if strength > 0.9999 else int(steps / strength)), steps
