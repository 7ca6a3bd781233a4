"""The UNet and the decoder, replayed from graphs.

A graph reads weights where they were when it was recorded. Changes in place, a merged LoRA for one, are
seen by the next replay; weights that have moved end the graph. Keys and values that
`CachedCrossAttention` keeps of a context would be those of the recording for ever, so each graph's are
computed again, in their place, when the context or a weight they come from has changed.
"""

from __future__ import annotations

from weakref import ReferenceType, WeakKeyDictionary, ref

from torch import Tensor, nn

from gesso.engine.cached_context import CachedCrossAttention
from gesso.engine.cuda.graphs import Graph, Graphs, Recorder
from gesso.engine.cuda.record import GpuRecorder
from gesso.engine.prepared import KeepsPrepared
from gesso.engine.stamp import Stamp, stamp
from gesso.models.autoencoder import Decoder
from gesso.models.unet import UNet

recorder: Recorder = GpuRecorder()
"""How graphs are recorded. Tests put another in its place."""


class GraphedUNet(KeepsPrepared, UNet):
    """Replays the graph of a call's shape; where there can be none, it computes as it is written."""

    prepared = ("graphs", "contexts", "last_context")
    graphs: Graphs | None = None
    contexts: WeakKeyDictionary[Graph, GraphContext] | None = None
    last_context: ReferenceType[Tensor] | None = None

    def forward(self, latents: Tensor, timesteps: Tensor, context: Tensor) -> Tensor:
        if not recorder.can_record(latents):
            return super().forward(latents, timesteps, context)
        if self.graphs is None:
            self.graphs = Graphs(recorder)
        if self.last_context is None or self.last_context() is not context:  # another picture
            self.graphs.reads(self.parameters())
            self.last_context = ref(context)
        self.graphs.forget_if_moved()
        graph = self.graphs.find(super().forward, latents, timesteps, context)
        if graph is None:
            return super().forward(latents, timesteps, context)
        graph.inputs[0].copy_(latents)
        graph.inputs[1].copy_(timesteps)
        self.context_of(graph).hold(context)
        return graph()

    def context_of(self, graph: Graph) -> GraphContext:
        if self.contexts is None:
            self.contexts = WeakKeyDictionary()
        if graph not in self.contexts:
            self.contexts[graph] = GraphContext(self, graph.inputs[2])
        return self.contexts[graph]


class GraphedDecoder(KeepsPrepared, Decoder):
    """Replays the graph of a call's shape; where there can be none, it computes as it is written."""

    prepared = ("graphs",)
    graphs: Graphs | None = None

    def forward(self, latents: Tensor) -> Tensor:
        if not recorder.can_record(latents):
            return super().forward(latents)
        if self.graphs is None:
            self.graphs = Graphs(recorder)
        self.graphs.reads(self.parameters())
        graph = self.graphs.find(super().forward, latents)
        if graph is None:
            return super().forward(latents)
        graph.inputs[0].copy_(latents)
        return graph()


class GraphContext:
    """The context that a graph reads, and the keys and values remembered of it, at addresses that stay.

    Args:
        model: what the graph was recorded of.
        place: the graph's own context.
    """

    def __init__(self, model: nn.Module, place: Tensor) -> None:
        layers = [layer for layer in model.modules() if isinstance(layer, CachedCrossAttention)]
        self.place = place
        self.remembered = [(layer, *layer.keys_and_values(place)) for layer in layers]
        self.made_from: list[Stamp] = []

    def hold(self, context: Tensor) -> None:
        """Make it this context, unless it is already."""
        made_from = [stamp(context)]
        for layer, *_ in self.remembered:
            made_from += stamp(layer.to_k.weight), stamp(layer.to_v.weight)
        if made_from == self.made_from:
            return
        self.place.copy_(context)
        for layer, k, v in self.remembered:
            k.copy_(layer.split_heads(layer.to_k(self.place)))
            v.copy_(layer.split_heads(layer.to_v(self.place)))
        self.made_from = made_from
