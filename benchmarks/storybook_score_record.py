"""The file of results of storybook_score.py."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import machine

from gesso.storybook.score import Score


@dataclass(frozen=True)
class Setting:
    """What pictures are drawn with."""

    sampler: str
    steps: int
    guidance_scale: float

    def __str__(self) -> str:
        return f"{self.sampler}, {self.steps} steps, guidance {self.guidance_scale:g}"


@dataclass(frozen=True)
class Record:
    """Results by setting.

    Attributes:
        machine: on which they were computed.
        common: what all of them have in common: model, world, number of prompts and the like.
        usual: the setting that a request has if it says nothing else.
        results: of each setting a `Score`, as JSON.
    """

    machine: Mapping[str, Any]
    common: Mapping[str, Any]
    usual: Setting
    results: dict[Setting, Mapping[str, Any]]

    @classmethod
    def read(cls, path: Path) -> Record:
        """Read what ``write`` wrote."""
        content = json.loads(path.read_text(encoding="utf-8"))
        results = {Setting(**each["setting"]): each["score"] for each in content["results"]}
        return cls(content["machine"], content["common"], Setting(**content["usual"]), results)

    @classmethod
    def resume(cls, path: Path, common: Mapping[str, Any], usual: Setting) -> Record:
        """Read the results that are there already, or begin without any.

        Raises:
            SystemExit: they are of something else.
        """
        if not path.exists():
            return cls(machine.describe(), common, usual, {})
        record = cls.read(path)
        different = [name for name, value in common.items() if record.common.get(name) != value]
        if different or record.usual != usual:
            of = ", ".join(different or ["usual setting"])
            raise SystemExit(f"{path}: its results are of another {of}. Name another file.")
        return record

    def has(self, setting: Setting, *, diversity: bool) -> bool:
        """Whether a setting was drawn, and if so asked, some prompts of it with several seeds."""
        score = self.results.get(setting)
        return score is not None and not (diversity and score["diversity"] is None)

    def add(self, setting: Setting, score: Score) -> None:
        self.results[setting] = score.as_json()

    def write(self, path: Path) -> None:
        """Put the file into the old one's place, whole."""
        results = [{"setting": asdict(setting), "score": score} for setting, score in self.results.items()]
        content = {
            "benchmark": "storybook_score",
            "machine": self.machine,
            "common": self.common,
            "usual": asdict(self.usual),
            "results": results,
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.part")
        temporary.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        temporary.replace(path)
