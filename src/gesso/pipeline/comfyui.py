"""The graph that ComfyUI writes into its pictures, where it is the plain one it starts with.

That one has a checkpoint, two prompts, an empty latent picture, one KSampler, and a picture that is decoded
and saved. Graphs can be anything, and one that has more is refused with what it has: half of it would be
another picture.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from gesso.errors import ImageError

Node = Mapping[str, Any]

PLAIN = frozenset(
    {
        "CheckpointLoaderSimple",
        "CLIPSetLastLayer",
        "CLIPTextEncode",
        "EmptyLatentImage",
        "KSampler",
        "PreviewImage",
        "SaveImage",
        "VAEDecode",
    }
)
MAX_NODES = 200
SAMPLERS = {"uni_pc": "unipc"}
"""ComfyUI's names that are not gesso's."""

_MEANINGLESS = re.compile(r"[\[\]|]|(?<!\w)(?:AND|BREAK)(?!\w)|<(?=(?:lora|lyco):)")
"""What means nothing to ComfyUI, and something to gesso."""


def read_graph(text: str | None, where: str) -> tuple[dict[str, Any], str | None]:
    """The fields of a request, and the model's name, from the graph in a picture's ``prompt`` text.

    Args:
        text: None where there is a ``workflow`` alone, which is what the editor shows and not what ran.
        where: the file, for errors.

    Raises:
        ImageError: the graph is damaged, or not the plain one.
    """
    nodes = _nodes(text, where)
    others = sorted({str(node.get("class_type"))[:40] for node in nodes.values()} - PLAIN)
    if others:
        raise _refusal(f"it has {', '.join(others[:5])}{' and others' if len(others) > 5 else ''}", where)
    samplers = [node for node in nodes.values() if node["class_type"] == "KSampler"]
    if len(samplers) != 1:
        raise _refusal(f"it has {len(samplers)} KSamplers", where)
    try:
        return _fields(samplers[0]["inputs"], nodes)
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise _refusal("its nodes are not connected as in the plain one", where) from error


def _nodes(text: str | None, where: str) -> dict[str, Node]:
    if text is None:
        raise _refusal("it says only how the editor showed it", where)
    try:
        graph = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ImageError("its ComfyUI graph is damaged", where=where) from error
    if not isinstance(graph, dict) or not all(isinstance(node, dict) for node in graph.values()):
        raise ImageError("its ComfyUI graph is damaged", where=where)
    if len(graph) > MAX_NODES:
        raise _refusal(f"it has {len(graph):,} nodes", where)
    return graph


def _fields(sampler: Node, nodes: Mapping[str, Node]) -> tuple[dict[str, Any], str | None]:
    """The request's fields, as far as `_input` finds each where it is in the plain graph."""
    picture = _input(sampler, "latent_image", nodes, "EmptyLatentImage")
    positive = _input(sampler, "positive", nodes, "CLIPTextEncode")
    negative = _input(sampler, "negative", nodes, "CLIPTextEncode")
    model = _input(sampler, "model", nodes, "CheckpointLoaderSimple")
    if _number(sampler["denoise"]) != 1:
        raise ValueError("an empty picture is drawn over")
    fields = {
        "prompt": as_prompt(positive["text"]),
        "negative_prompt": as_prompt(negative["text"]),
        "seed": _number(sampler["seed"]),
        "steps": _number(sampler["steps"]),
        "guidance_scale": _number(sampler["cfg"]),
        "sampler": SAMPLERS.get(sampler["sampler_name"], sampler["sampler_name"]),
        "schedule": sampler["scheduler"],
        "width": _number(picture["width"]),
        "height": _number(picture["height"]),
        "count": _number(picture.get("batch_size", 1)),
        "clip_skip": _clip_skip(positive, nodes),
    }
    name = model["ckpt_name"]
    return fields, name if isinstance(name, str) else None


def _input(node: Node, name: str, nodes: Mapping[str, Node], kind: str) -> Node:
    """The inputs of the node that one of a node's inputs comes from, which is of this kind."""
    source, _output = node[name]
    found = nodes[source]
    if found["class_type"] != kind:
        raise ValueError(f"{found['class_type']} where {kind} should be")
    return found["inputs"]


def _clip_skip(encoder: Node, nodes: Mapping[str, Node]) -> int:
    source, _output = encoder["clip"]
    found = nodes[source]
    return (
        -_number(found["inputs"]["stop_at_clip_layer"]) if found["class_type"] == "CLIPSetLastLayer" else 1
    )


def _number(value: object) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError("it comes from another node")
    return value


def as_prompt(text: object) -> str:
    """ComfyUI's text in gesso's language: what has no meaning there gets a backslash.

    Round brackets weigh in both. A weight inside another replaces it there; here the two are multiplied.
    """
    if not isinstance(text, str):
        raise TypeError("it comes from another node")
    return _MEANINGLESS.sub(r"\\\g<0>", text)


def _refusal(problem: str, where: str) -> ImageError:
    return ImageError(
        f"it was made by a ComfyUI graph that is not read: {problem}",
        "Only the plain graph of one KSampler is; open others in ComfyUI.",
        where=where,
    )
