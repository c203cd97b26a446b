"""The flagship pipeline: as many items as published, every sentence whole, and weights that reach the pairs."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from prefgen.spec.reading import load_pipeline
from prefgen.steps import KINDS, kind
from prefgen.steps.context import Context
from prefgen.store.table import Table

PIPELINE = Path(__file__).parents[2] / "pipelines" / "fair_pp.yaml"


@pytest.fixture(scope="module")
def items() -> pl.DataFrame:
    pipeline = load_pipeline(PIPELINE, kinds=KINDS, spec_of=kind)
    tables: dict[str, Table] = {}
    for name in ("cells", "questions"):
        spec = pipeline.steps[name]
        made = spec.make(tables, Context(name, pipeline.seed, None, pipeline.error))
        tables[name] = Table.of(name, made)
    return tables["questions"].read()


def test_the_questionnaire_has_the_published_size(items):
    sizes = {
        name: items[name].n_unique()
        for name in ("group", "topic", "dimension", "form", "theme", "category", "group_type")
    }
    assert sizes == {"group": 28, "topic": 98, "dimension": 5, "form": 2, "theme": 5, "category": 15, "group_type": 6}
    assert items.height == items["item_id"].n_unique() == 27_440 == 28 * 98 * 5 * 2
    assert items.select("group", "topic", "dimension", "form").n_unique() == items.height


def test_every_sentence_is_whole(items):
    texts = pl.concat([items["prompt"], items["options"].explode()])
    assert not texts.str.contains(r"\{|\}|  |None|\.\.|\?\?").any()
    assert items["prompt"].str.ends_with("?").all()
    assert items["options"].explode().str.ends_with(".").all()
    assert (items["neither"] == 2).all()


def test_no_option_names_its_pole(items):
    named = pl.any_horizontal(
        pl.col("options").list.get(place).str.to_lowercase().str.contains(pl.col(pole).str.to_lowercase(), literal=True)
        & pl.col(pole).is_in(
            [
                "libertarianism",
                "egalitarianism",
                "procedural",
                "distributive",
                "individualism",
                "collectivism",
                "social norm",
            ]
        )
        for place, pole in ((0, "pole_a"), (1, "pole_b"))
    )
    assert not items.select(named.any()).item()


def test_the_two_poles_are_about_as_long(items):
    """A judge that likes length must not thereby like a pole: each is the longer one in a fair share of wordings."""
    lengths = items.unique(["dimension", "theme", "form", "category"]).select(
        "dimension",
        first=pl.col("options").list.get(0).str.len_chars(),
        second=pl.col("options").list.get(1).str.len_chars(),
    )
    ratio = lengths.select((pl.col("first") / pl.col("second")).log().mean().exp()).item()
    assert 0.9 <= ratio <= 1.1
    worst = lengths.select(
        pl.max_horizontal(pl.col("first") / pl.col("second"), pl.col("second") / pl.col("first")).max()
    ).item()
    assert worst < 2.0
