"""Writes docs/recipes.md: the gallery from the comments of its recipes, and which export each reader of such data takes.

python -m prefgen.cli.recipes_page > docs/recipes.md
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator

from prefgen.cli.recipes import FOLDER, Recipe, gallery
from prefgen.publish.exports.presets import PRESETS

_HEAD = """# Recipes

Made by `make docs` from the comment at the top of each recipe. Published ways of making preference data as pipelines: `prefgen recipes` lists them,
`prefgen new ID DIR` copies one with its inputs. All inputs are invented, small, and under the licence of this repository.

A recipe with a model runs with the embedded one as it stands, but where it says otherwise, and with another by two settings for each model:

    prefgen run pipelines/recipes/s081_rubric_and_score.yaml --limit 1
    prefgen run pipelines/recipes/s081_rubric_and_score.yaml \\
        --set models.writer.engine=openai --set models.writer.model=NAME \\
        --set models.judge.engine=openai --set models.judge.model=NAME

The embedded model shows the machinery only: it takes the first slot whatever stands there, so the filters for order leave nothing. What came out of
recipes with a model is what they give against a server with planted preferences, which come back (`tests/language/test_recipes_asked.py`,
`test_recipes_more.py`, `test_recipes_talked.py`, `test_recipes_told.py`); of those without, what they give as they stand.
"""
_OUTSIDE = """## What cannot be made here

prefgen asks models and computes with what they say and what rows bring. It trains no model for a step.

- **S057**, sparse features of the differences between preferred and other texts: a sparse autoencoder over vectors. Nearest: S093 names reasons
  pair by pair and counts what they cover; S100 has texts scored on a list of qualities and fits what each weighs in people's choices; vectors of both
  sides (`write: {at: vector}`) and `analyse: components` show in which directions what was chosen lies. Features made elsewhere ride along as columns.
- **S076**, which pairs to send to people, by reward models trained on mixtures of their labels and a model's. Nearest: S104 holds a model's
  choices against people's (`judge: pick, given:`) and shows how often it is right, from the surest on; S068 marks what is a matter of taste.
  `keep` by `p_choice` or a mark then parts what the model may label from what people should. To train on the mixtures and fit their gain is left to you.
"""
_PARTS = ("Needs", "Adds", "Came out")


def page() -> str:
    """The whole page, as Markdown."""
    found = list(gallery())
    return (
        "\n".join([_HEAD, *_summary(found), *(line for one in found for line in _told(one)), _OUTSIDE, *_consumers()])
        + "\n"
    )


def _summary(found: list[Recipe]) -> Iterator[str]:
    yield from ("| id | recipe | a model | exports |", "|---|---|---|---|")
    for one in found:
        presets = ", ".join(f"`{name}`" for name in _exports(one))
        yield f"| {one.id} | [{one.name.replace('_', ' ')}](#{one.id.lower()}) | {'yes' if one.model else 'no'} | {presets} |"
    yield ""


def _exports(one: Recipe) -> list[str]:
    text = (FOLDER / one.file).read_text("utf-8").partition("\n  exports:")[2]
    return [
        name for name in PRESETS if re.search(rf"(?<!\w){name}(?!\w)(?=[:,\]}}\n]|$)", text.partition("\n  license")[0])
    ]


def _told(one: Recipe) -> Iterator[str]:
    yield from (f"## {one.id}", "", f"`{one.file}`: {one.makes}", "")
    text = " ".join(one.text.split())
    for part in _PARTS:
        said = re.search(rf"{part}: (.*?)(?= (?:{'|'.join((*_PARTS, 'Input'))}): |$)", text)
        if said is not None:
            yield f"- **{part}**: {said.group(1)}"
    yield ""


def _consumers() -> Iterator[str]:
    yield from (
        "## Who reads what",
        "",
        "Published models that are trained or tested on such data, and the export that each reads; names of columns are examples.",
        "",
        "| id | reader | export | how |",
        "|---|---|---|---|",
    )
    for one in consumers():
        (preset, options), *_ = one["export"].items()
        said = f"{preset}: {json.dumps(options)}" if options else preset
        yield f"| {one['id']} | {one['reader']} | `{re.sub(chr(34), '', said)}` | {one['how']} |"


def consumers() -> list[dict[str, dict[str, dict[str, str]]]]:
    """id, reader, export (preset and options) and how of every reader."""
    return [json.loads(line) for line in (FOLDER / "consumers.jsonl").read_text("utf-8").splitlines()]


if __name__ == "__main__":
    sys.stdout.write(page())
