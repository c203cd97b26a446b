"""What goes over the wire for each readout, and what is read from whatever comes back."""

from __future__ import annotations

import math
from dataclasses import replace

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefgen.engines.alternatives import NoLogprobsError
from prefgen.engines.capabilities import (
    Capabilities,
    ErrorBody,
    first_guess,
    from_fact,
    names_of,
    owner_of,
    to_fact,
    without,
)
from prefgen.engines.reply import FailedInReplyError, StillThinkingError, UnreadableError, to_response
from prefgen.engines.wire import form_of, to_body, to_payload
from prefgen.engines.words import discreet, words_of
from prefgen.judging.readout import read
from prefgen.records import Readout, Request
from prefgen.spec.models import OpenAIModel

READOUTS: tuple[Readout, ...] = ("logprobs", "text", "certainty", "reason", "prose")
HOLDS = ("none", "grammar", "structured_outputs", "json_schema")


def request(
    readout: Readout = "text", *, choices: tuple[str, ...] = ("A", "B"), begun: bool = False, repeat: int = 0
) -> Request:
    messages = (
        ("system", "You are old."),
        ("user", "A) tea\nB) coffee"),
        *((("assistant", "Answer:"),) if begun else ()),
    )
    return Request("m", None, messages, readout, choices, 0.0, 1.0, 16 if readout == "logprobs" else 40, 7, repeat)


def payload(asked: Request, features: Capabilities) -> dict:
    form = form_of(asked.readout, features, begun=bool(asked.begun))
    return to_payload(asked, form, features, model="m", extra={})


def reply(text: str | None, **choice: object) -> bytes:
    message = {
        "role": "assistant",
        "content": text,
        **({"refusal": choice.pop("refusal")} if "refusal" in choice else {}),
    }
    return orjson.dumps(
        {"choices": [{"message": message, "finish_reason": "stop", **choice}], "usage": {"prompt_tokens": 9}}
    )


@pytest.mark.parametrize("readout", READOUTS)
@pytest.mark.parametrize("hold", HOLDS)
@pytest.mark.parametrize("top", [0, 20])
def test_the_method_in_the_row_is_what_was_sent(readout, hold, top):
    features = Capabilities(hold, top_logprobs=top)
    sent = payload(request(readout), features)
    method = form_of(readout, features).method
    assert ("top_logprobs" in sent) == method.startswith("logprobs")
    assert ("grammar" in sent) == method.endswith("+grammar")
    assert ("structured_outputs" in sent) == method.endswith("+structured_outputs")
    assert ("response_format" in sent) == method.endswith("+json_schema")


def test_a_held_answer_costs_one_token_and_any_other_what_words_need_or_the_user_said():
    for hold in ("grammar", "structured_outputs"):
        assert payload(request("logprobs"), Capabilities(hold))["max_tokens"] == 1
        assert payload(request("logprobs"), Capabilities(hold, top_logprobs=0))["max_tokens"] == 16
        assert (
            payload(replace(request("logprobs"), max_tokens=900), Capabilities(hold, thinks=True))["max_tokens"] == 900
        )
    assert payload(request("logprobs"), Capabilities("json_schema"))["max_tokens"] == 16
    assert payload(request("logprobs"), Capabilities(cap="max_completion_tokens"))["max_completion_tokens"] == 16
    for features in (
        Capabilities("json_schema"),
        Capabilities("json_schema", top_logprobs=0),
        Capabilities(top_logprobs=0),
    ):
        assert payload(replace(request("logprobs"), max_tokens=2000), features)["max_tokens"] == 2000


@pytest.mark.parametrize("readout", READOUTS)
@pytest.mark.parametrize("prefill", ["trailing", "continue"])
@pytest.mark.parametrize("hold", HOLDS)
@pytest.mark.parametrize("insist", [False, True])
def test_the_messages_sent_are_those_of_the_request_whatever_the_server_is(readout, prefill, hold, insist):
    for begun in (False, True):
        asked = request(readout, begun=begun)
        features = Capabilities(hold, insist=insist, prefill=prefill)
        sent = payload(asked, features)
        assert [(said["role"], said["content"]) for said in sent["messages"]] == list(asked.messages)
        told = sent.get("continue_final_message"), sent.get("add_generation_prompt")
        assert told == ((True, False) if begun and prefill == "continue" else (None, None))
        assert form_of(readout, features, begun=begun).method.endswith("+prefill") == begun


def test_what_follows_a_begun_answer_carries_its_space_and_is_no_json():
    held = payload(request(begun=True), Capabilities("structured_outputs", prefill="continue"))
    assert held["structured_outputs"] == {"choice": [" A", " B"]}
    assert "response_format" not in payload(request(begun=True), Capabilities("json_schema"))


def test_repeats_with_a_seed_are_different_draws():
    assert payload(request(repeat=0), Capabilities())["seed"] == 7
    assert payload(request(repeat=2), Capabilities())["seed"] == 9


def test_further_keys_of_the_user_win():
    form = form_of("text", Capabilities())
    sent = to_payload(request(), form, Capabilities(), model="m", extra={"temperature": 0.5, "top_k": 3})
    assert (sent["temperature"], sent["top_k"]) == (0.5, 3)


@given(st.lists(st.text(min_size=1, max_size=8), min_size=2, max_size=5, unique=True))
def test_any_choices_make_a_body_that_is_json(choices):
    for hold in HOLDS:
        asked = request("certainty", choices=tuple(choices))
        if not any("\ud800" <= letter <= "\udfff" for choice in choices for letter in choice):
            assert orjson.loads(to_body(payload(asked, Capabilities(hold))))["model"] == "m"


@pytest.mark.parametrize("choice", ["A", "B"])
@pytest.mark.parametrize("n", [1, 80, 100])
def test_json_answers_are_read_as_the_plain_readout_would_be(choice, n):
    features = Capabilities("json_schema")
    said = {"answer": choice, "certainty": n, "reason": "Answer: A is what some would say.\nAnswer: B others."}
    for readout in ("text", "certainty", "reason"):
        response = to_response(
            request(readout), "req-1", reply(orjson.dumps(said).decode()), form_of(readout, features)
        )
        assert response.method == "text+json_schema"
        reading = read(response, ("A", "B"), readout)
        assert (reading.symbol, reading.status) == (choice, "ok")
        assert reading.certainty == (n if readout == "certainty" else None)


def test_a_constraint_that_was_not_kept_to_does_not_stand_in_the_row():
    said = reply("I would choose B.")
    for hold in ("grammar", "structured_outputs", "json_schema"):
        assert to_response(request(), "r", said, form_of("text", Capabilities(hold))).method == "text"
    assert to_response(request(), "r", reply(" B"), form_of("text", Capabilities("grammar"))).method == "text+grammar"


def test_log_probabilities_are_those_of_the_answers_token():
    def token(text, *others):
        return {"token": text, "logprob": -0.1, "top_logprobs": [{"token": t, "logprob": p} for t, p in others]}

    plain = reply("A", logprobs={"content": [token("A", ("A", -0.1), ("B", -2.5), ("Z", -9999.0))]})
    found = to_response(request("logprobs"), "r", plain, form_of("logprobs", Capabilities()))
    assert found.alternatives == (("A", -0.1), ("B", -2.5))
    inside = reply(
        '{"answer":"A"}',
        logprobs={"content": [token('{"'), token("answer"), token('":"'), token("A", ("B", -2.0)), token('"}')]},
    )
    form = form_of("logprobs", Capabilities("json_schema", insist=True))
    found = to_response(request("logprobs"), "r", inside, form)
    assert found.alternatives == (("A", -0.1), ("B", -2.0))
    assert (found.text, found.method, found.raw) == ("A", "logprobs+json_schema", False)


def test_missing_log_probabilities_are_said_but_not_of_a_refusal():
    form = form_of("logprobs", Capabilities())
    with pytest.raises(NoLogprobsError):
        to_response(request("logprobs"), "r", reply("A"), form)
    assert to_response(request("logprobs"), "r", reply(None, refusal="I can't."), form).finish == "refusal"
    assert (
        to_response(request("logprobs"), "r", reply("", finish_reason="content_filter"), form).finish
        == "content_filter"
    )
    assert to_response(request("logprobs"), "r", reply(None), form).text == ""


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-9, 9)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "choices",
                    "message",
                    "content",
                    "logprobs",
                    "top_logprobs",
                    "token",
                    "logprob",
                    "usage",
                    "prompt_tokens",
                    "error",
                    "refusal",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=20,
)


@given(JSON, st.sampled_from(READOUTS))
def test_no_reply_however_strange_gives_a_traceback(strange, readout):
    for body in (
        strange,
        {"choices": [strange]},
        {"choices": [{"message": strange, "logprobs": strange}], "usage": strange},
    ):
        words_of(orjson.dumps(body))
        for features in (Capabilities(), Capabilities("json_schema", insist=True)):
            try:
                response = to_response(request(readout), "r", orjson.dumps(body), form_of(readout, features))
            except (UnreadableError, NoLogprobsError, FailedInReplyError, StillThinkingError):
                continue
            assert isinstance(response.text, str)
            assert all(isinstance(t, str) and math.isfinite(p) for t, p in response.alternatives or ())


@given(st.binary(max_size=60))
def test_no_bytes_give_a_traceback(raw):
    assert words_of(raw).message
    with pytest.raises(UnreadableError):
        to_response(request(), "r", raw, form_of("text", Capabilities()))


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b'{"error": {"message": "too bad", "param": "seed"}}', "too bad"),
        (b'{"error": "too bad"}', "too bad"),
        (b'{"object": "error", "message": "too bad"}', "too bad"),
        (b'{"detail": "too bad"}', "too bad"),
        (b'{"detail": [{"loc": ["body", "n"], "msg": "too bad", "input": "my prompt"}]}', "body.n: too bad"),
        (b"<html><h1>502 Bad Gateway</h1></html>", "502 Bad Gateway"),
        (b"", "no reason given"),
    ],
)
def test_the_servers_words_are_found(raw, said):
    assert words_of(raw).message == said


def test_what_is_said_about_a_failure_holds_neither_key_nor_prompt():
    prompt = "You are a 47 year old nurse from Leeds who votes Labour.\nWhich tea do you like?"
    words = f"bad key my-secret and sk-abcdef1234567 for `{prompt[:50]}`, Bearer xyz " + "z" * 500
    said = discreet(words, key="my-secret", prompt=prompt)
    assert "my-secret" not in said
    assert "sk-abc" not in said
    assert "xyz" not in said
    assert "nurse" not in said
    assert len(said) == 300


@pytest.mark.parametrize(
    ("words", "features", "lesser"),
    [
        (
            ErrorBody(
                "Unsupported parameter: 'max_tokens' is not supported. Use 'max_completion_tokens' instead.",
                "max_tokens",
            ),
            Capabilities(),
            Capabilities(cap="max_completion_tokens"),
        ),
        (
            ErrorBody("Invalid value for 'top_logprobs': must be less than or equal to 5, got 20.", "top_logprobs"),
            Capabilities(),
            Capabilities(top_logprobs=5),
        ),
        (
            ErrorBody("Requested sample logprobs of 20, which is greater than max allowed: 5"),
            Capabilities(),
            Capabilities(top_logprobs=5),
        ),
        (
            ErrorBody("You are not allowed to request logprobs from this model"),
            Capabilities(),
            Capabilities(top_logprobs=0),
        ),
        (
            ErrorBody(
                "Unsupported value: 'temperature' does not support 0.0 with this model.",
                "temperature",
                "unsupported_value",
            ),
            Capabilities(),
            Capabilities(omit=frozenset({"temperature"})),
        ),
        (ErrorBody("Failed to parse grammar"), Capabilities("grammar"), Capabilities("json_schema")),
        (
            ErrorBody("body.structured_outputs: Extra inputs are not permitted"),
            Capabilities("structured_outputs"),
            Capabilities("json_schema"),
        ),
        (
            ErrorBody("Assistant response prefill is incompatible with enable_thinking."),
            Capabilities("grammar"),
            Capabilities("grammar", prefill="none"),
        ),
        (
            ErrorBody("This model's maximum context length is 128 tokens; 'max_tokens' is too large: 300"),
            Capabilities(),
            None,
        ),
        (
            ErrorBody(
                "Invalid prompt: your prompt was flagged as potentially violating our usage policy.",
                "",
                "invalid_prompt",
            ),
            Capabilities(),
            None,
        ),
        (ErrorBody("messages: roles must alternate", "messages"), Capabilities(), None),
    ],
)
def test_a_refusal_takes_away_what_it_names_and_nothing_else(words, features, lesser):
    sent = payload(request("logprobs", begun=True), features)
    assert without(features, words, sent) == lesser


@pytest.mark.parametrize("owner", ["llamacpp", "vllm", "library", None])
def test_remembered_features_come_back_and_the_spec_has_the_last_word(owner):
    spec = OpenAIModel(engine="openai", model="m")
    found = first_guess(spec, owner)
    assert from_fact(spec, to_fact(found)) == found
    told = OpenAIModel(engine="openai", model="m", constrain="none", logprobs=False)
    assert from_fact(told, to_fact(found)).hold == "none"
    assert from_fact(told, to_fact(found)).top_logprobs == 0
    assert from_fact(spec, "not a fact") is None


@pytest.mark.parametrize(
    ("listed", "owner", "hold"),
    [
        ({"data": [{"id": "m", "owned_by": "llamacpp"}]}, "llamacpp", "grammar"),
        ({"data": [{"id": "m", "owned_by": "vllm"}]}, "vllm", "structured_outputs"),
        ({"data": [{"id": "m", "owned_by": "library"}]}, "library", "json_schema"),
        ({"data": []}, None, "json_schema"),
        ([1], None, "json_schema"),
        (None, None, "json_schema"),
    ],
)
def test_a_server_is_known_by_who_owns_its_models(listed, owner, hold):
    assert owner_of(listed) == owner
    assert first_guess(OpenAIModel(engine="openai", model="m"), owner).hold == hold
    assert all(isinstance(name, str) for name in names_of(listed))
