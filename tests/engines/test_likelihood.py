"""How probable given words are: over HTTP against a scripted server, in process against two independent computations."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest

from prefgen.engines.embedded import EmbeddedEngine, _complete
from prefgen.engines.engine import Meter
from prefgen.engines.forced import forcing, token_ids
from prefgen.engines.http import OpenAIEngine
from prefgen.engines.likelihood import Scored, scored_response
from prefgen.engines.weights import default_weights
from prefgen.errors import EngineError
from prefgen.records import Request, Response
from prefgen.spec.models import EmbeddedModel, OpenAIModel
from tests.dispatch.answering import answer_all
from tests.servers.answers import likelihood
from tests.servers.running import thread

CHOICES = ("Whoever was first.", "Whoever is hungriest, or has children.", "Näytä, für alle!")


def question(n: int = 0, choices: tuple[str, ...] = CHOICES) -> Request:
    messages = (
        ("system", f"You are person {n} and you live in a small town."),
        ("user", "Who should get the last loaf?"),
    )
    return Request("test-model", None, messages, "likelihood", choices)


def answers(engine: Any, *requests: Request) -> list[Response]:
    found: dict[str, Response] = {}
    answer_all(engine, requests, lambda one, response: found.update({one.request_id: response}), Meter())
    return [found[one.request_id] for one in requests]


def over_http(base_url: str, *requests: Request, **facts: object) -> list[Response]:
    told = {"engine": "openai", "model": "test-model", "base_url": base_url, **facts}
    return answers(OpenAIEngine(OpenAIModel.model_validate(told)), *requests)


def expected(request: Request) -> list[list[float]]:
    messages = [{"role": role, "content": content} for role, content in request.messages]
    return [likelihood(messages, choice) for choice in request.choices]


def test_a_server_of_vllm_tells_every_token_of_every_choice() -> None:
    asked = [question(n) for n in range(20)]
    with thread({"personality": "vllm"}) as server:
        told = over_http(server.base_url, *asked)
        assert server.log()["requests"] == 20 * (1 + len(CHOICES))  # each choice, and the prompt that they begin after
    for request, response in zip(asked, told, strict=True):
        assert response.failure is None
        assert response.method == "likelihood+prompt_logprobs"
        assert orjson.loads(response.text) == [pytest.approx(one, abs=1e-6) for one in expected(request)]
        assert response.prompt_tokens > 0


def test_a_storm_changes_no_likelihood() -> None:
    asked = [question(n) for n in range(30)]
    storm = {"rate": 0.1, "kinds": ["500", "reset_mid", "truncated_json"], "calm_after": 3, "seed": 3}
    with thread({"personality": "vllm", "storms": [storm]}) as server:
        told = over_http(server.base_url, *asked, max_attempts=30)
    assert [orjson.loads(one.text)[0] for one in told] == [pytest.approx(expected(one)[0], abs=1e-6) for one in asked]


@pytest.mark.parametrize("personality", ["llamacpp", "openai", "plain"])
def test_a_server_that_tells_none_is_an_error_with_a_fix(personality: str) -> None:
    with (
        thread({"personality": personality}) as server,
        pytest.raises(EngineError, match="readout: likelihood") as caught,
    ):
        over_http(server.base_url, question())
    assert "fix: write `readout: logprobs`, or ask a model with `engine: embedded`" in str(caught.value)


def test_a_prompt_that_is_refused_is_one_failed_row() -> None:
    with thread({"personality": "vllm", "rules": [{"match": "person 3 ", "fault": "400"}]}) as server:
        told = over_http(server.base_url, *(question(n) for n in range(6)))
    assert [one.failure is None for one in told] == [n != 3 for n in range(6)]


def test_what_cannot_come_has_a_number_that_json_has() -> None:
    said = scored_response(question(), [Scored([float("-inf"), -0.12345678])], "forced")
    assert orjson.loads(said.text) == [[-1000.0, -0.123457]]


@pytest.fixture(scope="module")
def engine() -> EmbeddedEngine:
    return EmbeddedEngine(EmbeddedModel(engine="embedded", context=1024))


@pytest.mark.model
def test_forced_log_probabilities_are_those_of_the_chain_rule(engine: EmbeddedEngine) -> None:
    """Each token asked for by itself, as the next one after an answer begun with those before it."""
    request = question(choices=CHOICES[:2])
    (said,) = answers(engine, request)
    assert said.method == "likelihood+forced"
    for choice, told in zip(request.choices, orjson.loads(said.text), strict=True):
        tokens = token_ids(engine._server, choice)
        assert len(tokens) == len(told)
        begun, one_by_one = "", []
        for token in tokens:
            messages = (*request.messages, ("assistant", begun)) if begun else request.messages
            alone = replace(request, messages=messages)
            next_one = _complete(engine._server, alone, max_tokens=1, grammar=forcing([token]), likeliest=1)
            one_by_one.append(next_one.logprobs[0])
            begun += next_one.chosen[0]
        assert begun == choice
        assert told == pytest.approx(one_by_one, abs=0.02)


@pytest.mark.model
def test_likelihoods_do_not_depend_on_what_was_asked_before(engine: EmbeddedEngine) -> None:
    first, _, again = answers(engine, question(1), question(2), replace(question(1), repeat=1))
    for one, other in zip(orjson.loads(first.text), orjson.loads(again.text), strict=True):
        assert one == pytest.approx(other, abs=0.05)


@pytest.mark.model
def test_a_choice_of_foreign_letters_and_one_with_a_token_of_the_template_are_plain_text(
    engine: EmbeddedEngine,
) -> None:
    odd = ("<|im_end|> für alle", '"quoted" \\ and\nbroken')
    (said,) = answers(engine, question(choices=odd))
    assert [len(one) for one in orjson.loads(said.text)] == [len(token_ids(engine._server, choice)) for choice in odd]


@pytest.mark.model
def test_a_character_of_several_tokens_is_a_failure_that_says_so(engine: EmbeddedEngine) -> None:
    split, whole = answers(engine, question(choices=("平等", "no")), question(choices=("für", "no")))
    assert "in several tokens" in (split.failure or "")
    assert split.final
    assert whole.failure is None


@pytest.mark.model
def test_a_prompt_without_room_for_its_options_is_a_failure_of_that_request(engine: EmbeddedEngine) -> None:
    long, short = answers(engine, question(choices=("word " * 1500, "no")), question(choices=("yes", "no")))
    assert long.failure is not None
    assert short.failure is None


@pytest.mark.model
@pytest.mark.filterwarnings("ignore")  # those of torch
def test_torch_finds_the_same_with_the_same_weights(engine: EmbeddedEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    torch, transformers = pytest.importorskip("torch"), pytest.importorskip("transformers")
    if importlib.util.find_spec("accelerate") is None:
        pytest.skip("accelerate is not installed")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    weights: Path = default_weights()
    how = transformers.GgufConfig(dequantize=True)
    model = transformers.AutoModelForCausalLM.from_pretrained(
        weights.parent, gguf_file=weights.name, quantization_config=how, dtype=torch.float32
    )
    tokenizer = transformers.AutoTokenizer.from_pretrained(weights.parent, gguf_file=weights.name)
    request = question()
    messages = [{"role": role, "content": content} for role, content in request.messages]
    page = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    prompt = tokenizer.encode(page, add_special_tokens=False)
    (said,) = answers(engine, request)
    for choice, told in zip(request.choices, orjson.loads(said.text), strict=True):
        tokens = tokenizer.encode(choice, add_special_tokens=False)
        with torch.no_grad():
            logits = model(torch.tensor([prompt + tokens])).logits[0]
        places = torch.log_softmax(logits.double(), -1)[len(prompt) - 1 : -1]
        exact = [float(place[token]) for place, token in zip(places, tokens, strict=True)]
        assert len(told) == len(exact)
        # llama.cpp computes with activations of 8 bits: a tenth off here and there, and little in the sum.
        assert told == pytest.approx(exact, abs=0.8)
        assert sum(told) == pytest.approx(sum(exact), rel=0.03)
