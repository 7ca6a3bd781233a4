"""``--heatmaps``: beside each picture a sheet and the arrays of where its words were looked up."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

from gesso.cli.onlookers import Batch, Onlooker

if TYPE_CHECKING:
    from PIL.Image import Image

    from gesso.pipeline.heatmaps import HeatmapRecorder, Heatmaps
    from gesso.pipeline.output import OutputPattern
    from gesso.pipeline.request import ResolvedRequest

SHEET, ARRAYS = ".heatmaps.png", ".heatmaps.npz"


class HeatmapFiles(Onlooker):
    """Records each batch, and writes ``house.heatmaps.png`` and ``.npz`` beside ``house.png``.

    Args:
        pattern: the pictures' names.
    """

    def __init__(self, pattern: OutputPattern) -> None:
        self.pattern = pattern
        self.recorder: HeatmapRecorder | None = None
        self.request: ResolvedRequest | None = None
        self.heatmaps: list[Heatmaps] = []

    def check(self, request: ResolvedRequest) -> None:
        """Refuse names that are taken, where the pictures' are known."""
        from gesso.pipeline.output import check_free

        if self.pattern.is_folder:
            return
        for index in range(request.count):
            path = self.pattern.path(request.seed_of(index), index)
            for suffix in (SHEET, ARRAYS):
                check_free(path.with_suffix(suffix))

    def begin(self, batch: Batch) -> HeatmapRecorder:
        from gesso.pipeline.heatmaps import HeatmapRecorder

        self.request = batch.request
        self.recorder = HeatmapRecorder()
        return self.recorder

    def finished(self, _images: list[Image], /) -> None:
        assert self.recorder is not None
        self.heatmaps = self.recorder.heatmaps()

    def written(self, place: int, image: Image, path: Path) -> dict[str, Path]:
        from gesso.pipeline.canvas import make_canvas
        from gesso.pipeline.heatmap_sheet import array_file, heatmap_sheet
        from gesso.pipeline.output import write_new_file

        assert self.request is not None
        heatmaps = self.heatmaps[place]
        canvas = make_canvas(self.request)
        box = None if canvas is None or canvas.mask is None else canvas.box
        sheet = io.BytesIO()
        heatmap_sheet(image, heatmaps, box).save(sheet, format="PNG")
        write_new_file(path.with_suffix(SHEET), sheet.getvalue())
        write_new_file(path.with_suffix(ARRAYS), array_file(heatmaps))
        return {"heatmaps": path.with_suffix(SHEET), "heatmap_arrays": path.with_suffix(ARRAYS)}
