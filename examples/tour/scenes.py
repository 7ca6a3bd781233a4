"""What the tour looks at: two prompts, and two scenes that they describe."""

from __future__ import annotations

from torch import Tensor

from gesso.pipeline.pipeline import Pipeline
from gesso.storybook.render import render
from gesso.storybook.scene import Backdrop, Group, Scene, Thing

HOUSE_PROMPT = "a red house beside a pine tree, at night"
MUSHROOM_PROMPT = "an orange mushroom on the grass, by day"

HOUSE = Scene(
    sky="night",
    ground="grass",
    weather="clear",
    style="picture book",
    groups=(
        Group((Thing("house", "red", x=0.32, base=0.85, size=0.5),)),
        Group((Thing("pine", "green", x=0.76, base=0.86, size=0.62),)),
    ),
    relation="beside",
    backdrop=Backdrop(horizon=0.64, light_x=0.82, light_y=0.15, phase=0.3),
)
MUSHROOM = Scene(
    sky="day",
    ground="grass",
    weather="clear",
    style="picture book",
    groups=(Group((Thing("mushroom", "orange", x=0.52, base=0.88, size=0.5),)),),
    relation="alone",
    backdrop=Backdrop(horizon=0.64, light_x=0.18, light_y=0.16, phase=0.7),
)


def rendered(pipe: Pipeline) -> Tensor:
    """Both scenes as images (2, 3, h, w) of the size that the model draws."""
    return render([HOUSE, MUSHROOM], pipe.config.image_size)
