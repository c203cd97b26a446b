"""What vLLM is asked and what its output says: prompts by the model's own chat template, settings, responses. Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from prefgen.engines.alternatives import NoLogprobsError
from prefgen.engines.capabilities import TOP_LOGPROBS, Capabilities
from prefgen.engines.likelihood import Scored
from prefgen.engines.reply import to_response
from prefgen.engines.token_ids import MOST_IDS, SPACES, names_one, response_among
from prefgen.engines.wire import Form, form_of_request, to_payload
from prefgen.errors import EngineError, first_words
from prefgen.records import Request, Response

_FEATURES = Capabilities("structured_outputs", prefill="continue")
_MOST_BEGINNINGS = 4096
_CHARS_PER_TOKEN = 2  # fewer than a token has in any prose
_MARK = "prefgen looks for this"


class Template:
    """Requests as tokens, by the chat template that came with the weights.

    system_role    whether it has one; where it has not, what the system says opens the user's message

    EngineError where there is no chat template.
    """

    def __init__(self, tokenizer: Any, told: Mapping[str, Any]) -> None:
        self._tokenizer = tokenizer
        self._told = told
        try:
            self._render((("user", _MARK),))
        except Exception as error:  # a template is a program that came with the weights
            raise EngineError(
                f"the model has no chat template that can be used ({first_words(error)})",
                fix="take a model that was tuned for instructions, or put a template into "
                "`chat_template_kwargs: {chat_template: ...}`",
            ) from None
        self.system_role = self._keeps_system()

    def tokens(self, request: Request) -> list[int]:
        """The prompt of one request, and after it what the answer has been begun with."""
        messages = request.messages[:-1] if request.begun else request.messages
        if not self.system_role and messages[0][0] == "system":
            (_, persona), (role, page), *rest = messages
            messages = ((role, f"{persona}\n\n{page}"), *rest)
        found: list[int] = self._tokenizer.encode(self._render(messages) + request.begun, add_special_tokens=False)
        return found

    def _render(self, messages: Sequence[tuple[str, str]]) -> str:
        said = [{"role": role, "content": content} for role, content in messages]
        text: str = self._tokenizer.apply_chat_template(said, tokenize=False, add_generation_prompt=True, **self._told)
        return text

    def _keeps_system(self) -> bool:
        """Some templates refuse a system message; others leave it out without a word."""
        try:
            return _MARK in self._render((("system", _MARK), ("user", "?")))
        except Exception:
            return False


def tokens_of(tokenizer: Any, choices: tuple[str, ...]) -> dict[int, str] | None:
    """The tokens that are a choice or begin only one, with a space in front or without: id -> text.

    None where some choice has none, or there are more than vLLM tells of.
    """
    vocabulary: dict[str, int] = tokenizer.get_vocab()
    found: dict[int, str] = {}
    for choice in choices:
        beginnings = [choice[:end] for end in range(len(choice), 0, -1)]
        own = [begun for begun in beginnings if names_one(begun, choice, choices)]
        tokens = {
            vocabulary[mark + begun]: space + begun
            for begun in own
            for mark, space in SPACES
            if mark + begun in vocabulary
        }
        tokens = tokens or _first_token(tokenizer, choice, choices)
        if not tokens:
            return None
        found |= tokens
    return found if len(found) <= MOST_IDS else None


def _first_token(tokenizer: Any, choice: str, choices: tuple[str, ...]) -> dict[int, str]:
    """For vocabularies that are not text: the token with which a choice begins, if it begins no other."""
    first = tokenizer.encode(choice, add_special_tokens=False)[:1]
    text = tokenizer.decode(first) if first else ""
    return {first[0]: text} if names_one(text, choice, choices) else {}


def settings_of(request: Request, tokens: Mapping[int, str] | None) -> dict[str, Any]:
    """The arguments of SamplingParams for one request; what holds the answer stands under `structured_outputs`.

    tokens    those of its choices, whose exact log-probabilities are asked for; None where vLLM cannot tell them
    """
    if tokens is not None:
        # The token that is taken is drawn from these numbers, so the engine need not draw one.
        return {"temperature": 0.0, "max_tokens": 1, "detokenize": False, "logprob_token_ids": list(tokens)}
    payload = to_payload(request, _form(request), _FEATURES, model=request.model, extra={})
    settings: dict[str, Any] = {
        key: payload[key] for key in ("max_tokens", "temperature", "top_p", "seed") if key in payload
    }
    if "top_logprobs" in payload:
        settings["logprobs"] = payload["top_logprobs"]
    if "structured_outputs" in payload:
        settings["structured_outputs"] = payload["structured_outputs"]
    elif "response_format" in payload:
        settings["structured_outputs"] = {"regex": _object(request)}
    return settings


def _object(request: Request) -> str:
    """The JSON of a readout as a regular expression: a schema would let a small model fill its tokens with spaces, which JSON
    allows anywhere, and a reason take all of them."""
    answer = f'"answer": "({"|".join(map(re.escape, request.choices))})"'
    if request.readout == "reason":
        return f'\\{{"reason": "[^"\\\\\\n]{{1,{_CHARS_PER_TOKEN * request.max_tokens}}}", {answer}\\}}'
    return f'\\{{{answer}, "certainty": (100|[1-9][0-9]?)\\}}'


def _form(request: Request) -> Form:
    if request.readout == "logprobs":
        # Held to its choices, vLLM gives log-probabilities among these alone: so it is not held.
        return Form(TOP_LOGPROBS, "none", bool(request.begun))
    return form_of_request(request, _FEATURES)


class Ranks:
    """Which of several copies of the weights answers.

    Questions that begin alike (one persona's) follow each other and go to one copy, `streak` of them before the least
    busy copy takes over: so a portrait is computed once for so many questions, and no copy waits for another.
    """

    def __init__(self, n: int, streak: int) -> None:
        self._busy = [0] * n
        self._streak = max(1, streak)
        self._at: dict[int, tuple[int, int]] = {}  # of a beginning: its copy, and how many it takes yet

    def take(self, request: Request) -> int:
        """The copy for a request, which is busy with it until `done`."""
        begins = hash(request.messages[0])
        rank, left = self._at.pop(begins, (0, 0))
        if not left:
            rank, left = self._busy.index(min(self._busy)), self._streak
        self._at[begins] = rank, left - 1
        if len(self._at) > _MOST_BEGINNINGS:
            del self._at[next(iter(self._at))]
        self._busy[rank] += 1
        return rank

    def done(self, rank: int) -> None:
        """It has answered."""
        self._busy[rank] -= 1


@dataclass(frozen=True, slots=True)
class Output:
    """What vLLM made of one request.

    logprobs    of the first tokens: for each, token id -> (text, natural-log probability), the token taken first
    finish      `stop`, `length` or `abort`
    """

    text: str
    finish: str
    logprobs: Sequence[Mapping[int, tuple[str, float]]]
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int


def output_of(last: Any) -> Output:
    """The last output of a request of vLLM's."""
    said = last.outputs[0]
    return Output(
        text=said.text,
        finish=str(said.finish_reason or "stop"),
        logprobs=[
            {token: (one.decoded_token or "", float(one.logprob)) for token, one in place.items()}
            for place in said.logprobs or ()
        ],
        prompt_tokens=len(last.prompt_token_ids),
        cached_tokens=int(last.num_cached_tokens or 0),
        completion_tokens=len(said.token_ids),
    )


def scored_of(last: Any, *, begins: int) -> Scored:
    """The tokens of a prompt from `begins` on, each with its log-probability after those before it."""
    places = zip(last.prompt_token_ids[begins:], last.prompt_logprobs[begins:], strict=True)
    logprobs = [float(place[token].logprob) for token, place in places]
    return Scored(
        logprobs, len(last.prompt_token_ids), int(last.num_cached_tokens or 0), len(last.outputs[0].token_ids)
    )


def response_of(request: Request, output: Output, tokens: Mapping[int, str] | None) -> Response:
    """The response in one output; `tokens` as they were asked for."""
    if tokens is not None:
        usage = output.prompt_tokens, output.completion_tokens, output.cached_tokens
        told = {token: logprob for token, (_, logprob) in output.logprobs[0].items()} if output.logprobs else {}
        return response_among(request, told, tokens, usage)
    form, raw = _form(request), orjson.dumps(_reply(output))
    try:
        return to_response(request, request.request_id, raw, form)
    except NoLogprobsError:
        return to_response(request, request.request_id, raw, form.without_logprobs())


def _reply(output: Output) -> dict[str, Any]:
    """The output as a server of vLLM's would send it."""
    places = [
        [{"token": text, "logprob": logprob} for text, logprob in place.values() if math.isfinite(logprob)]
        for place in output.logprobs
    ]
    content = [place[0] | {"top_logprobs": place} for place in places if place]
    return {
        "choices": [
            {
                "message": {"content": output.text},
                "finish_reason": output.finish,
                "logprobs": {"content": content} if content else None,
            }
        ],
        "usage": {
            "prompt_tokens": output.prompt_tokens,
            "completion_tokens": output.completion_tokens,
            "total_tokens": output.prompt_tokens + output.completion_tokens,
            "prompt_tokens_details": {"cached_tokens": output.cached_tokens},
        },
    }
