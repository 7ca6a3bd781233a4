"""From the name of a model to a pipeline that draws with it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from gesso.errors import CheckpointError
from gesso.pipeline.collector import paused_collector

if TYPE_CHECKING:
    from gesso.pipeline.pipeline import Pipeline

BUILT_IN = "storybook"


@paused_collector()
def load(
    source: str | Path = BUILT_IN,
    *,
    device: str = "auto",
    dtype: str = "auto",
    engine: str = "auto",
    ema: bool = False,
    variant: str | None = None,
) -> Pipeline:
    """Load a Stable Diffusion 1.x model.

    Args:
        source: "storybook" (the built-in model), a Diffusers folder, a ``.safetensors`` or ``.ckpt``
            file, or a Hugging Face id ("stable-diffusion-v1-5/stable-diffusion-v1-5"), which is
            downloaded once.
        device: "cpu", "cuda" ("cuda:1"), "mps"; "auto" is the GPU if there is one.
        dtype: "float32", "float16" or "bfloat16"; "auto" is float16 on a CUDA GPU, else float32.
        engine: which optimisations run it: "auto" (those that help this model on this device), "plain"
            (none: the networks as `gesso.models` writes them), or names from
            `gesso.engine.optimisations`, with commas between them. The picture is the same up to rounding.
        ema: the averaged UNet weights of a single file that has both.
        variant: only this variant of a Diffusers folder's files ("fp16").

    Raises:
        CheckpointError: the model cannot be had or is no Stable Diffusion 1.x model; its kinds
            (`FormatError`, `WrongKindError`, `KeysError`, …) tell more.
        RequestError: there is no such device, precision or optimisation.
    """
    from gesso.engine.device import choose_device, choose_dtype
    from gesso.engine.engine import choose_engine, optimise
    from gesso.pipeline.pipeline import Pipeline
    from gesso.text.tokenizer import Tokenizer
    from gesso.weights.checkpoint import assemble, open_checkpoint
    from gesso.weights.finite import FiniteCheck

    chosen_device = choose_device(device)
    chosen_dtype = choose_dtype(dtype, chosen_device)
    checkpoint = open_checkpoint(source, ema=ema, variant=variant)
    tokenizer = Tokenizer.load(checkpoint.tokenizer)
    if tokenizer.size > checkpoint.config.text_encoder.vocab_size:
        raise CheckpointError(
            f"the tokenizer has {tokenizer.size} tokens, the text encoder only "
            f"{checkpoint.config.text_encoder.vocab_size}",
            "They belong to different models.",
            where=str(checkpoint.path),
        )
    models, tensors = assemble(checkpoint, chosen_dtype, chosen_device)
    check = FiniteCheck(tensors, checkpoint.path)
    optimise(models, choose_engine(engine, models.unet, chosen_device, chosen_dtype))
    return Pipeline(models, checkpoint.config, tokenizer, name=model_name(source), before_use=check.wait)


def model_name(source: str | Path) -> str:
    """What pictures call the model: the file's or folder's name, or the id, without a suffix."""
    name = str(source).rstrip("/")
    path = Path(name)
    if not path.exists():
        return name
    return path.stem if path.is_file() else path.resolve().name
