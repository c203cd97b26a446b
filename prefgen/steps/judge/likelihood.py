"""The readout `likelihood` of a judge step: what is asked for it besides the presentations, and how their answers are read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from prefgen.judging.design import items_asked
from prefgen.judging.likelihood import Score, read_likelihood
from prefgen.judging.questionnaire import Presentation, Questionnaire
from prefgen.records import Reading, Request, Response
from prefgen.spec.models import ModelSpec
from prefgen.steps.judge.asking import to_request

if TYPE_CHECKING:
    from prefgen.steps.judge import Judge

OF_NOBODY = "the page without a persona: "
"""How a failure is told that is not the row's own, but of what it is measured against."""


_NO_ROOM = {
    "orders": "shows no options on the page, so there are no orders to show them in",
    "repeats": "is computed and not drawn: asked again it is the same number",
    "also": "scores the options' own words, and `tie` and `na` have none (an option of the item may say so)",
}
"""Why some keys mean nothing to a likelihood."""


def check_likelihood(spec: Judge) -> None:
    """ValueError for keys that say nothing of a likelihood, or only of one."""
    if spec.readout != "likelihood":
        if spec.likelihood != type(spec).model_fields["likelihood"].default:  # a resolved pipeline says every default
            raise ValueError("`likelihood` belongs to `readout: likelihood`\nfix: write that too, or leave it out")
        return
    for name, without in (("orders", "balanced"), ("repeats", 1), ("also", [])):
        if getattr(spec, name) != without:
            raise ValueError(f"a likelihood {_NO_ROOM[name]}\nfix: leave `{name}` out")


def all_requests(asked: Questionnaire, spec: Judge, model: ModelSpec) -> Iterator[Request]:
    """Every presentation, and for a gain before them the pages of all asked items without a persona."""
    if spec.likelihood == "gain":
        rows = {int(row) for some in items_asked(asked.design, 1, asked.items.height) for row in some}
        for block in asked.blocks():
            for item, order, page in block.pages:
                if item in rows:
                    yield to_request(Presentation(0, item, order, 0, (), page), spec=spec, model=model)
    for one in asked.presentations():
        yield to_request(one, spec=spec, model=model)


def plain_ids(batch: list[Presentation], spec: Judge, model: ModelSpec) -> dict[int, str]:
    """For each item of a batch, which request is its page without a persona."""
    by_item = {one.item: one for one in batch}
    return {
        item: to_request(replace(one, system=()), spec=spec, model=model).request_id for item, one in by_item.items()
    }


def read_all(
    batch: list[Presentation],
    requests: list[Request],
    responses: list[Response],
    *,
    score: Score,
    plain: Mapping[int, Response],
) -> tuple[list[Response], list[Reading]]:
    """Responses as they stand in rows, and what they are read as.

    plain    the responses to the pages without a persona, by item; empty where no gain is wanted
    """
    told = [_as_told(response, score, plain.get(one.item)) for one, response in zip(batch, responses, strict=True)]
    readings = [
        read_likelihood(response, len(request.choices), score, plain.get(one.item))
        for one, request, response in zip(batch, requests, told, strict=True)
    ]
    return told, readings


def _as_told(response: Response, score: Score, plain: Response | None) -> Response:
    if response.failure is None and plain is not None and plain.failure is not None:
        return replace(response, failure=f"{OF_NOBODY}{plain.failure}", method="")
    return replace(response, method=f"{response.method}+{score}") if response.failure is None else response
