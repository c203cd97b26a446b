"""`publish: {hidden: ...}`: what is hidden leaves nowhere but where it is named, and what says it is found and counted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml

import prefgen
from prefgen.errors import GateError, SpecError
from prefgen.publish.exports.hidden import leaks_of_both
from prefgen.publish.exports.one import export_run
from prefgen.store.shape import wrong_manifest

PEOPLE = {
    "population": "town",
    "attributes": {"mood": {"cheerful": 0.5, "gloomy": 0.5}, "age": {"young": 0.5, "old": 0.5}},
    "weights": {"dirichlet": 1, "over": ["fit", "ease"]},
    "text": "You are {{ age }}.",
}
TEXTS = ("brew it", "leave it", "ask her")


def answers(texts: tuple[str, ...] = TEXTS) -> list[dict[str, Any]]:
    return [
        {
            "prompt": f"What of {thing}?",
            "response": f"{thing}: {text}",
            "fit": k,
            "ease": 3 - k,
            "axis": f"thrift {thing}",
        }
        for thing in ("tea", "jam")
        for k, text in enumerate(texts)
    ]


def pipeline(folder: Path, **more: Any) -> Path:
    said = {
        "name": "town",
        "seed": 1,
        "steps": {
            "people": {"draw": "people.yaml", "n": 6},
            "answers": {"table": answers(more.pop("texts", TEXTS))},
            "picks": {"judge": "pick", "items": "answers", "show": "all", "as": "people", "utility": "weights"},
            "pairs": {"pair": "best_vs_worst", "from": "picks"},
        },
        "publish": {
            "hidden": ["mood", "axis"],
            "exports": [
                "judgments",
                "preferences",
                "dpo",
                "kto",
                {"rows": {"from": "answers"}},
                *more.pop("exports", []),
            ],
            **more.pop("publish", {}),
        },
        **more,
    }
    (folder / "people.yaml").write_text(yaml.safe_dump(PEOPLE | more.pop("people", {})))
    path = folder / "p.yaml"
    path.write_text(yaml.safe_dump({k: v for k, v in said.items() if k != "people"}, sort_keys=False))
    return path


def made(path: Path) -> tuple[dict[str, Any], dict[str, pl.DataFrame]]:
    out = path.parent / "run"
    prefgen.run(prefgen.load(path), out, report=False)
    return read(out)


def read(out: Path) -> tuple[dict[str, Any], dict[str, pl.DataFrame]]:
    manifest = json.loads((out / "manifest.json").read_text())
    return manifest, {
        one["name"]: pl.read_parquet(out / "data" / one["name"] / "*.parquet") for one in manifest["configs"]
    }


def test_hidden_columns_leave_nowhere_and_nothing_says_them(tmp_path: Path) -> None:
    manifest, data = made(pipeline(tmp_path, expect={"max_leaks": 0}))
    for name, rows in data.items():
        assert not [column for column in rows.columns if "mood" in column or "axis" in column], name
        assert "thrift" not in str(rows.to_dicts())
        assert "cheerful" not in str(rows.to_dicts())
    assert all(
        config["leaks"] == {"rows": 0, "by": {}, "searched": 4, "unsearched": 0} for config in manifest["configs"]
    )
    assert manifest["gates"] == [{"step": "publish", "gate": "max_leaks", "wanted": 0, "found": 0, "passed": True}]
    assert wrong_manifest(manifest) is None
    card = (tmp_path / "run" / "README.md").read_text()
    assert "**Hidden columns**: mood, axis leave in no export" in card
    assert "- `dpo`: 0\n" in card


def test_an_export_that_names_one_has_it_and_it_alone(tmp_path: Path) -> None:
    named = [{"rows": {"name": "open", "from": "answers", "columns": ["prompt", "axis"]}}]
    _, data = made(pipeline(tmp_path, exports=named, expect={"max_leaks": 0}))
    assert data["open"].columns == ["prompt", "axis"]
    assert "axis" not in data["rows"].columns


def test_a_planted_value_is_found_wherever_it_stands(tmp_path: Path) -> None:
    path = pipeline(
        tmp_path, texts=("it is THRIFT\n tea to brew", "leave it", "spendthrift teas"), expect={"max_leaks": 0}
    )
    with pytest.raises(GateError, match="max_leaks"):
        made(path)
    manifest, data = read(tmp_path / "run")
    leaks = {one["name"]: one["leaks"] for one in manifest["configs"]}
    said = data["rows"].filter(pl.col("response").str.contains("THRIFT"))
    assert leaks["rows"]["rows"] == leaks["rows"]["by"]["axis"] == said.height == 2
    pairs = data["dpo"].select(
        pl.col("chosen", "rejected").cast(pl.List(pl.Struct({"role": pl.String, "content": pl.String})))
    )
    shown = sum("THRIFT" in str(row) for row in pairs.to_dicts())
    assert leaks["dpo"]["rows"] == shown > 0
    assert leaks["personas"]["rows"] == 0
    total = sum(one["rows"] for one in leaks.values())
    assert manifest["gates"][0]["found"] == total
    assert "thrift tea" not in json.dumps(manifest["configs"]).lower()  # the manifest is published
    assert f"- `dpo`: {shown} (axis {shown})" in (tmp_path / "run" / "README.md").read_text()


def test_a_portrait_that_tells_is_found_in_all_that_has_it(tmp_path: Path) -> None:
    manifest, _ = made(pipeline(tmp_path, people={"text": "You are {{ mood }}."}))
    leaks = {one["name"]: one["leaks"]["by"] for one in manifest["configs"]}
    assert leaks["personas"] == {"mood": 6}
    assert leaks["dpo"]["mood"] > 0
    assert leaks["items"] == leaks["preferences"] == {}


def test_short_common_and_numeric_values_are_counted_and_not_searched(tmp_path: Path) -> None:
    people = {"attributes": {"mood": {"ok": 0.3, "other": 0.3, "12.5": 0.4}, "age": {"young": 0.5, "old": 0.5}}}
    manifest, _ = made(pipeline(tmp_path, people=people))
    assert manifest["configs"][0]["leaks"] | {"rows": 0} == {"rows": 0, "by": {}, "searched": 2, "unsearched": 3}


def test_export_of_a_finished_run_hides_as_well(tmp_path: Path) -> None:
    made(pipeline(tmp_path))
    entry = export_run(tmp_path / "run", "margin", tmp_path / "out")
    assert entry["leaks"]["rows"] == 0
    rows = pl.read_parquet(tmp_path / "out" / "*.parquet")
    assert not [name for name in rows.columns if "axis" in name]


@pytest.mark.parametrize(
    ("more", "problem"),
    [
        ({"publish": {"hidden": ["moood"]}}, "hidden.*no table has a column 'moood'"),
        ({"publish": {"hidden": ["prompt"]}}, "'prompt' is a column that exports make"),
        ({"publish": {"hidden": []}, "expect": {"max_leaks": 0}}, "nothing is hidden"),
        ({"expect": {"picks": {"max_leaks": 0}}}, "exports leak, and steps do not"),
    ],
)
def test_what_cannot_be_hidden_is_told(tmp_path: Path, more: dict[str, Any], problem: str) -> None:
    with pytest.raises(SpecError, match=problem):
        prefgen.plan(prefgen.load(pipeline(tmp_path, **more)))


def test_equal_seeds_give_equal_bytes(tmp_path: Path) -> None:
    path = pipeline(tmp_path)
    for name in ("one", "two"):
        prefgen.run(prefgen.load(path), tmp_path / name, report=False)
    for file in sorted((tmp_path / "one" / "data").rglob("*.parquet")):
        assert file.read_bytes() == (tmp_path / "two" / file.relative_to(tmp_path / "one")).read_bytes()
    again = prefgen.load(tmp_path / "one" / "pipeline.yaml")
    assert again.publish.hidden == ["mood", "axis"]


def test_of_two_runs_the_rows_are_added() -> None:
    old = {"leaks": {"rows": 2, "by": {"mood": 2}, "searched": 3, "unsearched": 0}}
    new = {"leaks": {"rows": 1, "by": {"axis": 1}, "searched": 4, "unsearched": 1}}
    both = leaks_of_both(old, new)["leaks"]
    assert both == {"rows": 3, "by": {"mood": 2, "axis": 1}, "searched": 4, "unsearched": 1}
    assert leaks_of_both(old, {}) == old
    assert leaks_of_both({}, {}) == {}
