"""Reading the outline of a network from one run of it on meta tensors."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator

import torch
from torch import Tensor, nn

from gesso.anatomy.outline import (
    CROSS_ATTENTION,
    FEED_FORWARD,
    SELF_ATTENTION,
    Block,
    Outline,
    Skip,
    Step,
    total,
)
from gesso.anatomy.trace import Call, Tracer
from gesso.models import attention, autoencoder, resnet, text_encoder, timestep

BLOCKS = (
    resnet.ResnetBlock,
    resnet.Downsample,
    resnet.Upsample,
    attention.SpatialTransformer,
    autoencoder.SelfAttention,
    timestep.TimestepEmbedding,
    text_encoder.Embeddings,
    text_encoder.EncoderLayer,
)
"""The modules an outline shows as one line; layers outside them (a first convolution) have their own."""

JOINS_THE_LAYER_BEFORE = ("SpatialTransformer", "SelfAttention")


def survey(model: nn.Module, run: Callable[[], Tensor]) -> Outline:
    """Run a model on meta tensors and outline what ran.

    Args:
        model: on the meta device.
        run: calls it (or a method of it) on one sample.
    """
    with torch.no_grad(), Tracer(model) as tracer:
        run()
    modules = dict(model.named_modules())
    groups = list(group_by_block(tracer.calls, modules))
    labels = dict(zip((calls[0].path for calls in groups), number_layers(groups, modules), strict=True))
    return Outline(tuple(describe(calls, modules, labels) for calls in groups))


def group_by_block(calls: Iterable[Call], modules: dict[str, nn.Module]) -> Iterator[list[Call]]:
    """The calls of each block, its own first.

    Containers are dropped, but an activation that one applies between two blocks joins the block before it.
    """
    group: list[Call] = []
    for call in calls:
        if group and (call.function or call.path.startswith(f"{group[0].path}.")):
            group.append(call)
        elif isinstance(modules[call.path], BLOCKS) or not any(modules[call.path].children()):
            if group:
                yield group
            group = [call]
    if group:
        yield group


def number_layers(groups: list[list[Call]], modules: dict[str, nn.Module]) -> Iterator[str]:
    """The label of each block: its stage, and the number of its layer in the stage if there are several."""
    stage, layer = "", -1
    for calls in groups:
        path, before = calls[0].path, stage
        stage = stage_of(path)
        if stage != before:
            layer = 0
        elif type(modules[path]).__name__ not in JOINS_THE_LAYER_BEFORE:
            layer += 1
        if stage.endswith("mid"):
            yield f"{stage} {layer}"
        else:
            yield f"{stage}.{layer}" if re.search(r"(down|up) \d+$", stage) else stage


def stage_of(path: str) -> str:
    """``down_blocks.1.resnets.0`` -> ``down 1``; ``encoder.mid_block.…`` -> ``encoder mid``."""
    if layer := re.search(r"\blayers\.(\d+)", path):
        return f"layer {layer[1]}"
    if block := re.match(r"(?:(\w+)\.)?(down|mid|up)_blocks?(?:\.(\d+))?", path):
        return " ".join(part for part in block.groups() if part)
    return path.removeprefix("text_model.").replace(".", " ")


def describe(calls: list[Call], modules: dict[str, nn.Module], labels: dict[str, str]) -> Block:
    own = calls[0]
    steps = tuple(steps_of(calls, modules))
    return Block(
        path=own.path,
        stage=stage_of(own.path),
        label=labels[own.path],
        kind=type(modules[own.path]).__name__,
        inputs=tuple(shape[1:] for shape in own.inputs),
        output=own.output[1:],
        parameters=count_parameters(modules[own.path]),
        macs=total(call.macs for call in calls),
        steps=steps,
        reads=skip_of(own, labels),
    )


def skip_of(call: Call, labels: dict[str, str]) -> Skip | None:
    """The skip that was concatenated to a block's input: the last operand, which another block put out."""
    if not call.concatenated:
        return None
    *below, skip = call.concatenated
    label = next(labels[path] for path in outwards(skip.path) if path in labels)
    return Skip(label, skip.channels, sum(source.channels for source in below))


def steps_of(calls: list[Call], modules: dict[str, nn.Module]) -> Iterator[Step]:
    """The leaf modules and functions of a block, in the order in which they ran."""
    root = calls[0].path
    roles = {call.path: role_of(call, modules[call.path]) for call in calls if not call.function}
    for call in calls:
        module = modules[call.path]
        if not call.function and (any(module.children()) or isinstance(module, nn.Identity)):
            continue
        yield Step(
            name=call.function or call.path.removeprefix(root).lstrip("."),
            kind=call.function or type(module).__name__,
            detail=function_detail(call) if call.function else module_detail(module),
            role=next((roles[path] for path in outwards(call.path) if roles.get(path)), ""),
            inputs=tuple(shape[1:] for shape in call.inputs),
            output=call.output[1:],
            parameters=0 if call.function else count_parameters(module),
            macs=call.macs,
        )


def module_detail(module: nn.Module) -> str:
    if isinstance(module, nn.GroupNorm):
        return f"{module.num_groups} groups"
    if isinstance(module, nn.Conv2d):
        stride = module.stride[0]
        return "×".join(map(str, module.kernel_size)) + (f", stride {stride}" if stride > 1 else "")
    return ""


def function_detail(call: Call) -> str:
    if call.function != "attention":
        return ""
    _, heads, _, width = call.inputs[0]
    return f"{heads} head{'s' if heads > 1 else ''} of {width}"


def outwards(path: str) -> Iterator[str]:
    """A module's path, then its parent's, and so on."""
    while path:
        yield path
        path = path.rpartition(".")[0]


def role_of(call: Call, module: nn.Module) -> str:
    """What a part of a transformer is for; attention from a tensor to itself is self-attention."""
    if isinstance(module, attention.CrossAttention):
        return SELF_ATTENTION if call.repeats_input else CROSS_ATTENTION
    if isinstance(module, autoencoder.SelfAttention | text_encoder.CausalSelfAttention):
        return SELF_ATTENTION
    return FEED_FORWARD if isinstance(module, attention.FeedForward | text_encoder.MLP) else ""


def count_parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())
