from __future__ import annotations

import orjson
import polars as pl

from prefgen.analysis.findings import find, write_findings
from prefgen.store.files import write_json
from prefgen.store.finished import finished
from prefgen.store.folder import RunFolder
from tests.analysis.planted import plant, plant_run


def test_the_same_run_has_the_same_findings_whatever_the_size_of_its_parts(tmp_path):
    planted = plant()
    run = RunFolder(plant_run(tmp_path / "a", planted))
    first = find(run, draws=20)
    kept = run.table("kept").read()
    run.tables.write("kept", kept.iter_slices(100), fingerprint="k", account=lambda table: {})
    assert orjson.dumps(find(run, draws=20)) == orjson.dumps(first)


def test_findings_are_plain_json_of_this_run(tmp_path):
    run = RunFolder(plant_run(tmp_path / "a", plant()))
    found = orjson.loads(write_findings(run, draws=20).read_bytes())
    assert (found["format"], found["fingerprint"]) == (1, "planted")
    assert found["matrix"]["main"] == {
        "dimension": "dimension",
        "group": "group",
        "group_type": "group_type",
        "category": "theme",
        "form": "form",
    }
    assert found["kept"]["preferences"] < found["kept"]["of"]
    assert b"NaN" not in orjson.dumps(found)


def test_the_last_table_of_each_grain_is_read(tmp_path):
    run = RunFolder(plant_run(tmp_path / "a", plant()))
    sources = finished(run, run.read_manifest())
    assert (sources.judgments.name, sources.items.name, sources.personas.name) == ("kept", "items", "personas")


def test_a_run_without_judgments_has_nothing_to_find(tmp_path):
    run = RunFolder(plant_run(tmp_path / "a", plant()))
    manifest = run.read_manifest()
    write_json(run.manifest_path, manifest | {"steps": manifest["steps"][:2]})
    assert find(run)["matrix"] is None


def test_a_judge_who_never_answers_leaves_nothing_unsaid_but_crashes_nothing(tmp_path):
    planted = plant()
    none = pl.lit(None)
    letters = planted.judgments.schema["p"]
    silent = planted.judgments.with_columns(
        none.cast(pl.String).alias("choice"),
        none.cast(pl.String).alias("slot"),
        none.cast(pl.String).alias("item_choice"),
        none.cast(pl.Float64).alias("position_bias"),
        none.cast(letters).alias("p"),
        *(none.cast(pl.Float64).alias(f"p_{letter}") for letter in "ABC"),
        pl.lit("failed").alias("status"),
        pl.lit("failed").alias("reject_reason"),
        pl.lit("HTTP 500").alias("failure"),
    )
    run = RunFolder(plant_run(tmp_path / "a", type(planted)(planted.truth, planted.personas, planted.items, silent)))
    found = orjson.loads(write_findings(run, draws=10).read_bytes())
    assert found["agreement"]["alpha"]["value"] is None
    assert found["position_bias"]["position_bias"]["n"] == 0
    assert found["map"] is None
    from prefgen.publish.report import write_report
    from prefgen.publish.show import summary_of

    page = write_report(run).page.read_text()
    assert "100 % of judgments chose no option" in page
    assert summary_of(run.path)["headlines"][0]["weight"] == "grave"
