"""Fair-PP from questionnaire to report, through the real engine and a real socket: what was planted is found again."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import orjson
import pytest
import yaml

from tests.analysis.utility_judge import CAMPS, DIMENSIONS, FOLLOWS, GAPS, LOYALTY, PIPELINE, REFUSES, chance, serving

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Check:
    """A planted number beside the interval found for it."""

    what: str
    planted: float
    found: dict[str, Any]

    @property
    def holds(self) -> bool:
        return self.found["low"] - 1e-9 <= self.planted <= self.found["high"] + 1e-9


def checks(findings: dict[str, Any], groups: list[str]) -> Iterator[Check]:
    """Everything that the utility model fixes in closed form."""
    people = [name for name in CAMPS if name != "none"]
    for one in findings["position_bias"]["by_persona"]:
        name = "none" if one["control"] else one["persona_id"]
        yield Check(f"{name} follows the slot", FOLLOWS[name], one["follows_slot"])
    for pair in findings["agreement"]["pairs"]:
        yield Check(
            f"{pair['first']} and {pair['second']} choose the same",
            same(pair["first"], pair["second"], groups),
            pair["same"],
        )
    for one in findings["profiles"]:
        if one["control"] is None:
            planted = sum(chance(one["persona_id"], one["level"], group) * weight(group) for group in groups) / sum(
                map(weight, groups)
            )
            yield Check(f"{one['persona_id']} on {one['level']}", planted, one["share"])
    for one in findings["controls"]:
        yield Check(f"{one['persona_id']} differs from the control", 0.5, one["differs"])
    change = next(one for one in findings["counterfactuals"] if one["coordinate"] == "group")
    for gap in change["gaps"]:
        yield Check(
            f"{gap['first']} over {gap['second']}",
            GAPS.get(gap["first"], 0.0) - GAPS.get(gap["second"], 0.0),
            gap["difference"],
        )
    for one in findings["silence"]:
        if one["coordinate"] == "group":
            yield Check(f"no answer about {one['level']}", REFUSES.get(one["level"], 0.0), one["share"])
    assert len(people) == findings["sheet"]["personas"]


def weight(group: str) -> float:
    """Share of the items about a group that are answered."""
    return 1 - REFUSES.get(group, 0.0)


def same(a: str, b: str, groups: list[str]) -> float:
    """Planted share of items on which two personas choose the same."""
    total = 0.0
    for group in groups:
        for dimension in DIMENSIONS:
            p, q = chance(a, dimension, group), chance(b, dimension, group)
            apart = p * q + (1 - p) * (1 - q)
            total += (LOYALTY**2 + (1 - LOYALTY**2) * apart if CAMPS[a] == CAMPS[b] else apart) * weight(group) ** 2
    return total / (len(DIMENSIONS) * sum(weight(group) ** 2 for group in groups))


def report(found: list[Check]) -> str:
    """How many hold, and the ones that do not."""
    missed = [f"  {one.what}: planted {one.planted:.3f}, found {one.found}" for one in found if not one.holds]
    return f"{len(found) - len(missed)} of {len(found)} planted numbers lie in their 95 % intervals\n" + "\n".join(
        missed
    )


def run_fair_pp(out: Path, base_url: str, *, topics_each: int | None = None) -> dict[str, Any]:
    """The pipeline, asked of the utility model through the command line; the first topics of every category, or all of them."""
    from prefgen.cli import app

    data = yaml.safe_load(PIPELINE.read_text("utf-8"))
    data["models"]["judge"] = {"engine": "openai", "model": "utility", "base_url": base_url}
    data["steps"]["personas"]["draw"] = str((PIPELINE.parent / data["steps"]["personas"]["draw"]).resolve())
    if topics_each is not None:
        tree = data["steps"]["cells"]["product"]["topic"]["tree"]
        data["steps"]["cells"]["product"]["topic"]["tree"] = {
            theme: {category: topics[:topics_each] for category, topics in below.items()}
            for theme, below in tree.items()
        }
        del data["expect"]
    out.mkdir(parents=True, exist_ok=True)
    written = out / "pipeline_asked.yaml"
    written.write_text(yaml.safe_dump(data, sort_keys=False, allow_unicode=True), encoding="utf-8")
    app(["run", str(written), "--out", str(out / "run")], standalone_mode=False)
    from prefgen.analysis.findings import write_findings
    from prefgen.publish.report import write_report
    from prefgen.store.folder import RunFolder

    folder = RunFolder(out / "run")
    path = write_findings(folder)
    write_report(folder)
    findings: dict[str, Any] = orjson.loads(path.read_bytes())
    return findings


def groups_of(data: dict[str, Any]) -> list[str]:
    return [group for groups in data["steps"]["cells"]["product"]["group"]["tree"].values() for group in groups]


def test_what_was_planted_is_found_again_end_to_end(tmp_path):
    with serving() as base_url:
        findings = run_fair_pp(tmp_path, base_url, topics_each=1)
    groups = groups_of(yaml.safe_load(PIPELINE.read_text("utf-8")))
    found = list(checks(findings, groups))
    held = sum(one.holds for one in found)
    # Of n intervals of 95 %, fewer than this many hold with a chance below 1 in 10,000, were they independent.
    least = math.floor(0.95 * len(found) - 3.8 * math.sqrt(0.95 * 0.05 * len(found)))
    assert held >= least, report(found)
    pairs = {(one["first"], one["second"]): one["kappa"]["value"] for one in findings["agreement"]["pairs"]}
    alike = [
        pair for pair in combinations([name for name in CAMPS if name != "none"], 2) if CAMPS[pair[0]] == CAMPS[pair[1]]
    ]
    kappas = sorted(pairs, key=lambda pair: -pairs[pair])[: len(alike)]
    assert {frozenset(pair) for pair in kappas} == {frozenset(pair) for pair in alike}


if __name__ == "__main__":  # the whole questionnaire: python -m tests.analysis.test_fair_pp_recovered OUT
    with serving() as address:
        said = run_fair_pp(Path(sys.argv[1]), address)
    print(report(list(checks(said, groups_of(yaml.safe_load(PIPELINE.read_text("utf-8")))))))
