"""From attributes to the text that a judge is given."""

from __future__ import annotations

from typing import Any

import polars as pl
from jinja2 import TemplateSyntaxError

from prefgen.spec.document import Key
from prefgen.spec.population import Population
from prefgen.spec.template import Blank, blank_of, in_words, names_in


def wordings_of(population: Population) -> tuple[str, ...]:
    """Names of the wordings in which everybody is portrayed; ('',) when there is one."""
    if population.portraits and all(portrait.text is not None for portrait in population.portraits):
        return ("",)
    return tuple(population.wordings)


def with_text(population: Population, people: pl.DataFrame, wording: str) -> pl.DataFrame:
    """`people` with a column `text`: a portrait's own words, else the template of this wording."""
    key: Key = ("text", wording) if wording else ("text",)
    template = population.wordings.get(wording, "")
    if not population.portraits:
        return people.with_columns(_rendered(population, people, key=key, template=template))
    texts = {}
    for index, portrait in enumerate(population.portraits):
        attributes = {**portrait.extras, "portrait": portrait.id}
        if portrait.text is None:
            texts[portrait.id] = _render(population, key, _blank(population, key, template), attributes)
        else:
            at = ("portraits", index, "text")
            texts[portrait.id] = _render(population, at, _blank(population, at, portrait.text), attributes)
    return people.with_columns(pl.col("portrait").replace_strict(texts, return_dtype=pl.String).alias("text"))


def _rendered(population: Population, people: pl.DataFrame, *, key: Key, template: str) -> pl.Series:
    """The text of everyone, rendered once for each combination of the attributes that the template names."""
    blank = _blank(population, key, template)
    wanted = sorted(names_in(template) & set(people.columns))
    if not wanted:
        text = _render(population, key, blank, {})
        return pl.repeat(text, people.height, dtype=pl.String, eager=True).alias("text")
    groups = people.select(wanted).with_row_index("_row").group_by(wanted, maintain_order=True).agg("_row")
    texts = [_render(population, key, blank, row) for row in groups.select(wanted).iter_rows(named=True)]
    rows = groups.select("_row", pl.Series("text", texts, dtype=pl.String)).explode("_row")
    return rows.sort("_row")["text"]


def _render(population: Population, key: Key, blank: Blank, attributes: dict[str, Any]) -> str:
    try:
        text = blank.filled(attributes).strip()
    except Exception as error:  # a template is a stranger's program: whatever it raises is its own fault
        raise population.error(key, f"the template fails: {in_words(error)}", "correct the template") from None
    if not text:
        raise population.error(key, "the template leaves somebody without a text", "write a text for every level")
    return text


def _blank(population: Population, key: Key, template: str) -> Blank:
    try:
        return blank_of(template)
    except TemplateSyntaxError as error:
        raise population.error(key, f"not a template: {error.message}", "write {{ attribute }}") from None
