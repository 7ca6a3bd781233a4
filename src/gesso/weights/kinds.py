"""Recognise what a weights file is for from the names and shapes of its tensors."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from torch import Tensor

from gesso.weights import ldm


class Kind(StrEnum):
    """What a file is, as a message says it."""

    SD1 = "a Stable Diffusion 1.x model"
    SD1_INPAINTING = "a Stable Diffusion 1.x inpainting model"
    PIX2PIX = "an InstructPix2Pix model"
    DEPTH = "a depth-guided Stable Diffusion 2.x model"
    UPSCALER = "a latent upscaler"
    SD2 = "a Stable Diffusion 2.x model"
    SDXL = "an SDXL model"
    SDXL_REFINER = "an SDXL refiner"
    SD3 = "a Stable Diffusion 3 model"
    FLUX = "a FLUX model"
    LORA = "a LoRA"
    CONTROLNET = "a ControlNet"
    IP_ADAPTER = "an IP-Adapter"
    MOTION = "an AnimateDiff motion module"
    EMBEDDING = "a textual-inversion embedding"
    HYPERNETWORK = "a hypernetwork"
    IMAGE_UPSCALER = "an image upscaler"
    AUTOENCODER = "an autoencoder (VAE) alone"
    UNET = "a UNet alone"
    TEXT_ENCODER = "a text encoder alone"
    NO_AUTOENCODER = "a Stable Diffusion 1.x model without its autoencoder (VAE)"
    NO_TEXT_ENCODER = "a Stable Diffusion 1.x model without its text encoder"
    UNKNOWN = "a weights file of no kind gesso knows"


ONLY_SD1 = "gesso runs whole Stable Diffusion 1.x models."

MARKS: tuple[tuple[str, Kind], ...] = (
    ("lora_up.", Kind.LORA),
    ("lora_down.", Kind.LORA),
    (".lora_A.", Kind.LORA),
    (".lora.up.", Kind.LORA),
    ("_lora.up.", Kind.LORA),
    (".hada_w1_", Kind.LORA),
    (".lokr_w", Kind.LORA),
    ("motion_modules.", Kind.MOTION),
    ("control_model.", Kind.CONTROLNET),
    ("controlnet_cond_embedding.", Kind.CONTROLNET),
    ("input_hint_block.", Kind.CONTROLNET),
    ("ip_adapter.", Kind.IP_ADAPTER),
    ("double_blocks.", Kind.FLUX),
    ("joint_blocks.", Kind.SD3),
    ("conditioner.embedders.1.", Kind.SDXL),
    ("conditioner.embedders.0.", Kind.SDXL_REFINER),
    ("cond_stage_model.model.", Kind.SD2),
    ("string_to_param.", Kind.EMBEDDING),
    ("emb_params", Kind.EMBEDDING),
    (".linear.0.", Kind.HYPERNETWORK),
    ("RRDB_trunk.", Kind.IMAGE_UPSCALER),
    ("model.1.sub.", Kind.IMAGE_UPSCALER),
    ("conv_first.", Kind.IMAGE_UPSCALER),
)
"""A piece of a name that only one kind of file has; the first that occurs decides."""

INPUT_CHANNELS: Mapping[int | None, Kind] = {
    5: Kind.DEPTH,
    7: Kind.UPSCALER,
    8: Kind.PIX2PIX,
    9: Kind.SD1_INPAINTING,
}
"""Kinds told by how many channels the UNet reads, where all else is as in SD 1.x."""

EMBEDDING_SHAPES = ((768,), (1024,), (1280,))
"""Last dimensions of a textual-inversion vector: SD 1.x, SD 2.x, SDXL."""


def recognise(tensors: Mapping[str, Tensor]) -> Kind:
    """Say what a file's tensors are."""
    for mark, kind in MARKS:
        if any(mark in key for key in tensors):
            return kind
    if len(tensors) <= 2 and all(tensor.shape[-1:] in EMBEDDING_SHAPES for tensor in tensors.values()):
        return Kind.EMBEDDING
    if any(".label_emb." in f".{key}" or key.startswith("add_embedding.") for key in tensors):
        return Kind.SDXL
    if any(key.endswith(".proj_in.weight") and tensor.ndim == 2 for key, tensor in tensors.items()):
        return Kind.SD2  # which projects linearly where SD 1.x has 1×1 convolutions
    kind = recognise_parts(tensors)
    return INPUT_CHANNELS.get(input_channels(tensors), kind) if kind == Kind.SD1 else kind


def input_channels(tensors: Mapping[str, Tensor]) -> int | None:
    """Channels the UNet of a single file reads."""
    conv_in = tensors.get(f"{ldm.UNET}.input_blocks.0.0.weight")
    return None if conv_in is None or conv_in.ndim != 4 else conv_in.shape[1]


def recognise_parts(tensors: Mapping[str, Tensor]) -> Kind:
    """Kinds told by which of the three networks are there."""

    def has(*prefixes: str) -> bool:
        return any(key.startswith(prefixes) for key in tensors)

    unet = has(f"{ldm.UNET}.")
    autoencoder = has(f"{ldm.AUTOENCODER}.")
    text_encoder = has(f"{ldm.TEXT_ENCODER}.")
    match unet, autoencoder, text_encoder:
        case True, True, True:
            return Kind.SD1
        case True, False, True:
            return Kind.NO_AUTOENCODER
        case True, True, False:
            return Kind.NO_TEXT_ENCODER
    if unet or has("input_blocks.", "time_embedding.", "time_embed."):
        return Kind.UNET
    if autoencoder or has("encoder.down.", "encoder.down_blocks.", "decoder.up.", "decoder.up_blocks."):
        return Kind.AUTOENCODER
    if text_encoder or has("text_model.", "embeddings.token_embedding."):
        return Kind.TEXT_ENCODER
    return Kind.UNKNOWN
