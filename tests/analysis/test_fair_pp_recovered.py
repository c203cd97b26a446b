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
import polars as pl
import pytest
import yaml

from tests.analysis.utility_judge import (
    BLOCS,
    DIMENSIONS,
    FOLLOWS,
    GAPS,
    HOPELESS,
    LOYALTY,
    PIPELINE,
    REFUSES,
    VIGNETTES,
    chance,
    serving,
)

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
    people = [name for name in BLOCS if name != "none"]
    for one in findings["position_bias"]["by_persona"]:
        name = "none" if one["control"] else one["persona_id"]
        yield Check(f"{name} follows the slot", FOLLOWS[name], one["position_bias"])
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
    for one in findings["nonresponse"]:
        if one["coordinate"] == "group":
            yield Check(f"no answer about {one['level']}", REFUSES.get(one["level"], 0.0), one["share"])
    assert len(people) == findings["matrix"]["personas"]


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
            total += (LOYALTY**2 + (1 - LOYALTY**2) * apart if BLOCS[a] == BLOCS[b] else apart) * weight(group) ** 2
    return total / (len(DIMENSIONS) * sum(weight(group) ** 2 for group in groups))


def report(found: list[Check]) -> str:
    """How many hold, and the ones that do not."""
    missed = [f"  {one.what}: planted {one.planted:.3f}, found {one.found}" for one in found if not one.holds]
    return f"{len(found) - len(missed)} of {len(found)} planted numbers lie in their 95 % intervals\n" + "\n".join(
        missed
    )


def run_fair_pp(
    out: Path, base_url: str, *, pipeline: Path = PIPELINE, topics_each: int | None = None
) -> dict[str, Any]:
    """A pipeline, asked of the utility model through the command line; the first topics of every category, or all of them."""
    from prefgen.cli import app

    data = yaml.safe_load(pipeline.read_text("utf-8"))
    for model in data["models"].values():
        model |= {"model": "utility", "base_url": base_url, "seed": 1}  # so that a second try is another draw
    data["steps"]["personas"]["draw"] = str((pipeline.parent / data["steps"]["personas"]["draw"]).resolve())
    out.mkdir(parents=True, exist_ok=True)
    for axis in data["steps"]["cells"]["product"].values():
        axis["file"] = str((pipeline.parent / axis["file"]).resolve())
    if topics_each is not None:
        topic = data["steps"]["cells"]["product"]["topic"]
        few = pl.read_csv(topic["file"]).group_by("category", maintain_order=True).head(topics_each)
        topic["file"] = str(out / "topics.csv")
        few.select("theme", "category", "topic").write_csv(topic["file"])
        del data["expect"]
    written = out / "pipeline_asked.yaml"
    written.write_text(yaml.safe_dump(data, sort_keys=False, allow_unicode=True), encoding="utf-8")
    app(["run", str(written), "--out", str(out / "run")], standalone_mode=False)
    findings: dict[str, Any] = orjson.loads((out / "run" / "report.json").read_bytes())
    return findings


def groups() -> list[str]:
    return pl.read_csv(PIPELINE.parent / "fair_pp" / "groups.csv")["group"].to_list()


def least(found: list[Check]) -> int:
    """Of n intervals of 95 %, fewer than this many hold with a chance below 1 in 10,000, were they independent."""
    return math.floor(0.95 * len(found) - 3.8 * math.sqrt(0.95 * 0.05 * len(found)))


def test_what_was_planted_is_found_again_end_to_end(tmp_path):
    with serving() as base_url:
        findings = run_fair_pp(tmp_path, base_url, topics_each=1)
    found = list(checks(findings, groups()))
    assert sum(one.holds for one in found) >= least(found), report(found)
    pairs = {(one["first"], one["second"]): one["kappa"]["value"] for one in findings["agreement"]["pairs"]}
    alike = [
        pair for pair in combinations([name for name in BLOCS if name != "none"], 2) if BLOCS[pair[0]] == BLOCS[pair[1]]
    ]
    kappas = sorted(pairs, key=lambda pair: -pairs[pair])[: len(alike)]
    assert {frozenset(pair) for pair in kappas} == {frozenset(pair) for pair in alike}


def test_vignettes_are_written_checked_and_judged_end_to_end(tmp_path):
    with serving() as base_url:
        findings = run_fair_pp(tmp_path, base_url, pipeline=VIGNETTES, topics_each=2)
    steps = {step["name"]: step for step in orjson.loads((tmp_path / "run" / "manifest.json").read_bytes())["steps"]}
    retold = steps["vignettes"]
    assert retold["rows"] == 28 * 2 * 15 * 5
    hopeless = retold["dropped"]["unfaithful"] / retold["rows"]
    assert abs(hopeless - HOPELESS) < 4 * math.sqrt(HOPELESS * (1 - HOPELESS) / retold["rows"])
    assert set(retold["dropped"]) <= {"unfaithful", "leak", "unbalanced", "sentences", "refusal"}
    assert steps["answers"]["rows"] == retold["kept"] * 8 * 3
    found = list(checks(findings, groups()))
    assert sum(one.holds for one in found) >= least(found), report(found)


def main() -> None:
    """The whole questionnaire: python -m tests.analysis.test_fair_pp_recovered OUT [vignettes]."""
    out, pipeline = Path(sys.argv[1]), VIGNETTES if "vignettes" in sys.argv else PIPELINE
    with serving() as address:
        said = run_fair_pp(out, address, pipeline=pipeline)
    judged = pl.scan_parquet(out / "run" / "tables" / "answers" / "*.parquet").filter(pl.col("control").is_null())
    records = judged.select("persona_id", "item_id").unique().select(pl.len()).collect().item()
    print(f"{records:,} persona x item preference records\n{report(list(checks(said, groups())))}")


if __name__ == "__main__":
    main()
