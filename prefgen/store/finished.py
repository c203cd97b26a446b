"""Which tables of a run are its judgments, its personas and its items: everything that speaks of a run asks here.

Screen, card, report, exports, `place` and `calibrate` would otherwise each find their own, and with two judge steps
they would not be the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from prefgen.errors import FileError
from prefgen.spec.pipeline import Pipeline
from prefgen.store.folder import RunFolder
from prefgen.store.table import Table

_JUDGED = frozenset(["judgments", "rankings"])


@dataclass(frozen=True, slots=True)
class Step:
    """A step as its place in the run has it: what one row of its table is, and (key, step) for every table it reads."""

    grain: str
    reads: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Ancestry:
    """The steps of a run in their order, and what each rests on."""

    steps: Mapping[str, Step]

    def of_grain(self, grain: str) -> tuple[str, ...]:
        """The steps whose rows are of a grain, in their order."""
        return tuple(name for name, step in self.steps.items() if step.grain == grain)

    def judge_of(self, step: str) -> str | None:
        """The judge step that the rows of a step rest on; None where they rest on none."""
        for name in self.upward(step):
            above = [self.steps[read].grain for _, read in self.steps[name].reads if read in self.steps]
            if self.steps[name].grain in _JUDGED and not _JUDGED & set(above):
                return name
        return None

    def personas_of(self, step: str) -> str | None:
        """The step with the personas of a step's rows: those its judge asked, else the nearest at or above it."""
        return self._side(step, "as", "personas")

    def items_of(self, step: str) -> str | None:
        """The step with the items of a step's rows: those that were judged, else the nearest at or above it."""
        return self._side(step, "items", "items")

    def _side(self, step: str, key: str, grain: str) -> str | None:
        judge = self.judge_of(step)
        if judge is not None:
            return dict(self.steps[judge].reads).get(key)  # of several the last: before the items may stand answers
        return next((name for name in self.upward(step) if self.steps[name].grain == grain), None)

    def upward(self, step: str) -> list[str]:
        """A step and all that it rests on, the nearest first."""
        found = [step] if step in self.steps else []
        for name in found:  # grows while it is walked
            found += [read for _, read in self.steps[name].reads if read in self.steps and read not in found]
        return found


@dataclass(frozen=True, slots=True)
class Lineage(Ancestry):
    """Which steps speak for a run.

    chosen    the step that `publish: {judgments: ...}` names, or None
    """

    chosen: str | None = None

    @classmethod
    def of_manifest(cls, manifest: Mapping[str, Any]) -> Lineage:
        """Of a finished run, wherever its folder was moved to."""
        steps = {
            one["name"]: Step(one["grain"], tuple((key, name) for key, name in one.get("reads", ())))
            for one in manifest.get("steps", ())
        }
        return cls(steps, manifest.get("publish", {}).get("judgments"))

    @classmethod
    def of_pipeline(cls, pipeline: Pipeline, grains: Mapping[str, str]) -> Lineage:
        """Of a run that is planned or being made; `grains` says what one row of each step's table is."""
        steps = {name: Step(grains[name], step.reads()) for name, step in pipeline.steps.items() if name in grains}
        return cls(steps, pipeline.publish.judgments)

    @property
    def judgments(self) -> str | None:
        """The step whose table is the run's judgments: the one chosen, else the last of that grain; None for none."""
        found = self.of_grain("judgments")
        return self.chosen if self.chosen in found else found[-1] if found else None

    @property
    def judges(self) -> tuple[str, ...]:
        """The steps that judged, in their order: those with judgments that are not another step's, filtered or parted."""
        return tuple(name for name in self.of_grain("judgments") if self.judge_of(name) == name)

    @property
    def judge(self) -> str | None:
        """The step that asked for the run's judgments; None for none."""
        return self.judge_of(self.judgments) if self.judgments else None

    @property
    def other_judges(self) -> tuple[str, ...]:
        """The steps that judged besides the one that the run speaks of."""
        return tuple(name for name in self.judges if self.judgments and name != self.judge)

    @property
    def personas(self) -> str | None:
        """The step with the run's personas: those of its judgments, in a run that judges nothing the last drawn or written."""
        return self.personas_of(self.judgments) if self.judgments else self._last("personas")

    @property
    def items(self) -> str | None:
        """The step with the run's items: those of its judgments, in a run that judges nothing the last."""
        return self.items_of(self.judgments) if self.judgments else self._last("items")

    def _last(self, grain: str) -> str | None:
        return next(reversed(self.of_grain(grain)), None)


def finished_manifest(folder: RunFolder) -> dict[str, Any]:
    """The manifest of a run that came to its end. FileError where there is none, or the run did not."""
    manifest = folder.read_manifest()
    if manifest["status"] != "finished":
        raise FileError(
            f"{folder.path}: the run is not finished", fix="run the pipeline again; it goes on where it stopped"
        )
    return manifest


Answerer = Literal["model", "people", "utility", "writer", "nobody"]
"""Who chose in a run: a model, people themselves, their utility; where nobody did, whether a model wrote something."""

_ANSWERERS: Mapping[str, Answerer] = {"given": "people", "utility": "utility"}
"""Who chose, by the one readout that a judge's summary counts."""


@dataclass(frozen=True, slots=True)
class Finished:
    """The judgments of a run with the personas and items of their lineage; None for what the run does not have.

    A run that judges nothing may have personas and items all the same.

    step           the step whose judgments they are
    answered_by    who chose: see `answered_by`
    """

    step: str | None
    judgments: Table | None
    items: Table | None
    personas: Table | None
    answered_by: Answerer = "model"


def finished(folder: RunFolder, manifest: Mapping[str, Any], *, step: str | None = None) -> Finished:
    """The tables that speak for a run, or those of another of its steps with judgments."""
    lineage = Lineage.of_manifest(manifest)
    items, personas = lineage.items, lineage.personas
    if step is not None:
        items, personas = lineage.items_of(step), lineage.personas_of(step)
    step = step or lineage.judgments
    judgments, asked, people = (_table(folder, name) for name in (step, items, personas))
    return Finished(step, judgments, asked, people, answered_by(manifest, step))


def answered_by(manifest: Mapping[str, Any], step: str | None = None) -> Answerer:
    """Who chose in the judgments of a step, by default those of the run."""
    lineage = Lineage.of_manifest(manifest)
    judge = lineage.judge_of(step) if step is not None else lineage.judge
    if judge is None:
        return "writer" if manifest.get("models") else "nobody"
    accounts = (one["summary"] for one in manifest["steps"] if one["name"] == judge)
    return next((_ANSWERERS.get("+".join(summary.get("readouts", ())), "model") for summary in accounts), "model")


def _table(folder: RunFolder, step: str | None) -> Table | None:
    """A step's table; None where it is not there any more, or has no part to read."""
    if step is None or not folder.tables.is_there(step):
        return None
    table = folder.table(step)
    return table if table.parts else None


def are_models(manifest: Mapping[str, Any]) -> bool:
    """Whether those who judged in a run are models as themselves, and nobody was played."""
    name = Lineage.of_manifest(manifest).personas
    people = [one for one in manifest["steps"] if one["name"] == name and one["kind"] == "people"]
    return bool(people) and people[0]["summary"].get("population") == "models"
