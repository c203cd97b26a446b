"""`readout: likelihood`: the page without options, every option's words scored, and no slots."""

from __future__ import annotations

import math

import orjson
import polars as pl
import pytest
from pydantic import ValidationError

from prefgen.errors import SpecError
from prefgen.records import Request, Response
from prefgen.spec.models import BatchModel
from prefgen.steps.context import Context
from prefgen.steps.judge import Judge
from prefgen.store.table import Table
from tests.servers.answers import likelihood
from tests.steps.asking import PEOPLE, Answering, context, summary_of
from tests.steps.test_judge import TABLES, many_items


def spec(**facts: object) -> Judge:
    said = {"judge": "pick", "items": "items", "as": "people", "model": "m", "readout": "likelihood", **facts}
    return Judge.model_validate(said)


def scored(request: Request) -> Response:
    """A judge to whom every word is worth something."""
    messages = [{"role": role, "content": content} for role, content in request.messages]
    told = [likelihood(messages, choice) for choice in request.choices]
    return Response(request.request_id, orjson.dumps(told).decode(), method="likelihood+forced")


def requests_of(here: Context) -> list[Request]:
    assert isinstance(here.ask, Answering)
    return here.ask.asked


def test_every_option_is_scored_and_none_stands_on_the_page() -> None:
    here = context(scored)
    rows = pl.concat(spec().make(TABLES, here))
    assert rows.height == len(requests_of(here)) == 3 * 2
    for request in requests_of(here):
        assert [role for role, _ in request.messages][-1] == "user"
        assert request.readout == "likelihood"
        assert not any(f") {choice}" in content for choice in request.choices for _, content in request.messages)
    assert set(rows["order"]) == {"given"}
    assert rows["slot"].null_count() == rows.height
    assert rows["debiased"].all()
    assert rows["position_bias"].null_count() == rows.height
    assert set(rows["readout"]) == {"likelihood+forced+sum"}
    summary = summary_of(spec(), TABLES, context(scored))
    assert summary["position_bias"]["value"] is None
    assert summary["first_slot"]["value"] is None


@pytest.mark.parametrize("score", ["sum", "mean", "gain"])
def test_p_is_the_softmax_of_what_the_options_score(score: str) -> None:
    here = context(scored)
    rows = pl.concat(spec(likelihood=score).make(TABLES, here))
    items = {row["item_id"]: row for row in TABLES["items"].read().iter_rows(named=True)}
    texts = dict(PEOPLE.select("persona_id", "text").iter_rows())
    for row in rows.iter_rows(named=True):
        item = items[row["item_id"]]
        system = next((r.messages[0] for r in requests_of(here) if texts[row["persona_id"]] in r.messages[0][1]), None)
        odds = []
        for text in item["options"]:
            page = [{"role": "user", "content": item["prompt"]}]
            told = likelihood(
                [{"role": "system", "content": system[1]}, *page] if texts[row["persona_id"]] else page, text
            )
            base = sum(likelihood(page, text)) if score == "gain" else 0.0
            odds.append(math.exp((sum(told) - base) / (len(told) if score == "mean" else 1)))
        assert [row["p"][letter] for letter in "ABC"[: len(odds)]] == pytest.approx([one / sum(odds) for one in odds])
    if score == "gain":
        assert set(rows.filter(persona_id="none")["status"]) == {"tie"}
        assert requests_of(here)[0].messages[0][0] == "user"  # pages of nobody first: they share no persona's prefix


@pytest.mark.parametrize("score", ["sum", "gain"])
@pytest.mark.parametrize("more", [{}, {"per_persona": 2}])
def test_a_plan_says_how_many_are_asked(score: str, more: dict[str, int]) -> None:
    tables = {**TABLES, "items": Table.of("items", [many_items(5, 2)])}
    here = context(scored)
    step = spec(likelihood=score, **more)
    estimate = step.estimate(tables, here)
    rows = pl.concat(step.make(tables, here))
    assert estimate.rows == rows.height
    asked = {request.request_id for request in requests_of(here)}
    assert estimate.asked[0].requests == len(asked) or (
        score == "gain" and more and estimate.asked[0].requests > len(asked)
    )
    assert estimate.empty.schema == rows.schema


def test_a_gain_without_its_other_half_is_a_failed_row_that_says_so() -> None:
    def refusing(request: Request) -> Response:
        return scored(request) if request.messages[0][0] == "system" else Response("", failure="HTTP 400: too rude")

    rows = pl.concat(spec(likelihood="gain").make(TABLES, context(refusing)))
    assert set(rows["status"]) == {"failed"}
    assert set(rows.filter(persona_id="ann")["failure"]) == {"the page without a persona: HTTP 400: too rude"}
    assert set(rows.filter(persona_id="none")["failure"]) == {"HTTP 400: too rude"}


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"also": ["tie"]}, "scores the options' own words"),
        ({"repeats": 2}, "computed and not drawn"),
        ({"orders": ["given", "swapped"]}, "shows no options"),
        ({"orders": {"prior": 0.2}}, "shows no options"),
        ({"readout": "text", "likelihood": "mean"}, "belongs to `readout: likelihood`"),
        ({"likelihood": "product"}, "'sum', 'mean' or 'gain'"),
    ],
)
def test_what_means_nothing_to_a_likelihood_is_refused(facts: dict[str, object], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        spec(**facts)


def test_an_engine_that_tells_none_is_refused_before_anything_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    here = context(scored)
    monkeypatch.setattr(here.ask, "spec", lambda _: BatchModel(engine="batch", model="m"))
    for call in (spec().estimate, lambda *told: list(spec().make(*told))):
        with pytest.raises(SpecError, match="the engine `batch` gives no log-probabilities") as caught:
            call(TABLES, here)
        assert "fix: write `readout: logprobs`" in str(caught.value)
    assert not requests_of(here)
