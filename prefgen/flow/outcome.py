"""What a run came to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from prefgen.errors import GateError
from prefgen.store.folder import RunFolder


@dataclass(frozen=True, slots=True)
class Outcome:
    """A finished run; `fresh` is False when it stood already and nothing was made."""

    folder: RunFolder
    manifest: Mapping[str, Any]
    fresh: bool


def past_gates(outcome: Outcome) -> Outcome:
    """The outcome; GateError where its data miss what `expect:` asks for."""
    missed = [gate for gate in outcome.manifest["gates"] if not gate["passed"]]
    if missed:
        said = "; ".join(
            f"{gate['step']}.{gate['gate']}: found {_figure(gate['found'])}, wanted {_figure(gate['wanted'])}"
            for gate in missed
        )
        raise GateError(
            f"{outcome.folder.path}: the data misses {len(missed)} gate(s): {said}",
            fix="look at `prefgen show`; the data is written, and `expect:` says what it must reach",
        )
    return outcome


def _figure(value: float | None) -> str:
    return "nothing that can be told" if value is None else f"{value:g}"
