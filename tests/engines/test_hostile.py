"""Servers that want too much: every reply ends in bounded time and memory, and what is stored can always be read again."""

from __future__ import annotations

import itertools
import json
import time
import tracemalloc
from collections.abc import Callable, Iterator

import pytest

from prefgen.dispatch.refusals import EarlyRefusals
from prefgen.engines import retry
from prefgen.engines.batch_provider import _without_key
from prefgen.engines.endpoints import Patience
from prefgen.engines.engine import Meter
from prefgen.engines.http import OpenAIEngine
from prefgen.engines.store import ResponseStore
from prefgen.errors import EngineError, NotFinished
from prefgen.records import Request, Response
from prefgen.screen.watch import Rate
from prefgen.spec.models import OpenAIModel
from tests.dispatch.answering import answer_all
from tests.servers.raw import Raw, Says, http, raw_server


@pytest.fixture(autouse=True)
def impatient(monkeypatch) -> None:
    monkeypatch.setattr(retry, "_FIRST_WAIT_S", 0.02)


def question(n: int) -> Request:
    return Request("m", None, (("system", "You are old."), ("user", f"{n}: A) tea\nB) coffee")), "logprobs", ("A", "B"))


def chat(text: str | None = "A", *, usage: object = None, finish: str = "stop", **message: object) -> bytes:
    top = [{"token": "A", "logprob": -0.1}, {"token": "B", "logprob": -2.5}]
    choice = {"message": {"content": text, **message}, "finish_reason": finish}
    choice["logprobs"] = {"content": [{"token": "A", "logprob": -0.1, "top_logprobs": top}]} if text else None
    return http("200 OK", json.dumps({"choices": [choice], "usage": usage}).encode())


class Asked:
    def __init__(self, server: Raw, n: int, *, patience: Patience | None = None, **changes: object) -> None:
        self.meter = Meter()
        self.put: dict[str, Response] = {}
        model = {
            "engine": "openai",
            "model": "m",
            "base_url": server.base_url,
            "concurrency": 1,
            "max_attempts": 1,
            "timeout_s": 5,
        }
        self.engine = OpenAIEngine(
            OpenAIModel.model_validate(model | changes), patience=patience or Patience(start_s=0.3, run_s=1.0)
        )
        self.requests = [question(number) for number in range(n)]

    def go(self) -> list[Response]:
        answer_all(
            self.engine, self.requests, lambda one, response: self.put.setdefault(one.request_id, response), self.meter
        )
        return [self.put[request.request_id] for request in self.requests]


def answered(says: Says, n: int = 3, **changes: object) -> tuple[list[Response], Meter, Raw]:
    with raw_server(says) as server:
        asked = Asked(server, n, **changes)
        return asked.go(), asked.meter, server


def test_an_endless_body_is_given_up_and_not_held():
    def endless(_number: int, _head: bytes, _body: bytes) -> Iterator[bytes]:
        yield b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n"
        yield from itertools.repeat(b" " * 65536)

    tracemalloc.start()
    began = time.monotonic()
    (response,), _, _ = answered(endless, 1)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert response.failure == "the reply is longer than any answer"
    assert not response.final  # nothing was answered at all
    assert most < 60e6
    assert time.monotonic() - began < 10


@pytest.mark.parametrize("status", ["200 OK", "400 Oh", "500 Oh"])
def test_an_error_of_ten_megabytes_is_300_characters(status):
    page = json.dumps({"error": {"message": "not supported " * 800_000, "code": 500}}).encode()
    began = time.monotonic()
    responses, _, _ = answered(lambda *_: http(status, page), 2)
    assert all(len(response.failure) <= 320 for response in responses)
    assert time.monotonic() - began < 10


@pytest.mark.parametrize(
    "headers", [["Retry-After: 7200"], ["Retry-After: Fri, 31 Dec 2100 23:59:59 GMT"], ["retry-after-ms: 9000000"]]
)
@pytest.mark.parametrize("status", ["429 Slow", "503 Full"])
def test_a_server_that_wants_hours_stops_the_run_which_can_go_on_later(status, headers):
    if status.startswith("503") and "ms" in headers[0]:
        headers = ["Retry-After: 90000"]
    with (
        raw_server(lambda *_: http(status, b"{}", *headers)) as server,
        pytest.raises(NotFinished, match="s of patience") as stop,
    ):
        Asked(server, 2, max_attempts=6).go()
    assert stop.value.exit_code == 75


def test_a_server_that_says_429_for_ever_stops_the_run_which_can_go_on_later():
    with (
        raw_server(lambda *_: http("429 Slow", b"{}")) as server,
        pytest.raises(NotFinished, match="nothing but HTTP 429"),
    ):
        Asked(server, 2, max_attempts=50, patience=Patience(throttled_s=0.5)).go()


def every_third(drops: Callable[[], bytes]) -> Says:
    """Answers two requests and drops the third."""
    return lambda number, *_: drops() if number % 3 == 2 else chat()


def hang() -> bytes:
    time.sleep(60)
    return b""


def test_a_server_that_lets_every_third_request_hang_stops_the_run_which_can_go_on_later():
    with raw_server(every_third(hang)) as server:
        asked = Asked(server, 500, max_attempts=50, timeout_s=0.2, patience=Patience(throttled_s=1.5))
        with pytest.raises(NotFinished, match=r"for \d s \d+ of \d+ requests brought nothing") as stop:
            asked.go()
    assert stop.value.exit_code == 75
    assert "no answer within 0.2 s" in str(stop.value)
    assert "`timeout_s`" in str(stop.value)
    answers = [one for one in asked.put.values() if one.failure is None]
    assert answers
    assert len(answers) == len(asked.put), "what was answered is kept, and nothing counts as failed"
    assert asked.meter.retried_for == "no answer within 0.2 s"
    assert "asked again, most for: no answer within 0.2 s" in Rate().line(asked.meter)


def test_a_server_that_drops_every_third_request_at_once_costs_little_and_is_borne():
    with raw_server(every_third(lambda: b"")) as server:
        asked = Asked(server, 300, max_attempts=50, patience=Patience(throttled_s=1.5))
        assert all(one.failure is None for one in asked.go())
    assert asked.meter.retries >= 100
    assert asked.meter.retried_for == "the connection broke: the server hung up"


def test_what_is_waited_for_is_said_while_it_is_waited_for(monkeypatch):
    said: list[str] = []
    monkeypatch.setattr("prefgen.engines.http._LONG_S", 0.1)
    with raw_server(lambda number, *_: chat() if number else http("429 Slow", b"{}", "Retry-After: 0.3")) as server:
        asked = Asked(server, 1, max_attempts=6)
        wait_s = retry.Policy.wait_s

        def watched(policy: retry.Policy, tries: retry.Attempts, trouble: retry.PassingError) -> float:
            said.append(asked.meter.waiting)
            return wait_s(policy, tries, trouble)

        monkeypatch.setattr(retry.Policy, "wait_s", watched)
        (response,) = asked.go()
    assert response.text == "A"
    assert said == [f"{server.base_url} asks for 0 s of patience (HTTP 429: no reason given)"]
    assert asked.meter.waiting == ""
    assert any("waited as it asked" in note for note in asked.meter.notes)


@pytest.mark.parametrize(
    "usage",
    [
        {"prompt_tokens": 2**70},
        {"completion_tokens": -(2**63)},
        {"prompt_tokens": 1e300},
        {"prompt_tokens": None},
        "none",
        [1],
    ],
)
def test_a_poisoned_reply_harms_neither_this_run_nor_a_later_one(tmp_path, usage):
    responses, _, _ = answered(lambda *_: chat(usage=usage), 2)
    with ResponseStore(tmp_path / "responses.sqlite") as store:
        for response in responses:
            store.put(response)
    with ResponseStore(tmp_path / "responses.sqlite") as store:
        assert store.read([response.request_id for response in responses]) == responses


def refused(
    n: int, *, answer_at: int | None = None, words: str = "Invalid model name passed in model=m"
) -> tuple[list[bool], int]:
    """Which of n responses are final failures, where a proxy refuses all but one with 400."""
    page = json.dumps({"error": {"message": words, "code": "400"}}).encode()
    responses, _, server = answered(lambda number, *_: chat() if number == answer_at else http("400 Oh", page), n)
    return [response.failure is not None and response.final for response in responses], len(server.bodies)


@pytest.mark.parametrize("n", [1, 8, 49])
def test_where_nothing_was_answered_nothing_is_final(n):
    assert refused(n) == ([False] * n, n)


def test_once_something_was_answered_what_was_refused_is_final():
    assert refused(9, answer_at=4)[0] == [True] * 4 + [False] + [True] * 4


def test_fifty_different_refusals_do_not_stop_a_run_and_are_not_final():
    put: list[Response] = []
    early = EarlyRefusals(put.append)
    for number in range(50):
        early.add(Response(f"r{number}", failure=f"no {'x' * number}"))
    assert [response.final for response in put] == [False] * 50
    early.answered()
    early.add(Response("r99", failure="no"))
    assert put[-1].final


def test_a_system_role_that_is_not_taken_stops_the_run_and_names_the_key():
    for words in ("System role not supported", "Conversation roles must alternate user/assistant/user/assistant/..."):
        page = json.dumps({"object": "error", "message": words, "code": 400}).encode()
        with raw_server(lambda *_, page=page: http("400 Oh", page)) as server, pytest.raises(EngineError) as stop:
            Asked(server, 3).go()
        assert stop.value.fix == "write `system_role: false`"


def test_errors_inside_answers_stop_the_run_or_are_asked_again_as_their_status_would():
    def failing(code: int) -> Says:
        page = json.dumps({"error": {"code": code, "message": "no"}}).encode()
        return lambda number, *_: http("200 OK", page) if number < 2 else chat()

    for code, words in ((401, "HTTP 401: no"), (402, "HTTP 402: no")):
        with raw_server(failing(code)) as server, pytest.raises(EngineError, match=words):
            Asked(server, 3).go()
    for code in (429, 500, 529):
        responses, meter, server = answered(failing(code), 3, max_attempts=4)
        assert [response.text for response in responses] == ["A"] * 3
        assert (meter.retries, len(server.bodies)) == (2, 5)


@pytest.mark.parametrize(
    ("inside", "told"),
    [
        ({"error": {"message": "upstream lost"}}, "HTTP 200 with an error inside: upstream lost"),
        (
            {"error": {"code": 500, "message": "upstream lost"}},
            "HTTP 200 with an error inside: HTTP 500: upstream lost",
        ),
        ({"error": {"code": 400, "message": "no such cup"}}, "HTTP 200 with an error inside: HTTP 400: no such cup"),
        (
            {"choices": [{"finish_reason": "abort", "message": {"content": "A"}}]},
            "HTTP 200 with an error inside: finish reason 'abort'",
        ),
    ],
)
def test_an_error_inside_an_answer_is_told_as_what_came_and_not_as_a_status_that_nobody_said(inside, told):
    page = json.dumps(inside).encode()
    responses, _, _ = answered(lambda number, *_: chat() if number == 0 else http("200 OK", page), 2, max_attempts=1)
    assert [response.failure for response in responses if response.failure is not None] == [told]


def test_an_error_inside_that_stops_a_run_is_told_so_too():
    page = json.dumps({"error": {"code": "insufficient_quota", "message": "no money"}}).encode()
    with pytest.raises(
        EngineError, match="HTTP 200 with an error inside: no money\\n  fix: see to the account's credit"
    ):
        answered(lambda *_: http("200 OK", page), 2)


def test_a_prompt_that_a_filter_refused_is_a_refusal():
    page = json.dumps({"error": {"message": "The response was filtered", "code": "content_filter"}}).encode()
    responses, _, _ = answered(lambda number, *_: chat() if number else http("400 Oh", page), 3)
    assert [response.finish for response in responses] == ["content_filter", "stop", "stop"]
    assert not any(response.failure for response in responses)


def test_answers_that_prove_nothing_do_not_pass_for_proof_of_log_probabilities():
    thought = chat(None, finish="length", reasoning_content="Let me think")
    responses, meter, server = answered(lambda number, *_: thought if number < 2 else chat(), 4)
    assert [response.method for response in responses] == ["text", "text", "logprobs", "logprobs"]
    assert len(server.bodies) == 4
    assert [note for note in meter.notes if "by logprobs" in note]


def test_numbers_that_say_nothing_are_said_and_the_answer_is_read_from_its_text():
    top = [{"token": "A", "logprob": 0.0}, {"token": "B", "logprob": -9999.0}]
    choice = {
        "message": {"content": "A"},
        "finish_reason": "stop",
        "logprobs": {"content": [{"token": "A", "logprob": 0.0, "top_logprobs": top}]},
    }
    page = json.dumps({"choices": [choice]}).encode()
    responses, meter, server = answered(lambda *_: http("200 OK", page), 6)
    assert {(response.text, response.method, response.alternatives) for response in responses} == {("A", "text", None)}
    assert any("log-probabilities of one token only" in note for note in meter.notes)
    assert len(server.bodies) == 3 * 2 + 3, "after three such answers nobody asks for them any more"


@pytest.mark.parametrize("size", [1, 3, 7, 1000])
def test_a_key_that_is_cut_in_two_is_masked_too(size):
    key = "sk-secret-key"
    whole = b"begin " + key.encode() + b" middle " + key.encode() * 2 + b"end sk-secret"
    pieces = (whole[at : at + size] for at in range(0, len(whole), size))
    assert b"".join(_without_key(pieces, key)) == whole.replace(key.encode(), b"***")
    assert b"".join(_without_key(iter([whole]), None)) == whole
