"""What a reply with HTTP 200 says, in the words of many servers: never more certain, nor more of an answer, than it is."""

from __future__ import annotations

import json
import math

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefgen.engines.alternatives import NoLogprobsError
from prefgen.engines.capabilities import Capabilities
from prefgen.engines.reply import FailedInReplyError, StillThinkingError, UnreadableError, to_response
from prefgen.engines.wire import form_of
from prefgen.records import Readout, Request, Response

PLAIN = Capabilities(top_logprobs=20)


def request(readout: Readout = "logprobs") -> Request:
    return Request("m", None, (("user", "A) tea\nB) coffee"),), readout, ("A", "B"))


def told(reply: object, *, features: Capabilities = PLAIN, readout: Readout = "logprobs") -> Response:
    raw = reply if isinstance(reply, bytes) else json.dumps(reply).encode()
    return to_response(request(readout), "r", raw, form_of(readout, features))


def token(text: object, logprob: object = -0.1, **top: object) -> dict:
    return {"token": text, "logprob": logprob, "top_logprobs": [{"token": t, "logprob": p} for t, p in top.items()]}


def chat(
    text: str | None = "A", *tokens: dict, finish: object = "stop", usage: object = None, **message: object
) -> dict:
    choice = {"index": 0, "finish_reason": finish, "message": {"role": "assistant", "content": text, **message}}
    if tokens:
        choice["logprobs"] = {"content": list(tokens)}
    return {"choices": [choice], "usage": usage}


@pytest.mark.parametrize(
    "own",
    [math.log(0.55), math.log(0.55) + 1e-9, -0.0, math.log(0.71), None],
    ids=["same", "near", "zero", "other", "none"],
)
def test_the_token_taken_counts_once_by_the_lists_own_number(own):
    found = told(chat("A", token("A", own, B=math.log(0.45), A=math.log(0.55))))
    assert found.alternatives == (("A", math.log(0.55)), ("B", math.log(0.45)))
    assert (found.chosen, found.method, found.raw) == ("A", "logprobs", True)


@given(
    st.lists(st.tuples(st.sampled_from(["A", "B", " A", "The", "I"]), st.floats(0.001, 0.2)), min_size=1, max_size=5),
    st.sampled_from(["A", "B", "Z"]),
)
def test_every_text_stands_once_with_the_token_taken_first_and_no_more_than_all_the_mass(listed, taken):
    place = {"token": taken, "logprob": math.log(0.15)} | {
        "top_logprobs": [{"token": t, "logprob": math.log(p)} for t, p in listed]
    }
    try:
        found = told(chat("A", place)).alternatives
    except NoLogprobsError:
        assert {name for name, _ in listed} == {taken}
        return
    names = [name for name, _ in found]
    assert len(set(names)) == len(names) > 1
    assert names[0] == taken
    for name, logprob in found:
        assert logprob == max((math.log(p) for t, p in listed if t == name), default=math.log(0.15))
    assert math.fsum(math.exp(p) for _, p in found) <= 1.05


@pytest.mark.parametrize(
    ("place", "at_all"),
    [
        ({"token": "A", "logprob": 0.0}, True),
        ({"token": "A", "logprob": 0.0, "top_logprobs": []}, True),
        ({"token": "A", "logprob": 0.0, "top_logprobs": None}, True),
        (token("A", 0.0, A=0.0), True),
        (token("A", 0.0, A=0.0, B=-9999.0, C=-9999.0), False),
        (token("A", 0.0, A=0.0, B=float("-inf")), False),
        (token("A", 0.0, A=0.0, B=None), False),
        (token("A", 0.0, A=0.0, B=0.0), False),
        (token("A", 0.55, A=0.55, B=0.45), False),
        (token("A", -0.1, A=-0.1, B=800.0), False),
        (token("A", float("nan"), A=float("nan"), B=float("nan")), False),
    ],
)
def test_numbers_that_say_nothing_are_no_log_probabilities(place, at_all):
    with pytest.raises(NoLogprobsError) as none:
        told(chat("A", place))
    assert none.value.at_all == at_all


@pytest.mark.parametrize(
    "lost", [{}, {"logprobs": None}, {"logprobs": {}}, {"logprobs": {"content": []}}, {"logprobs": {"content": None}}]
)
def test_a_reply_without_a_list_has_none_at_all(lost):
    reply = chat("A")
    reply["choices"][0] |= lost
    with pytest.raises(NoLogprobsError) as none:
        told(reply)
    assert none.value.at_all


@pytest.mark.parametrize("begin", [[], ["**"], ["\n", '"'], [" "], ["*", "*", " "]])
def test_the_answers_place_is_the_first_token_with_a_letter_in_it(begin):
    tokens = [token(piece, -0.01, The=-4.0) for piece in begin] + [
        token("A", -0.2, A=-0.2, B=-2.0),
        token(".", -0.1, B=-3.0),
    ]
    found = told(chat("".join(begin) + "A.", *tokens))
    assert found.alternatives == (("A", -0.2), ("B", -2.0))


@pytest.mark.parametrize(
    "marks",
    [
        ("<think>", "</think>"),
        ("<", "think", ">", "</", "think", ">"),
        ("[THINK]", "[/THINK]"),
        ("<|channel|>", "analysis", "<|message|>", "<|channel|>", "final", "<|message|>"),
    ],
)
def test_of_a_reply_that_thinks_the_answer_after_the_thoughts_counts(marks):
    half = marks.index("</think>") if "</think>" in marks else len(marks) // 2
    said = [*marks[:half], "B", "?", *marks[half:], "\n\n", "A"]
    tokens = [token(each, -0.1, B=-0.2, A=-1.9) for each in said[:-1]] + [token("A", -0.3, A=-0.3, B=-1.4)]
    assert told(chat("".join(said), *tokens)).alternatives == (("A", -0.3), ("B", -1.4))
    apart = told(chat("A", *tokens, reasoning_content="B?"))
    assert apart.alternatives == (("A", -0.3), ("B", -1.4))
    assert apart.text == "A"


def test_thoughts_kept_apart_without_marks_are_told_from_the_answer_by_its_text():
    tokens = [token("B", -0.1, B=-0.1, A=-3), token("?"), token(" A", -0.3, **{" A": -0.3, " B": -1.4})]
    assert told(chat("A", *tokens, reasoning="B?")).alternatives == ((" A", -0.3), (" B", -1.4))
    with pytest.raises(NoLogprobsError):
        told(chat("A", token("B", -0.1, B=-0.1, C=-3), token("?"), reasoning="B?"))


def test_a_thought_that_was_cut_is_no_answer_and_proves_no_log_probabilities():
    cut = told(chat(None, token("Let", -0.1, Let=-0.1, A=-3), finish="length", reasoning_content="Let me think"))
    assert (cut.text, cut.finish, cut.alternatives, cut.method) == ("", "length", None, "text")
    inside = told(chat("<think>Let me", token("<think>", -0.1, A=-3), token("Let", -0.1, A=-3), finish="length"))
    assert (inside.text, inside.finish, inside.alternatives) == ("<think>Let me", "length", None)
    with pytest.raises(StillThinkingError):
        told(chat(None, finish="length", reasoning_content="Let"), features=Capabilities("structured_outputs"))


@pytest.mark.parametrize(
    ("usage", "counted"),
    [
        (
            {
                "prompt_tokens": 40,
                "completion_tokens": 30,
                "total_tokens": 70,
                "completion_tokens_details": {"reasoning_tokens": 29},
            },
            (40, 30),
        ),
        (
            {
                "prompt_tokens": 40,
                "completion_tokens": 1,
                "total_tokens": 341,
                "completion_tokens_details": {"reasoning_tokens": 300},
            },
            (40, 301),
        ),
        ({"prompt_tokens": 40, "completion_tokens": 1, "total_tokens": 341}, (40, 301)),
        (
            {"prompt_tokens": 40, "completion_tokens": 1, "completion_tokens_details": {"reasoning_tokens": 300}},
            (40, 301),
        ),
        ({"prompt_tokens": "12", "completion_tokens": None}, (12, 0)),
        ({"prompt_tokens": 12.0, "completion_tokens": 1.0}, (12, 1)),
        ({"prompt_tokens": 2**70, "completion_tokens": -1, "total_tokens": 2**64}, (0, 0)),
        ({"prompt_tokens": float("nan"), "completion_tokens": float("inf"), "completion_tokens_details": [1]}, (0, 0)),
        (None, (0, 0)),
        ("none", (0, 0)),
        ([], (0, 0)),
    ],
)
def test_thoughts_are_counted_and_numbers_that_can_be_none_are_not(usage, counted):
    found = told(chat("A", usage=usage), readout="text")
    assert (found.prompt_tokens, found.completion_tokens) == counted


@pytest.mark.parametrize(
    "word",
    [
        "content_filter",
        "SAFETY",
        "sensitive",
        "content_filter: PROHIBITED_CONTENT",
        "RECITATION",
        "BLOCKLIST",
        "contentFilter",
    ],
)
@pytest.mark.parametrize("message", [{"content": None}, {"content": "A"}, None, ...])
def test_a_filter_is_a_filter_in_every_servers_words(word, message):
    choice = {"index": 0, "finish_reason": word} | ({} if message is ... else {"message": message})
    assert told({"choices": [choice]}).finish == "content_filter"


@pytest.mark.parametrize(
    ("word", "finish"),
    [
        ("length", "length"),
        ("MAX_TOKENS", "length"),
        ("model_length", "length"),
        ("end_turn", "stop"),
        (None, "stop"),
        ("STOP", "stop"),
        ({"type": "stop"}, "stop"),
        ("tool_calls", "tool_calls"),
    ],
)
def test_how_an_answer_ended_is_told_in_one_word(word, finish):
    assert told(chat("A", finish=word), readout="text").finish == finish


def test_a_prompt_that_was_blocked_is_filtered():
    assert told({"choices": [], "prompt_feedback": {"block_reason": "SAFETY"}}).finish == "content_filter"
    with pytest.raises(UnreadableError, match="no choices"):
        told({"choices": []})


@pytest.mark.parametrize(
    ("error", "status"),
    [
        ({"code": 402, "message": "Insufficient credits"}, 402),
        ({"code": "401", "message": "No auth credentials found"}, 401),
        ({"status": 429, "message": "slow"}, 429),
        ({"code": "rate_limit_exceeded", "message": "slow"}, 429),
        ({"type": "overloaded_error", "message": "Overloaded"}, 503),
        ({"code": "insufficient_quota", "message": "no"}, 402),
        ({"message": "upstream lost"}, 502),
        ("rate limit exceeded", 429),
        (True, 502),
        ({"code": 7}, 502),
        ([1], 502),
    ],
)
def test_an_error_inside_an_answer_is_the_error_it_would_have_been(error, status):
    for reply in (
        {"error": error},
        {"error": error, "choices": None},
        {"choices": [{"error": error, "finish_reason": "error", "message": {"content": "I choose A"}}]},
    ):
        with pytest.raises(FailedInReplyError) as failed:
            told(reply)
        assert failed.value.status == status


@pytest.mark.parametrize("word", ["error", "insufficient_system_resource", "network_error", "abort"])
def test_half_a_text_is_no_answer(word):
    with pytest.raises(FailedInReplyError):
        told(chat("I would choose A", finish=word))


GOOD = orjson.dumps(chat("A", token("A", -0.1, A=-0.1, B=-2.5)))


@pytest.mark.parametrize(
    "raw",
    [
        b"\xef\xbb\xbf" + GOOD,
        b"\n\n   \n" + GOOD + b"\n",
        b": OPENROUTER PROCESSING\n\n: OPENROUTER PROCESSING\n\n" + GOOD,
        GOOD.replace(b"-2.5", b'-2.5, "extra": NaN'),
    ],
)
def test_dialects_of_json_are_read(raw):
    assert told(raw).alternatives == (("A", -0.1), ("B", -2.5))


@pytest.mark.parametrize("number", [b"NaN", b"-Infinity", b"Infinity", b"1e999", b"null", b'"-2.5"'])
def test_a_number_that_is_none_takes_only_its_own_token_away(number):
    raw = GOOD.replace(b"-2.5", number).replace(b'{"token":"B"', b'{"token":"C","logprob":-3.0},{"token":"B"')
    assert told(raw).alternatives == (("A", -0.1), ("C", -3.0))


def test_a_token_that_is_no_text_is_no_alternative():
    place = token("A", -0.1, A=-0.1, B=-2.5)
    place["top_logprobs"].append({"token": None, "logprob": -0.5})
    assert told(chat("A", place)).alternatives == (("A", -0.1), ("B", -2.5))


def test_a_stream_that_nobody_asked_for_is_called_so():
    with pytest.raises(UnreadableError, match="stream of events"):
        told(b'data: {"choices":[{"delta":{"content":"A"}}]}\n\ndata: [DONE]\n\n')


def test_the_first_choice_counts_and_parts_that_are_thoughts_do_not():
    two = chat("A")
    two["choices"].insert(0, {"index": 1, "message": {"content": "B"}, "finish_reason": "stop"})
    assert told(two, readout="text").text == "A"
    parts = [{"type": "thinking", "thinking": [{"type": "text", "text": "B?"}]}, {"type": "text", "text": "A"}]
    assert told(chat(parts), readout="text").text == "A"


@pytest.mark.parametrize(
    "text", ['```json\n{"answer": "B"}\n```', '<think>A?</think>{"answer": "B"}', '{"answer":"B"}']
)
def test_json_in_a_fence_or_after_a_thought_is_read(text):
    found = told(chat(text), features=Capabilities("json_schema"), readout="text")
    assert (found.text, found.method) == ("B", "text+json_schema")


def test_an_answer_longer_than_any_is_cut_and_says_so():
    found = told(chat("x" * 3_000_000), readout="text")
    assert (len(found.text), found.finish) == (200_000, "length")
