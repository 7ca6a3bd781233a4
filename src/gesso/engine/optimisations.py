"""The optimisations by name: what each does, where it helps, and how it is switched on and off.

Most swap the class of some modules for a subclass that computes the same function faster. Modules,
parameters and their names stay the same objects, so what works on the plain models (saving, adapters,
inspection) works on the fast ones, and switching off is swapping back.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from torch import nn

Swaps = Mapping[type[nn.Module], type[nn.Module]]


@dataclass(frozen=True)
class Optimisation:
    """One way to the same result in less time.

    Attributes:
        name: what ``--engine`` calls it.
        summary: what it does, in half a sentence.
        swaps: plain class -> fast class; called when it is switched on, as it may import a compiler.
        suits: which modules of the plain classes take part; None: all.
        begin: what else happens when it is switched on, to a model as a whole.
        devices: kinds of devices it helps on.
        needs: what else has to be installed for it.
        takes_memory: whether it keeps a second form of the weights, or memory that is not in use.
    """

    name: str
    summary: str
    swaps: Callable[[], Swaps] = dict
    suits: Callable[[nn.Module], bool] | None = None
    begin: Callable[[nn.Module], object] | None = None
    devices: tuple[str, ...] = ("cpu",)
    needs: str | None = None
    takes_memory: bool = False


def _channels_last(model: nn.Module) -> None:
    """Feature maps follow the layout of the first convolution's weight; the others may stay in the file."""
    from gesso.engine.layout import channels_last

    for convolution in (module for module in model.modules() if isinstance(module, nn.Conv2d)):
        if convolution.in_channels < 32:
            channels_last(convolution)


def _keep_memory(_model: nn.Module) -> None:
    from gesso.engine.cpu.heap import keep_freed_memory

    keep_freed_memory()


def _winograd() -> Swaps:
    from gesso.engine.cpu.packed_conv import PackedConv2d
    from gesso.engine.cpu.winograd_conv import WinogradConv2d

    return {nn.Conv2d: WinogradConv2d, PackedConv2d: WinogradConv2d}


def _suits_winograd(module: nn.Module) -> bool:
    from gesso.engine.cpu.winograd_conv import suits

    return isinstance(module, nn.Conv2d) and suits(module)


def _packed() -> Swaps:
    from gesso.engine.cpu.packed_conv import PackedConv2d

    return {nn.Conv2d: PackedConv2d}


def _suits_packing(module: nn.Module) -> bool:
    from gesso.engine.cpu.packed_conv import suits

    return suits(module)


def _fused_resnet() -> Swaps:
    from gesso.engine.cpu import fused_resnet
    from gesso.models.resnet import ResnetBlock, Upsample

    return {ResnetBlock: fused_resnet.FusedResnetBlock, Upsample: fused_resnet.FusedUpsample}


def _tiled_products() -> Swaps:
    from gesso.engine.cpu import tiled_linear
    from gesso.models.attention import GEGLU

    return {
        nn.Linear: tiled_linear.TiledLinear,
        nn.Conv2d: tiled_linear.TiledPointwiseConv2d,
        GEGLU: tiled_linear.TiledGEGLU,
    }


def _suits_products(module: nn.Module) -> bool:
    from gesso.engine.cpu.tiled_linear import suits

    return suits(module)


def _shared_prefix() -> Swaps:
    from gesso.engine import shared_prefix
    from gesso.models.attention import SpatialTransformer, TransformerBlock
    from gesso.models.unet import UNet

    return {
        UNet: shared_prefix.SharedPrefixUNet,
        SpatialTransformer: shared_prefix.SharedPrefixTransformer,
        TransformerBlock: shared_prefix.SharedPrefixBlock,
    }


def _cached_context() -> Swaps:
    from gesso.engine.cached_context import CachedCrossAttention
    from gesso.engine.cpu.tiled_attention import TiledCachedCrossAttention, TiledCrossAttention
    from gesso.models.attention import CrossAttention

    return {CrossAttention: CachedCrossAttention, TiledCrossAttention: TiledCachedCrossAttention}


def _tiled_attention() -> Swaps:
    from gesso.engine.cached_context import CachedCrossAttention
    from gesso.engine.cpu import tiled_attention
    from gesso.models.attention import CrossAttention

    return {
        CrossAttention: tiled_attention.TiledCrossAttention,
        CachedCrossAttention: tiled_attention.TiledCachedCrossAttention,
    }


def _reads_context(module: nn.Module) -> bool:
    from gesso.models.attention import CrossAttention

    return isinstance(module, CrossAttention) and module.to_k.in_features != module.to_q.in_features


def _layout_for_tensor_cores(model: nn.Module) -> None:
    from gesso.engine.cuda.layout import lay_out

    lay_out(model)


def _triton_group_norm() -> Swaps:
    from gesso.engine.cuda.fused_norm import TritonGroupNorm

    return {nn.GroupNorm: TritonGroupNorm}


def _triton_resnet() -> Swaps:
    from gesso.engine.cuda.fused_resnet import TritonResnetBlock
    from gesso.models.resnet import ResnetBlock

    return {ResnetBlock: TritonResnetBlock}


def _triton_transformer() -> Swaps:
    from gesso.engine.cuda.fused_transformer import PointwiseSpatialTransformer
    from gesso.models.attention import SpatialTransformer

    return {SpatialTransformer: PointwiseSpatialTransformer}


def _triton_geglu() -> Swaps:
    from gesso.engine.cuda.fused_transformer import TritonGEGLU
    from gesso.models.attention import GEGLU

    return {GEGLU: TritonGEGLU}


def _cuda_graphs() -> Swaps:
    from gesso.engine.cuda.graphed import GraphedDecoder, GraphedUNet
    from gesso.models.autoencoder import Decoder
    from gesso.models.unet import UNet

    return {UNet: GraphedUNet, Decoder: GraphedDecoder}


OPTIMISATIONS = {
    optimisation.name: optimisation
    for optimisation in (
        Optimisation(
            "channels-last",
            "feature maps with the channels of a pixel side by side",
            begin=_channels_last,
        ),
        Optimisation(
            "keep-memory",
            "freed memory is kept for the next feature map",
            begin=_keep_memory,
            takes_memory=True,
        ),
        Optimisation(
            "winograd",
            "3×3 convolutions with a quarter of the multiplications, where the map is large",
            swaps=_winograd,
            suits=_suits_winograd,
            needs="numba",
            takes_memory=True,
        ),
        Optimisation(
            "packed-weights",
            "the other 3×3 convolutions with weights laid out in advance",
            swaps=_packed,
            suits=_suits_packing,
            takes_memory=True,
        ),
        Optimisation(
            "fused-resnet",
            "GroupNorm and SiLU in two passes over memory, not four",
            swaps=_fused_resnet,
            needs="numba",
        ),
        Optimisation(
            "tiled-products",
            "linear layers in tiles that stay in the processor's registers and caches, gates on the way",
            swaps=_tiled_products,
            suits=_suits_products,
            needs="numba",
        ),
        Optimisation(
            "shared-prefix",
            "what both halves of a guided batch have in common is computed once",
            swaps=_shared_prefix,
        ),
        Optimisation(
            "cached-context",
            "cross-attention's keys and values once a picture",
            swaps=_cached_context,
            suits=_reads_context,
            devices=("cpu", "cuda"),
        ),
        Optimisation(
            "tiled-attention",
            "the UNet's attention in tiles that stay in the processor's registers and caches",
            swaps=_tiled_attention,
            needs="numba",
        ),
        Optimisation(
            "tensor-core-layout",
            "weights of half precision laid out as tensor cores read them",
            begin=_layout_for_tensor_cores,
            takes_memory=True,
            devices=("cuda",),
        ),
        Optimisation(
            "triton-group-norm",
            "GroupNorms in one or two passes over memory, without a change of layout",
            swaps=_triton_group_norm,
            devices=("cuda",),
            needs="triton",
        ),
        Optimisation(
            "triton-resnet",
            "SiLU, biases and time embeddings on the norms' passes, the residual in one",
            swaps=_triton_resnet,
            devices=("cuda",),
            needs="triton",
        ),
        Optimisation(
            "triton-transformer",
            "1×1 convolutions as matrix products of the feature map as it lies",
            swaps=_triton_transformer,
            devices=("cuda",),
            needs="triton",
        ),
        Optimisation(
            "triton-geglu",
            "the gates of feed-forward layers in one pass",
            swaps=_triton_geglu,
            devices=("cuda",),
            needs="triton",
        ),
        Optimisation(
            "cuda-graphs",
            "all kernels of a call started as one, recorded once a shape",
            swaps=_cuda_graphs,
            takes_memory=True,
            devices=("cuda",),
        ),
    )
}
"""Every optimisation, in the order of switching on: a module goes to the first that it suits, whichever
is switched on before the other."""
