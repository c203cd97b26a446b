"""The HTTP engine against a server that misbehaves, over real sockets."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from prefgen.engines import pilot, retry
from prefgen.engines.addresses import proxy_of
from prefgen.engines.endpoints import Patience
from prefgen.engines.engine import Meter
from prefgen.engines.http import OpenAIEngine
from prefgen.engines.store import ResponseStore, StoredFacts
from prefgen.errors import EngineError
from prefgen.records import Readout, Request, Response
from prefgen.spec.models import OpenAIModel
from tests.dispatch.answering import answer_all
from tests.servers.running import serve, thread
from tests.servers.script import ANSWERS, PASSING

QUICK = Patience(start_s=0.3, run_s=1.0)


def question(n: int, *, readout: Readout = "logprobs", word: str = "tea") -> Request:
    page = f"Which one, at {n} o'clock?\n\nA) {word}\nB) coffee\n\nReply with one of A, B and nothing else."
    messages = (("system", f"You are person {n // 10}."), ("user", page))
    return Request("test-model", None, messages, readout, ("A", "B"), 0.0, 1.0, 16, None, 0)


class Taken(dict[str, Response]):
    """What was put, by request id; a request put twice fails the test."""

    def __init__(self) -> None:
        super().__init__()
        self.meter = Meter()

    def put(self, request: Request, response: Response) -> None:
        assert response.request_id == request.request_id
        assert response.request_id not in self, "put twice"
        self[response.request_id] = response

    def failures(self) -> list[str]:
        return [response.failure for response in self.values() if response.failure is not None]


def spec(base_url: str | list[str], **changes: object) -> OpenAIModel:
    return OpenAIModel.model_validate(
        {"engine": "openai", "model": "test-model", "base_url": base_url, "timeout_s": 20, **changes}
    )


def ask(
    model: OpenAIModel, requests: list[Request], *, facts: StoredFacts | None = None, taken: Taken | None = None
) -> Taken:
    taken = Taken() if taken is None else taken
    answer_all(OpenAIEngine(model, facts, patience=QUICK), requests, taken.put, taken.meter)
    assert taken.meter.in_flight == 0
    return taken


@pytest.fixture(autouse=True)
def impatient(monkeypatch) -> None:
    """Between two tries no half second passes; how long it should be is the matter of test_retry."""
    monkeypatch.setattr(retry, "_FIRST_WAIT_S", 0.02)


@pytest.fixture(scope="module")
def calm() -> Iterator[dict[str, Response]]:
    """What 400 questions are answered on a good day."""
    with thread({}) as server:
        yield ask(spec(server.base_url), [question(n) for n in range(400)])


def test_every_request_is_answered_once(calm):
    assert len(calm) == 400
    assert not calm.failures()
    assert {response.method for response in calm.values()} == {"logprobs+grammar"}
    assert all(response.prompt_tokens and response.completion_tokens == 1 for response in calm.values())


def test_a_storm_of_passing_faults_changes_no_answer(calm):
    storm = {"rate": 0.2, "kinds": [kind for kind in PASSING if kind != "429_date"], "calm_after": 4, "seed": 3}
    with thread({"storms": [storm], "retry_after_s": 0.05, "drip_s": 0.05}) as server:
        stormy = ask(spec(server.base_url, max_attempts=12), [question(n) for n in range(400)])
        log = server.log()
    assert stormy == calm
    assert stormy.meter.retries > 40
    assert stormy.meter.throttled > 5
    assert log["twice"] <= log["faults"].get("lost", 0)


@pytest.mark.parametrize("fault", ANSWERS)
def test_an_answer_that_is_no_choice_is_a_row_and_not_asked_again(fault):
    with thread({"rules": [{"match": "beer", "fault": fault}], "huge_bytes": 3_000_000}) as server:
        taken = ask(spec(server.base_url), [question(0), question(1, word="beer"), question(2)])
        assert server.log()["most_attempts"] <= 2  # `huge` and `null` come without log-probabilities: asked as text
    odd = taken[question(1, word="beer").request_id]
    assert odd.failure is None
    assert {"content_filter": "content_filter", "refusal": "refusal"}.get(fault, odd.finish) == odd.finish
    assert len(taken) == 3


def test_an_answer_too_long_for_any_question_is_not_held_in_memory():
    with thread({"rules": [{"match": "beer", "fault": "huge"}], "huge_bytes": 20_000_000}) as server:
        taken = ask(spec(server.base_url), [question(0), question(1, word="beer")])
    odd = taken[question(1, word="beer").request_id]
    assert odd.failure == "the reply is longer than any answer"
    assert odd.final


@pytest.mark.parametrize("place", [0, 100, 255])
def test_one_prompt_always_refused_is_one_failed_row_with_the_servers_words(place):
    questions = [question(n, word="beer" if n == place else "tea") for n in range(256)]
    with thread({"rules": [{"match": "beer", "fault": "400"}]}) as server:
        taken = ask(spec(server.base_url), questions)
        assert server.log()["requests"] == 256
    assert len(taken) == 256
    assert taken.failures() == [
        "HTTP 400: Invalid prompt: your prompt was flagged as potentially violating our usage policy."
    ]
    assert taken[questions[place].request_id].final


def test_a_setting_refused_for_every_prompt_stops_the_run_and_spoils_no_row():
    with thread({"rules": [{"match": "model", "fault": "400"}]}) as server:
        taken = Taken()
        with pytest.raises(EngineError, match="all of the first 50 requests were refused: HTTP 400: Invalid prompt"):
            ask(spec(server.base_url), [question(n) for n in range(300)], taken=taken)
        assert server.log()["requests"] <= 52
    assert not any(response.final for response in taken.values())


def test_a_row_that_keeps_failing_becomes_a_row_that_may_be_asked_again():
    with thread({"rules": [{"match": "beer", "fault": "500"}]}) as server:
        taken = ask(
            spec(server.base_url, max_attempts=2), [question(n, word="beer" if n == 3 else "tea") for n in range(9)]
        )
        assert server.log()["requests"] == 10
    odd = taken[question(3, word="beer").request_id]
    assert odd.failure == "HTTP 500: The server had an error while processing your request."
    assert not odd.final


def test_a_wrong_key_stops_at_once_and_names_the_variable(monkeypatch):
    monkeypatch.setenv("MY_KEY", "sk-wrong-key-wrong")
    with (
        thread({"key": "sk-right"}) as server,
        pytest.raises(EngineError, match="HTTP 401") as caught,
    ):
        ask(spec(server.base_url, api_key_env="MY_KEY"), [question(n) for n in range(99)])
    assert "MY_KEY" in caught.value.fix
    assert "sk-wrong" not in str(caught.value)


def test_the_key_comes_from_the_variable_that_was_named(monkeypatch):
    monkeypatch.setenv("MY_KEY", "sk-right\n")
    with thread({"key": "sk-right"}) as server:
        assert not ask(spec(server.base_url, api_key_env="MY_KEY"), [question(0)]).failures()


def test_a_hosted_endpoint_without_a_key_is_not_even_called(monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    model = OpenAIModel(engine="openai", model="m")
    with pytest.raises(EngineError, match="OPENAI_API_KEY is not set"):
        ask(model, [question(0)])


def test_the_address_of_the_environment_is_honoured(monkeypatch):
    with thread({}) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.base_url + "/")
        assert len(ask(OpenAIModel(engine="openai", model="test-model"), [question(0)])) == 1


@pytest.mark.parametrize(
    "url", ["ftp://host/v1", "127.0.0.1:8000", "http://", "http://127.0.0.1:99999/v1", "http://me:pass@host/v1"]
)
def test_what_is_no_address_is_said_to_be_none(monkeypatch, url):
    monkeypatch.setenv("OPENAI_BASE_URL", url)
    with pytest.raises(EngineError, match="base_url") as caught:
        ask(OpenAIModel(engine="openai", model="m"), [question(0)])
    assert "pass@" not in caught.value.problem


def test_an_unknown_model_stops_at_once_and_lists_those_there_are():
    with thread({"models": ["llama", "qwen"]}) as server, pytest.raises(EngineError, match="HTTP 404") as caught:
        ask(spec(server.base_url), [question(n) for n in range(99)])
    assert "'llama', 'qwen'" in caught.value.fix


@pytest.mark.parametrize("status", ["301", "307", "308"])
def test_a_redirect_is_a_failed_row_and_the_key_goes_nowhere(monkeypatch, status):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret-secret")
    with thread({"rules": [{"match": "beer", "fault": f"redirect_{status}"}]}) as server:
        taken = ask(spec(server.base_url), [question(0), question(1, word="beer")])
        assert server.log()["strays"] == []
    (failure,) = taken.failures()
    assert f"HTTP {status}" in failure


def test_nobody_there_is_said_within_seconds():
    with thread({}) as server:
        gone = server.base_url
    began = time.monotonic()
    with pytest.raises(EngineError, match="nobody can be reached"):
        ask(spec(gone), [question(n) for n in range(99)])
    assert time.monotonic() - began < 30  # no benchmark: it must not take the retries of 99 requests


def test_an_endpoint_that_dies_stops_the_run_and_what_was_answered_is_kept():
    taken = Taken()
    with (
        thread({"die_after": 60}) as server,
        pytest.raises(EngineError, match="run the same command again"),
    ):
        ask(spec(server.base_url, concurrency=8), [question(n) for n in range(200)], taken=taken)
    assert 40 <= len(taken) <= 60
    assert not taken.failures()


def test_a_request_that_hangs_is_given_up_and_asked_again():
    with thread({"rules": [{"match": "beer", "fault": "hang", "attempts": 1}]}) as server:
        taken = ask(
            spec(server.base_url, timeout_s=0.3), [question(n, word="beer" if n == 2 else "tea") for n in range(20)]
        )
    assert len(taken) == 20
    assert not taken.failures()
    assert taken.meter.retries == 1


def test_a_first_request_that_hangs_holds_nobody_up(monkeypatch):
    monkeypatch.setattr(pilot, "_PILOT_S", 0.2)
    with thread({"rules": [{"match": "beer", "fault": "hang", "attempts": 1}]}) as server:
        taken = Taken()
        done: list[int] = []

        def put(request: Request, response: Response) -> None:
            taken.put(request, response)
            done.append(int("beer" in request.messages[1][1]))

        questions = [question(n, word="beer" if n == 0 else "tea") for n in range(20)]
        answer_all(OpenAIEngine(spec(server.base_url, timeout_s=1.5)), questions, put, taken.meter)
    assert done == [0] * 19 + [1]


def test_a_proxy_of_the_environment_is_not_asked_about_this_machine(monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert proxy_of("http://127.0.0.1:8000/v1") is None
    assert proxy_of("http://models.example.org/v1") == "http://127.0.0.1:1"
    with thread({}) as server:
        assert not ask(spec(server.base_url), [question(0)]).failures()


def test_of_two_endpoints_the_dead_one_costs_nothing_but_tries(calm):
    with thread({}) as gone:
        pass
    with thread({}) as server, thread({"die_after": 30}) as dying:
        urls = [gone.base_url, dying.base_url, server.base_url]
        taken = ask(spec(urls, concurrency=8), [question(n) for n in range(400)])
        assert server.log()["answered"] >= 300
    assert taken == calm


def test_several_endpoints_share_the_load():
    with thread({"latency_s": 0.01}) as one, thread({"latency_s": 0.01}) as two:
        ask(spec([one.base_url, two.base_url], concurrency=4), [question(n) for n in range(200)])
        shares = [one.log()["requests"], two.log()["requests"]]
    assert min(shares) >= 60


def test_no_more_are_in_flight_than_the_user_set():
    with thread({"latency_s": 0.02}) as server:
        ask(spec(server.base_url, concurrency=5), [question(n) for n in range(60)])
        assert server.log()["most_in_flight"] == 5


def test_a_rate_limit_is_met_by_waiting(calm):
    with thread({"rate_limit": 200, "retry_after_s": 0.1}) as server:
        taken = ask(spec(server.base_url), [question(n) for n in range(400)])
    assert taken == calm


@pytest.mark.parametrize(
    ("script", "method"),
    [
        ({"personality": "openai"}, "logprobs"),
        ({"personality": "openai", "refuses": ["max_tokens"]}, "logprobs"),
        ({"personality": "openai", "refuses": ["logprobs"]}, "text+json_schema"),
        ({"personality": "openai", "refuses": ["logprobs", "response_format", "temperature"]}, "text"),
        ({"personality": "openai", "ignores": ["logprobs"]}, "text+json_schema"),
        ({"personality": "plain"}, "text"),
    ],
)
def test_what_a_server_refuses_is_found_out_by_one_request_and_remembered(tmp_path, script, method):
    questions = [question(n) for n in range(40)]
    with thread(script) as server, ResponseStore(tmp_path / "responses.sqlite") as store:
        taken = ask(spec(server.base_url), questions[:20], facts=store.facts)
        found_out = server.log()["requests"] - 20
        taken |= ask(spec(server.base_url), questions[20:], facts=store.facts)
        log = server.log()
    assert {response.method for response in taken.values()} == {method}
    assert not [response for response in taken.values() if response.failure]
    assert found_out <= 5
    assert log["requests"] == 40 + found_out, "the second run knows what the first one found out"
    assert log["paths"]["/v1/models"] == 1


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"constrain": "grammar"}, "`constrain: grammar` was asked for, but: Unknown parameter: 'grammar'"),
        ({"constrain": "structured_outputs"}, "`constrain: structured_outputs` was asked for"),
    ],
)
def test_a_constraint_that_the_user_insists_on_is_never_dropped(changes, problem):
    with thread({"personality": "openai"}) as server, pytest.raises(EngineError, match=problem) as caught:
        ask(spec(server.base_url, **changes), [question(0)])
    assert caught.value.fix == "write `constrain: auto`"


def begun(n: int) -> Request:
    asked = question(n)
    return replace(asked, messages=(*asked.messages, ("assistant", "Answer:")))


@pytest.mark.parametrize(
    ("script", "method"),
    [
        ({}, "logprobs+grammar+prefill"),
        ({"personality": "vllm"}, "logprobs+structured_outputs+prefill"),
        ({"personality": "vllm", "tells_tokens": True}, "logprobs+token_ids+prefill"),
        ({"personality": "sglang"}, "logprobs+prefill"),
        ({"personality": "plain"}, "text+prefill"),
    ],
)
def test_an_answer_that_was_begun_says_so_wherever_it_was_asked(script, method):
    with thread(script) as server:
        taken = ask(spec(server.base_url, prefill=True), [begun(0), begun(1)])
    assert {response.method for response in taken.values()} == {method}
    doubted = any("goes on from the begun answer is not known" in note for note in taken.meter.notes)
    assert doubted == (script.get("personality") == "plain")


@pytest.mark.parametrize("script", [{"personality": "vllm", "refuses": ["continue_final_message"]}])
def test_a_server_that_will_not_go_on_from_a_begun_answer_stops_the_run(script):
    with thread(script) as server, pytest.raises(EngineError, match="`prefill: true` was asked for") as caught:
        ask(spec(server.base_url, prefill=True), [begun(0)])
    assert caught.value.fix == "write `prefill: false`"


def test_a_host_that_begins_a_new_message_is_not_asked_to_go_on(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    with pytest.raises(EngineError, match="does not go on from a message of the assistant"):
        ask(spec("https://api.openai.com/v1", prefill=True), [begun(0)])


@pytest.mark.parametrize("script", [{"refuses": ["logprobs"]}, {"ignores": ["logprobs"]}])
def test_log_probabilities_that_the_user_insists_on_are_never_dropped(script):
    with thread(script) as server, pytest.raises(EngineError, match="`logprobs: true` was asked for"):
        ask(spec(server.base_url, logprobs=True), [question(0)])


def test_an_error_of_the_store_ends_the_run_as_it_is():
    def full(request: Request, response: Response) -> None:
        raise OSError("disk full")

    with thread({}) as server, pytest.raises(OSError, match="disk full"):
        answer_all(OpenAIEngine(spec(server.base_url)), [question(n) for n in range(99)], full, Meter())


def test_one_engine_answers_step_after_step():
    with thread({}) as server:
        engine, taken = OpenAIEngine(spec(server.base_url)), Taken()
        for start in (0, 50):
            answer_all(engine, [question(n) for n in range(start, start + 50)], taken.put, taken.meter)
        assert server.log()["paths"]["/v1/models"] == 1
    assert len(taken) == 100


_INTERRUPTED = """
import sys
from pathlib import Path
from prefgen.engines.engine import Meter
from prefgen.engines.http import OpenAIEngine
from tests.dispatch.answering import answer_all
from tests.engines.test_http import Taken, question, spec
taken = Taken()
def put(request, response):
    taken.put(request, response)
    if len(taken) == 20:
        print("go", flush=True)
try:
    answer_all(OpenAIEngine(spec(sys.argv[1], concurrency=8)), [question(n) for n in range(10_000)], put, taken.meter)
except KeyboardInterrupt:
    print(len(taken), flush=True)
    sys.exit(130)
"""


def test_ctrl_c_stops_cleanly_with_everything_that_arrived():
    with serve({"latency_s": 0.02}) as server:
        process = subprocess.Popen(
            [sys.executable, "-c", _INTERRUPTED, server.base_url],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[2],
        )
        assert process.stdout is not None
        assert process.stdout.readline() == "go\n"
        process.send_signal(signal.SIGINT)
        said, complaints = process.communicate(timeout=20)
        answered = server.log()["answered"]
    assert process.returncode == 130
    assert complaints == ""
    assert answered - 8 <= int(said) <= answered


def test_no_thread_or_task_is_left_behind():
    before = threading.active_count()
    with thread({}) as server:
        ask(spec(server.base_url), [question(n) for n in range(20)])
    assert threading.active_count() <= before
