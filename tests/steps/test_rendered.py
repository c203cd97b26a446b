"""Columns from templates: rows that agree in what a template names are filled once, and nobody can tell."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefgen.errors import SpecError
from prefgen.judging.prompts import Blank, sandbox
from prefgen.steps.table.rendering import rendered
from tests.steps.asking import context

ROWS = st.lists(
    st.tuples(st.sampled_from(["x", "y", ""]), st.integers(-1, 1), st.sampled_from([0.0, -0.0, 1.5]), st.booleans()),
    min_size=1,
    max_size=12,
)
TEMPLATES = [
    "said",
    " {{ 1 + 1 }} ",
    "{{ a }}{{ n }}",
    "{{ f }}",
    "{{ l | join('-') }} {{ a }}",
    "{% if t %}{{ a }}{% endif %}",
]


@given(ROWS, st.sampled_from(TEMPLATES))
def test_a_column_is_each_row_filled_by_itself(rows, template):
    frame = pl.DataFrame(
        [(a, n, f, t, [a, "z"]) for a, n, f, t in rows],
        schema={"a": pl.String, "n": pl.Int64, "f": pl.Float64, "t": pl.Boolean, "l": pl.List(pl.String)},
        orient="row",
    )
    blank = Blank(sandbox().from_string(template))
    alone = [blank.filled(row).strip() for row in frame.iter_rows(named=True)]
    assert rendered(frame, template, "set", context()).to_list() == alone


@pytest.mark.parametrize(
    ("template", "sentence"),
    [("{{ b }}", "'b' is undefined\n  fix: use the columns a"), ("{{ a", "not a template"), ("{{ 1 / 0 }}", "Zero")],
)
def test_a_template_that_cannot_be_filled_is_a_complaint(template, sentence):
    with pytest.raises(SpecError, match=sentence):
        rendered(pl.DataFrame({"a": ["x"]}), template, "set", context())
