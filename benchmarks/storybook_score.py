"""What guidance, steps and samplers do to a model's score in the storybook world.

    python benchmarks/storybook_score.py score.json                    # the built-in model
    python benchmarks/storybook_score.py score.json --parts guidance --guidance 1,2,3 --count 96
    python benchmarks/storybook_score_plots.py score.json docs/images  # the charts

Three parts: several guidance scales at the default steps and sampler, several numbers of steps at the
default guidance for some samplers, and all samplers at the default steps. Every setting draws the same
prompts with the same seeds. The file is written after each setting; the same command again draws what is
missing in it.
"""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

from storybook_score_record import Record, Setting

from gesso.cli.storybook import TAUGHT, drawer, psnr_of
from gesso.diffusion.samplers import SAMPLERS
from gesso.errors import GessoError
from gesso.pipeline.load import load
from gesso.pipeline.pipeline import Pipeline
from gesso.pipeline.request import GenerationRequest
from gesso.storybook.probe import PROBE_FILE, load_probe
from gesso.storybook.score import SEEDS, VARIED, Examiner, Score, fixed_prompts
from gesso.storybook.shares import EVERY
from gesso.storybook.world import find_world

PARTS = ("guidance", "steps", "samplers")
GUIDANCE = (1.0, 2.0, 3.0, 4.0, 6.0, 8.0)
STEPS = (3, 6, 12, 20)
SAMPLERS_OVER_STEPS = ("euler", "ddim", "dpmpp_2m", "euler_ancestral")

T = TypeVar("T")


def main() -> None:
    options = parse()
    try:
        measure(options)
    except GessoError as error:
        raise SystemExit(str(error)) from error


def measure(options: argparse.Namespace) -> None:
    """Draw and read what the file lacks."""
    world = find_world(options.world)
    prompts = fixed_prompts(options.count, world)
    probe, accuracy = load_probe(options.probe, world.name)
    pipeline = load(options.model, device=options.device)
    usual = resolved(pipeline)
    record = Record.resume(options.json, described(options, pipeline), usual)
    examiner = Examiner(probe, accuracy, pipeline.config.image_size, world)
    psnr = psnr_of(pipeline, world)
    settings = asked_for(options, usual)
    requests = [GenerationRequest("a house", **asdict(each)).resolve(pipeline.config) for each in settings]
    for number, (setting, varied) in enumerate(settings.items()):
        if record.has(setting, diversity=varied > 0):
            continue
        drawings = len(prompts) + min(varied, len(prompts)) * (SEEDS - 1)
        with drawer(pipeline, requests[number], drawings, options.batch_size) as draw:
            score = examiner.examine(prompts, draw, psnr, varied)
        record.add(setting, score)
        record.write(options.json)
        print(f"{number + 1} of {len(settings)}: {setting}: {summary(score)}", flush=True)


def resolved(pipeline: Pipeline) -> Setting:
    """What a request is drawn with if it says nothing."""
    request = GenerationRequest("a house").resolve(pipeline.config)
    return Setting(request.sampler, request.steps, request.guidance_scale)


def asked_for(options: argparse.Namespace, usual: Setting) -> dict[Setting, int]:
    """Each setting once, with how many prompts are drawn with several seeds: some for guidance alone."""
    settings: dict[Setting, int] = {}
    if "guidance" in options.parts:
        for scale in options.guidance:
            settings[Setting(usual.sampler, usual.steps, scale)] = VARIED
    if "steps" in options.parts:
        for sampler in options.samplers_over_steps:
            for steps in options.steps:
                settings.setdefault(Setting(sampler, steps, usual.guidance_scale), 0)
    if "samplers" in options.parts:
        for sampler in SAMPLERS:
            settings.setdefault(Setting(sampler, usual.steps, usual.guidance_scale), 0)
    return settings


def described(options: argparse.Namespace, pipeline: Pipeline) -> dict[str, Any]:
    """What all results of a file have in common."""
    return {
        "model": pipeline.name,
        "weights": digest(numbers_of(pipeline)),
        "probe": digest([options.probe.read_bytes()]),
        "world": options.world,
        "count": options.count,
    }


def numbers_of(pipeline: Pipeline) -> Iterator[bytes]:
    """The weights of the three networks."""
    for network in (pipeline.text_encoder, pipeline.unet, pipeline.autoencoder):
        for tensor in network.state_dict().values():
            yield tensor.detach().float().cpu().numpy().tobytes()


def digest(parts: Iterable[bytes]) -> str:
    """Twelve letters that are others for other bytes."""
    checksum = hashlib.sha256()
    for part in parts:
        checksum.update(part)
    return checksum.hexdigest()[:12]


def summary(score: Score) -> str:
    """What to say of a setting at once."""
    total = score.total
    names = [name for name in (EVERY, "whole") if name in total.drawn]
    shares = (f"{name} {total.drawn[name]:.1%} (± {total.error[name]:.1%})" for name in names)
    return ", ".join([*shares, f"Fréchet distance {score.frechet:.3g}"])


def listed(kind: Callable[[str], T]) -> Callable[[str], tuple[T, ...]]:
    """Reads values with commas between them."""

    def read(text: str) -> tuple[T, ...]:
        return tuple(kind(part) for part in text.split(","))

    return read


def named(*names: str) -> Callable[[str], str]:
    """Reads one of some names."""

    def read(text: str) -> str:
        if text not in names:
            raise argparse.ArgumentTypeError(f'"{text}" is none of {", ".join(names)}')
        return text

    return read


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    add = parser.add_argument
    add("json", type=Path, help="where the results go, and where those that there are come from")
    add("--model", default="storybook", help="as for gesso (default: %(default)s)")
    add("--world", default=TAUGHT, help="that the prompts are of (default: %(default)s)")
    add("--count", type=int, default=64, help="prompts, at least 4 (default: %(default)s)")
    add("--parts", type=listed(named(*PARTS)), default=PARTS, help="default: guidance,steps,samplers")
    add("--guidance", type=listed(float), default=GUIDANCE, help="default: 1,2,3,4,6,8")
    add("--steps", type=listed(int), default=STEPS, help="default: 3,6,12,20")
    add(
        "--samplers-over-steps",
        type=listed(named(*SAMPLERS)),
        default=SAMPLERS_OVER_STEPS,
        help="default: euler,ddim,dpmpp_2m,euler_ancestral",
    )
    add("--batch-size", type=int, default=16, help="pictures drawn at once (default: %(default)s)")
    add("--device", default="auto", help="cpu, cuda, mps (default: %(default)s)")
    add("--probe", type=Path, default=PROBE_FILE, help="what gesso train probe made (default: built in)")
    options = parser.parse_args(arguments)
    if options.count < 4 or options.batch_size < 1:
        parser.error("--count must be at least 4, --batch-size at least 1")
    return options


if __name__ == "__main__":
    main()
