"""Exact probabilities of the choices from a server that tells those of tokens by their ids, over real sockets."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import orjson
import pytest

from prefgen.engines.http import OpenAIEngine
from prefgen.engines.store import ResponseStore, StoredFacts
from prefgen.judging.readout import read
from prefgen.records import Request
from tests.dispatch.answering import answer_all
from tests.engines.test_http import Taken, ask, begun, question, spec
from tests.servers.answers import tastes
from tests.servers.running import thread

TELLS = {"personality": "vllm", "tells_tokens": True}


def planted(request: Request) -> dict[str, float]:
    return tastes([{"role": role, "content": content} for role, content in request.messages])


@pytest.mark.parametrize("made", [question, begun])
def test_every_choice_has_the_probability_that_it_has_among_all_tokens(made) -> None:
    requests = [made(n) for n in range(20)]
    with thread({**TELLS, "rest": 0.25}) as server:
        taken = ask(spec(server.base_url, prefill=made is begun), requests)
        assert server.log()["paths"]["/tokenize"] == 4  # A and B, with and without a space, once for all
    for request in requests:
        told = taken[request.request_id]
        p = {name.strip(): math.exp(logprob) for name, logprob in told.alternatives or () if logprob > -20}
        assert p == pytest.approx({choice: 0.75 * share for choice, share in planted(request).items()}, abs=1e-9)
        assert told.text == max(p, key=lambda choice: p[choice])
        assert told.method.startswith("logprobs+token_ids")
        assert (told.raw, told.completion_tokens) == (True, 1)


def test_how_much_of_the_probability_the_choices_hold_is_read() -> None:
    with thread({**TELLS, "rest": 0.4}) as server:
        request = question(0)
        (told,) = ask(spec(server.base_url), [request]).values()
    found = read(told, request.choices, "logprobs")
    assert found.p_read == pytest.approx(0.6)
    assert found.p == pytest.approx([planted(request)[choice] for choice in "AB"])


def options(n: int, k: int) -> Request:
    letters = [chr(65 + at) for at in range(k)]
    page = "\n".join(f"{letter}) thing {letter} {n}" for letter in letters)
    asked = question(n)
    messages = (asked.messages[0], ("user", f"Which one?\n\n{page}\n\nReply with one of {', '.join(letters)}."))
    return replace(asked, messages=messages, choices=tuple(letters))


def test_more_options_than_any_list_of_alternatives_has() -> None:
    with thread(TELLS) as server:
        (told,) = ask(spec(server.base_url), [options(0, 26)]).values()
        assert server.log()["paths"]["/tokenize"] == 52
    likely = {name.strip() for name, _ in told.alternatives or ()}
    assert likely == {chr(65 + at) for at in range(26)}


def methods(script: dict[str, object], requests: Sequence[Request], **changes: object) -> tuple[set[str], list[str]]:
    with thread({**TELLS, **script}) as server:
        taken = ask(spec(server.base_url, **changes), requests)
    return {response.method for response in taken.values()}, taken.meter.notes


@pytest.mark.parametrize(
    ("script", "changes"),
    [
        ({"tells_tokens": False}, {}),  # an older server: no /tokenize
        ({"ignores": ["logprobs"]}, {"logprobs": "auto"}),  # none at all
        ({"rest": 0.995}, {}),  # it would say something else: a thought, say
        ({"refuses": ["return_tokens_as_token_ids"]}, {}),
        ({}, {"constrain": "structured_outputs"}),  # as told
        ({}, {"logprobs": False}),
    ],
)
def test_else_the_answer_is_held_to_the_choices(script: dict[str, object], changes: dict[str, object]) -> None:
    found, _ = methods(script, [question(n) for n in range(5)], **changes)
    assert len(found) == 1
    assert "structured_outputs" in next(iter(found))


@pytest.mark.parametrize("fault", ["close_mid", "reset_before", "500", "invalid_json", "truncated_json", "404", "huge"])
def test_a_server_that_has_no_tokens_may_say_so_in_any_way(fault: str) -> None:
    script = {"rules": [{"match": "add_special_tokens", "fault": fault, "path": "/tokenize"}]}
    found, _ = methods(script, [question(n) for n in range(5)])
    assert found == {"logprobs+structured_outputs"}


@pytest.mark.parametrize("fault", ["503", "429_bare"])
def test_a_server_that_is_busy_is_asked_for_its_tokens_again(fault: str) -> None:
    script = {
        "rules": [{"match": "add_special_tokens", "fault": fault, "path": "/tokenize", "attempts": 1}],
        "retry_after_s": 0.01,
    }
    found, _ = methods(script, [question(n) for n in range(5)])
    assert found == {"logprobs+token_ids"}


def test_why_it_is_held_is_said() -> None:
    _, notes = methods({"rest": 0.995}, [question(0)])
    assert any("the choices have 0.50% of the probability" in note for note in notes)


def test_what_was_found_out_is_remembered(tmp_path: Path) -> None:
    with thread(TELLS) as server, ResponseStore(tmp_path / "r.sqlite") as store:
        for start in (0, 5):
            taken = Taken()
            engine = OpenAIEngine(spec(server.base_url), store.facts)
            answer_all(engine, [question(n) for n in range(start, start + 5)], taken.put, taken.meter)
            assert {one.method for one in taken.values()} == {"logprobs+token_ids"}
        assert server.log()["paths"]["/v1/models"] == 1
        facts: StoredFacts = store.facts
        told = facts.fact(f"features {server.base_url} test-model")
    assert orjson.loads(told or "")["token_ids"] is True


def test_a_storm_changes_no_answer() -> None:
    requests = [question(n) for n in range(60)]
    with thread(TELLS) as server:
        calm = ask(spec(server.base_url), requests)
    with thread({**TELLS, "storms": [{"rate": 0.4}], "retry_after_s": 0.01}) as server:
        stormy = ask(spec(server.base_url, max_attempts=10), requests)
    assert dict(calm) == dict(stormy)


@pytest.mark.parametrize(("readout", "method"), [("text", "text+regex"), ("certainty", "text+regex"), ("reason", "text+json_schema"), ("logprobs", "logprobs")])  # fmt: skip
def test_sglang_holds_by_expressions_and_tells_free_probabilities(readout, method) -> None:
    with thread({"personality": "sglang"}) as server:
        taken = ask(spec(server.base_url), [question(n, readout=readout) for n in range(5)])
    assert {one.method for one in taken.values()} == {method}
    assert {one.text.split()[-1].rstrip(".") for one in taken.values()} <= {"A", "B"} or readout == "certainty"
