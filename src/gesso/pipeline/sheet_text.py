"""What the sheet of a grid says of itself."""

from __future__ import annotations

import json
from collections.abc import Mapping

from PIL.PngImagePlugin import PngInfo

from gesso import __version__
from gesso.pipeline.grid import Grid, Place

KEYWORD = "gesso-grid"


def sheet_info(grid: Grid, model_name: str, files: Mapping[Place, str]) -> PngInfo:
    """The texts of a sheet: the request of its first cell, the axes, and the files of all cells.

    Args:
        files: the names of the cells' pictures, each of which has its own complete request. A cell that
            was not drawn has none.
    """
    told = {
        "gesso": __version__,
        "model": model_name,
        "request": grid.cells[0].request.to_json(),
        "axes": {name: axis.to_json() for name, axis in grid.axes.items()},
        "cells": [{**place._asdict(), "file": file} for place, file in files.items()],
    }
    info = PngInfo()
    info.add_text(KEYWORD, json.dumps(told))
    info.add_text("Software", f"gesso {__version__}")
    return info
