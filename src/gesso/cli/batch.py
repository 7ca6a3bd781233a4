"""``gesso batch``: the requests of a file, one after the other; and again, what is missing."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gesso.cli.drawing import count_steps, draw, load_pipeline, named_folder
from gesso.cli.message import say
from gesso.cli.options import MODEL_OPTIONS, model_options
from gesso.cli.request_options import request_options
from gesso.cli.unknown_words import UnknownWords

if TYPE_CHECKING:
    from tqdm import tqdm

    from gesso.pipeline.batch import Batch, Job
    from gesso.pipeline.ledger import LedgerEntry
    from gesso.pipeline.pipeline import Pipeline

STANDARD_INPUT = Path("-")
SHOWN_ERRORS = 20


@click.command(short_help="Draw the prompts of a file.")
@click.argument("file", type=click.Path(path_type=Path, allow_dash=True))
@click.option(
    "--format",
    "form",
    type=click.Choice(("txt", "jsonl", "csv")),
    help="How FILE is written.  [default: by its suffix; txt for -]",
)
@request_options
@model_options
@click.option(
    "--output",
    "-o",
    metavar="FOLDER",
    help="Where the pictures are, and what is needed to go on.  [default: outputs/NAME of the file/]",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of the paths.")
def batch(file: Path, form: str | None, output: str | None, as_json: bool, **options: Any) -> None:
    """Draw every request of FILE, and print the paths of the pictures. - is standard input.

    \b
    prompts.txt    a prompt a line; blank lines and those that begin with # are skipped
    prompts.jsonl  a JSON object a line: {"prompt": "a castle", "steps": 30, "seed": 7}
    prompts.csv    a table whose first row names the fields: prompt, steps, guidance_scale, …

    Options hold for all lines that do not say otherwise. All lines are checked before the first is drawn.
    The same command again draws what is missing: it remembers the seeds, and what is there stays.

    \b
    gesso batch prompts.txt --steps 30 --count 4
    gesso batch prompts.csv --model v1-5.safetensors --output pictures/
    """
    from gesso.errors import BatchError, GessoError
    from gesso.pipeline.ledger import open_ledger
    from gesso.pipeline.output import try_folder

    started = time.perf_counter()
    settings = {name: options.pop(name) for name in MODEL_OPTIONS}
    folder = folder_of(file, output)
    try:
        requests = read_batch(file, form, options)
        requests.check()
        try_folder(folder)
        pipeline = load_pipeline(**settings)
        proposals = requests.propose(pipeline, model_key(settings["model"], settings["ema"]))
    except BatchError as error:
        for one in error.errors[:SHOWN_ERRORS]:
            say(str(one))
        raise
    with open_ledger(folder) as ledger:
        run = Run(requests, ledger.settle(proposals), pipeline, folder, UnknownWords(pipeline))
        reports = run.draw(echo_paths=not as_json)
    if as_json:
        seconds = round(time.perf_counter() - started, 3)
        click.echo(json.dumps({"requests": reports, "model": pipeline.name, "seconds": seconds}))
    failed = sum("error" in report for report in reports)
    if failed:
        raise GessoError(
            f"{failed:,} of {len(reports):,} requests could not be drawn",
            "The same command tries them again.",
            where=requests.name,
        )


def read_batch(file: Path, form: str | None, options: dict[str, Any]) -> Batch:
    """The requests of the file, over those options that are given."""
    from gesso.errors import RequestError
    from gesso.pipeline.batch import Batch
    from gesso.pipeline.pictures import Picture
    from gesso.pipeline.request_file import form_of, read_requests

    defaults = {name: value for name, value in options.items() if value is not None}
    for name in defaults.keys() & {"image", "mask"}:
        defaults[name] = Picture.read(defaults[name], name)  # once, not for every line
    if file == STANDARD_INPUT:
        return Batch("stdin", read_requests(sys.stdin.buffer, "stdin", form or "txt"), defaults)
    form = form or form_of(file)
    try:
        with file.open("rb") as opened:
            return Batch(str(file), read_requests(opened, str(file), form), defaults)
    except OSError as error:
        raise RequestError(f"it cannot be read ({error.strerror or error})", where=str(file)) from error


def folder_of(file: Path, output: str | None) -> Path:
    """Where the pictures go."""
    if output is None:
        return Path("outputs", "batch" if file == STANDARD_INPUT else file.stem)
    return named_folder(output, "A batch numbers its pictures in one.")


def model_key(model: str | None, ema: bool) -> str:
    """What tells a model from others when a batch goes on: its file or folder, or its name."""
    from gesso.pipeline.load import BUILT_IN

    name = BUILT_IN if model is None else str(Path(model).resolve()) if Path(model).exists() else model
    return f"{name} ema" if ema else name


@dataclass(frozen=True)
class Run:
    """One run of a batch: its jobs are made twice, to count their steps and to draw them."""

    requests: Batch
    entries: Sequence[LedgerEntry]
    pipeline: Pipeline
    folder: Path
    unknown_words: UnknownWords

    def draw(self, *, echo_paths: bool) -> list[dict[str, Any]]:
        """Draw what is missing. What goes wrong with one request is said, and the others are drawn."""
        from gesso.cli.progress import progress_bar

        steps = [0 if job.done else count_steps(job.request, job.present) for job in self.jobs()]
        done = steps.count(0)
        if done:
            say(f"{self.requests.name}: {done:,} of {len(steps):,} requests are drawn already")
        with progress_bar(sum(steps), self.pipeline.name) as bar:
            return [self.draw_job(job, bar, echo_paths=echo_paths) for job in self.numbered(bar)]

    def jobs(self) -> Iterator[Job]:
        return self.requests.jobs(self.entries, self.pipeline, self.folder)

    def numbered(self, bar: tqdm[Any]) -> Iterator[Job]:
        """The jobs, the bar saying which of them it is."""
        for number, job in enumerate(self.jobs(), 1):
            bar.set_description_str(f"{self.pipeline.name} {number} of {len(self.entries)}", refresh=False)
            yield job

    def draw_job(self, job: Job, bar: tqdm[Any], *, echo_paths: bool) -> dict[str, Any]:
        """Draw what is missing of a job; what `--json` says of it.

        Raises:
            OutputError: nothing more can be written.
        """
        from gesso.errors import GessoError, OutputError
        from gesso.pipeline.canvas import notes

        report: dict[str, Any] = {"line": job.line.number, "prompt": job.request.prompt}
        drawn: set[int] = set()
        try:
            if not job.done:
                for note in notes(job.request):
                    say(f"{job.where}: {note}")
                self.unknown_words.tell([job.request], job.where)
                for picture in draw(
                    self.pipeline, job.request, job.pattern, bar, echo_paths=echo_paths, present=job.present
                ):
                    drawn.add(picture.index)
        except OutputError:
            raise
        except GessoError as error:
            say(f"{job.where}: {error}")
            report["error"] = str(error)
        report["pictures"] = [
            {"path": str(path), "seed": job.request.seed_of(index), "drawn": index in drawn}
            for index, path in enumerate(job.paths())
            if index in drawn | job.present
        ]
        return report
