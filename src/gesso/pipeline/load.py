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
    low_memory: bool = False,
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
        low_memory: leave the weights in their file, and bring each block's to memory, or to the GPU, only
            while it computes. Slower; the same picture up to rounding.

    Raises:
        CheckpointError: the model cannot be had or is no Stable Diffusion 1.x model; its kinds
            (`FormatError`, `WrongKindError`, `KeysError`, …) tell more.
        RequestError: there is no such device, precision or optimisation.
        OutOfMemoryError: the weights do not fit.
    """
    from gesso.engine.exhaustion import explain_exhaustion

    with explain_exhaustion(f"the weights of {source}", "Try low_memory (--low-memory)."):
        return load_models(source, device, dtype, engine, ema, variant, low_memory)


def load_models(
    source: str | Path,
    device: str,
    dtype: str,
    engine: str,
    ema: bool,
    variant: str | None,
    low_memory: bool,
) -> Pipeline:
    from gesso.engine.device import choose_device, choose_dtype
    from gesso.engine.engine import choose_engine, load_compiler, optimise, read_engine
    from gesso.engine.residency import keep_one_part
    from gesso.engine.streaming import stream_weights
    from gesso.pipeline.pipeline import Pipeline
    from gesso.text.tokenizer import Tokenizer
    from gesso.weights.checkpoint import assemble, open_checkpoint
    from gesso.weights.finite import FiniteCheck, check_one_by_one

    chosen_device = choose_device(device)
    chosen_dtype = choose_dtype(dtype, chosen_device)
    read_engine(engine, chosen_device)  # refused before a model is loaded for nothing
    checkpoint = open_checkpoint(source, ema=ema, variant=variant)
    tokenizer = Tokenizer.load(checkpoint.tokenizer)
    if tokenizer.size > checkpoint.config.text_encoder.vocab_size:
        raise CheckpointError(
            f"the tokenizer has {tokenizer.size} tokens, the text encoder only "
            f"{checkpoint.config.text_encoder.vocab_size}",
            "They belong to different models.",
            where=str(checkpoint.path),
        )
    stays = (None, "cpu") if low_memory else (chosen_dtype, chosen_device)
    models, tensors = assemble(checkpoint, *stays)
    check = None if low_memory else FiniteCheck(tensors, checkpoint.path)
    names = choose_engine(engine, models.unet, chosen_device, chosen_dtype, low_memory=low_memory)
    optimise(models, names)

    def before_use() -> None:
        load_compiler(names)
        if check:
            check.wait()

    if check is None:
        check_one_by_one(tensors, checkpoint.path)
        for model in models:
            stream_weights(model, chosen_device, chosen_dtype)
    elif chosen_device.type == "cpu":
        keep_one_part(models)
    return Pipeline(
        models,
        checkpoint.config,
        tokenizer,
        name=model_name(source),
        runs_in=(chosen_device, chosen_dtype) if low_memory else None,
        before_use=before_use,
    )


def model_name(source: str | Path) -> str:
    """What pictures call the model: the file's or folder's name, or the id, without a suffix."""
    name = str(source).rstrip("/")
    path = Path(name)
    if not path.exists():
        return name
    return path.stem if path.is_file() else path.resolve().name
