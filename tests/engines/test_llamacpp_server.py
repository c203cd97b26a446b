"""The HTTP engine against a real llama.cpp server with real weights, on loopback."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from prefgen.engines.engine import Meter
from prefgen.engines.http import OpenAIEngine
from prefgen.judging.readout import read
from prefgen.records import Readout, Request, Response
from prefgen.spec.models import EmbeddedModel, OpenAIModel
from tests.dispatch.answering import answer_all

pytestmark = pytest.mark.model

ASKS: dict[Readout, str] = {
    "logprobs": "Reply with one of A, B and nothing else.",
    "text": "Reply with one of A, B and nothing else.",
    "certainty": "Say which one you choose and how certain you are, from 1 to 100. Reply in just this form: A 50",
    "reason": "Give your reason in one sentence. Then end with a line of its own: Answer: and one of A, B.",
}


@pytest.fixture(scope="module")
def base_url() -> Iterator[str]:
    xllamacpp = pytest.importorskip("xllamacpp")
    from prefgen.engines.weights import _params, default_weights

    server = xllamacpp.Server(_params(xllamacpp, EmbeddedModel(engine="embedded", threads=2), default_weights()))
    yield f"{server.listening_address}/v1"
    del server


def ask(base_url: str, readout: Readout, *, prefill: bool = False, **changes: object) -> Response:
    page = f"Which one?\n\nA) tea\nB) coffee\n\n{ASKS[readout]}"
    begun = (("assistant", "Answer:"),) if prefill and readout in ("logprobs", "text") else ()
    messages = (("system", "You love coffee."), ("user", page), *begun)
    request = Request("smollm2", None, messages, readout, ("A", "B"), 0.0, 1.0, 60, None, 0)
    model = OpenAIModel.model_validate(
        {"engine": "openai", "model": "smollm2", "base_url": base_url, "prefill": prefill, **changes}
    )
    taken: list[Response] = []
    answer_all(OpenAIEngine(model), [request], lambda _, response: taken.append(response), Meter())
    (response,) = taken
    assert response.failure is None
    return response


@pytest.mark.parametrize(
    ("readout", "method"),
    [
        ("logprobs", "logprobs+grammar"),
        ("text", "text+grammar"),
        ("certainty", "text+grammar"),
        ("reason", "text+json_schema"),
    ],
)
def test_the_server_is_known_and_held_to_the_choices(base_url, readout, method):
    response = ask(base_url, readout)
    assert response.method == method
    reading = read(response, ("A", "B"), readout)
    assert reading.symbol in ("A", "B")
    assert (reading.certainty is not None) == (readout == "certainty")


def test_with_and_without_log_probabilities_the_same_choice_is_made(base_url):
    with_, without = ask(base_url, "logprobs"), ask(base_url, "logprobs", logprobs=False)
    assert without.alternatives is None
    assert {token.strip() for token, _ in with_.alternatives} >= {"A", "B"}
    assert read(with_, ("A", "B"), "logprobs").symbol == read(without, ("A", "B"), "logprobs").symbol


@pytest.mark.parametrize("readout", ["logprobs", "text"])
def test_an_answer_that_was_begun_is_gone_on_from_and_says_so(base_url, readout):
    response = ask(base_url, readout, prefill=True)
    assert response.method == f"{readout}+grammar+prefill"
    assert response.text.strip() in ("A", "B")


@pytest.mark.parametrize("constrain", ["none", "json_schema", "grammar"])
def test_every_way_to_hold_an_answer_works_with_log_probabilities(base_url, constrain):
    prefill = constrain == "none"  # a small model of 135 million parameters begins no answer with a letter by itself
    reading = read(ask(base_url, "logprobs", constrain=constrain, prefill=prefill), ("A", "B"), "logprobs")
    assert reading.status == "ok"
    assert sum(reading.p) == pytest.approx(1)
