"""What came back with HTTP 200, as a response: an answer, or by name why it is none. Pure: no network, no clock."""

from __future__ import annotations

import re
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import orjson

from prefgen.engines.alternatives import Likely, likely_tokens
from prefgen.engines.capabilities import ErrorBody
from prefgen.engines.wire import Form
from prefgen.engines.words import loads, words_in
from prefgen.records import Readout, Request, Response
from prefgen.thoughts import answer_begins

_MOST_CHARS = 200_000  # of an answer; what is longer was not what was asked for, and is cut
_MOST_TOKENS = 10**9  # of one answer; what is more was not counted
_FILTERED = re.compile(
    r"content.?filter|safety|prohibited|sensitive|recitation|block|spii|moderat|guardrail|flagged|policy|profan", re.I
)
_CUT = frozenset(
    ("length", "max_tokens", "model_length", "max_output_tokens", "max_completion_tokens", "max_new_tokens")
)
_STOPPED = frozenset(("stop", "end_turn", "stop_sequence", "eos", "eos_token", "end", "complete", "completed"))
_BROKEN = frozenset(
    (
        "error",
        "insufficient_system_resource",
        "network_error",
        "abort",
        "aborted",
        "cancelled",
        "canceled",
        "failed",
        "internal_error",
        "server_error",
        "model_error",
        "timeout",
    )
)


INSIDE = "HTTP 200 with an error inside"
"""How such an error is told; what it says of itself follows."""

_THOUGHTS = ("reasoning_content", "reasoning", "reasoning_details", "thinking")
"""Where servers put thoughts that are no part of the text."""


class UnreadableError(Exception):
    """A reply that is no answer: cut short, not JSON, or without choices."""


class FailedInReplyError(Exception):
    """An error that came with HTTP 200: the status that it should have come with, and what was said.

    head    what happened, for people: the status is named only where the reply names it
    """

    def __init__(self, status: int, words: ErrorBody, *, named: bool = False) -> None:
        super().__init__(words.message)
        self.status = status
        self.words = words
        self.head = INSIDE + (f": HTTP {status}" if named else "")


class StillThinkingError(Exception):
    """The tokens were spent on thoughts, of which there should have been none."""


def to_response(request: Request, request_id: str, raw: bytes, form: Form) -> Response:
    """The response in a reply with status 200.

    Raises FailedInReplyError for an error in disguise, UnreadableError for what else is no answer, NoLogprobsError
    for an answer without the log-probabilities that the form asked for, StillThinkingError for a thought of one token.
    """
    reply, usage = read_reply(raw)
    try:
        return _response(request, request_id, _said(reply), form, usage)
    except (KeyError, IndexError, TypeError, AttributeError, ValueError):
        raise UnreadableError(_why_unreadable(reply)) from None


def read_reply(raw: bytes) -> tuple[dict[str, Any], tuple[int, int, int]]:
    """A reply as JSON, and its (prompt, completion, cached) tokens; UnreadableError, FailedInReplyError."""
    try:
        reply = loads(raw)
    except ValueError:
        raise UnreadableError(_why_no_json(raw)) from None
    if not isinstance(reply, dict):
        raise UnreadableError("the reply is no JSON object")
    if reply.get("error"):
        raise _failed(reply, reply["error"])
    return reply, _usage(reply.get("usage"))


@dataclass(frozen=True, slots=True)
class _Said:
    """One choice of a reply.

    finish     in our words: `stop`, `length`, `content_filter`, `refusal`, or the server's own
    thought    there are thoughts outside of the text
    """

    text: str
    finish: str
    thought: bool = False
    logprobs: Any = None


def _said(reply: dict[str, Any]) -> _Said:
    """Raises FailedInReplyError, and what a reply of another shape raises."""
    choices = reply["choices"]
    if not choices and _FILTERED.search(_why_blocked(reply)):
        return _Said("", "content_filter")
    choice = choices[0]
    if choice.get("index") not in (0, None):
        choice = next((one for one in choices if one.get("index") in (0, None)), choice)
    if choice.get("error"):
        raise _failed(choice, choice["error"])
    finish = _finish(choice.get("finish_reason"))
    if finish == "error":
        raise FailedInReplyError(HTTPStatus.BAD_GATEWAY, ErrorBody(f"finish reason {choice['finish_reason']!r:.60}"))
    message = choice.get("message")
    if message is None and finish == "content_filter":
        return _Said("", finish)
    if message is None and isinstance(choice.get("text"), str):
        message = {"content": choice["text"]}
    if message.get("refusal"):
        return _Said(str(message["refusal"])[:_MOST_CHARS], "refusal")
    text, thought = _text(message["content"] if "content" in message else message.get("text"))
    thought = thought or any(map(message.get, _THOUGHTS))
    if len(text) > _MOST_CHARS:
        text, finish = text[:_MOST_CHARS], "length"
    return _Said(text, finish, thought, choice.get("logprobs"))


def _text(content: Any) -> tuple[str, bool]:
    """The text of a message, and whether parts of it are thoughts."""
    if content is None:
        return "", False
    if isinstance(content, str):
        return content, False
    kinds = [part.get("type", "text") if isinstance(part, dict) else "text" for part in content]
    texts = [
        part if isinstance(part, str) else part["text"]
        for part, kind in zip(content, kinds, strict=True)
        if kind in ("text", "output_text")
    ]
    return "".join(texts), any(kind in ("thinking", "reasoning", "thought") for kind in kinds)


def _response(request: Request, request_id: str, said: _Said, form: Form, usage: tuple[int, int, int]) -> Response:
    text, (prompt, completion, cached) = said.text, usage
    if form.begun:
        text = text.removeprefix(request.begun).lstrip()  # llama.cpp says again what the answer was begun with
    if said.finish in ("content_filter", "refusal"):
        method = form.without_logprobs().held_not().method
        return Response(request_id, text, None, method, said.finish, prompt, completion, cached)
    likely = _likely(said, text, form) if form.logprobs else None
    if likely is None:
        form = form.without_logprobs()
    if form.hold == "json_schema" and not request.schema:
        plain = _plain(text, request.readout)
        text, form = (text, form.held_not()) if plain is None else (plain, form)
    elif form.hold != "none" and not request.schema and not _keeps_to(text, request.choices):
        form = form.held_not()
    return Response(
        request_id,
        text,
        None if likely is None else likely.tokens,
        form.method,
        said.finish,
        prompt,
        completion,
        cached,
        chosen="" if likely is None else likely.chosen,
        raw=form.is_raw,
    )


def _likely(said: _Said, text: str, form: Form) -> Likely | None:
    """What else might have been said; None where nothing was. Raises NoLogprobsError, StillThinkingError."""
    begin = answer_begins(text)
    if begin is None or not text[begin:].strip():
        if said.finish == "length" and said.thought and form.hold in ("grammar", "structured_outputs"):
            raise StillThinkingError
        return None
    return likely_tokens(said.logprobs, text[begin:], in_json=form.hold == "json_schema", thought=said.thought)


def _keeps_to(text: str, choices: tuple[str, ...]) -> bool:
    """Whether a text begins like a choice (its first token may be only a piece of it)."""
    first = text.split(maxsplit=1)[:1]
    return not first or any(choice.startswith(first[0]) for choice in choices)


def _plain(text: str, readout: Readout) -> str | None:
    """`{"answer": "B", "certainty": 80}` as the words the plain readout would have; None for another text."""
    bare = text[answer_begins(text) or 0 :].strip()
    if bare.startswith("```"):
        bare = bare.strip("`").removeprefix("json").strip()
    try:
        said = orjson.loads(bare)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(said, dict) or not isinstance(said.get("answer"), str):
        return None
    answer: str = said["answer"]
    if readout == "reason":
        reason = " ".join(str(said.get("reason", "")).split())
        # A reason that itself begins like the answer's line would be read as a second answer.
        lead = "Reason: " if re.match(r"\W*answer\s*:", reason, re.I) else ""
        return f"{lead}{reason}\nAnswer: {answer}"
    if readout == "certainty" and isinstance(said.get("certainty"), int):
        return f"{answer} {said['certainty']}"
    return answer


def _finish(said: Any) -> str:
    """A finish reason in our words."""
    word = str((said.get("type") if isinstance(said, dict) else said) or "stop")[:60]
    plain = word.lower()
    if plain in _STOPPED:
        return "stop"
    if plain in _CUT:
        return "length"
    if plain in _BROKEN:
        return "error"
    return "content_filter" if _FILTERED.search(word) else word


def _failed(holder: dict[str, Any], error: Any) -> FailedInReplyError:
    """An error with the HTTP status that it names, or that its words mean; 502 where it does not say."""
    words = words_in({"error": error})
    named = error if isinstance(error, dict) else {}
    for code in (named.get("code"), named.get("status"), named.get("status_code"), holder.get("status_code")):
        if re.fullmatch("[45][0-9]{2}", str(code)):
            return FailedInReplyError(int(str(code)), words, named=True)
    for status, meaning in _MEANINGS:
        if meaning.search(f"{words.code} {words.kind}") or (
            not (words.code or words.kind) and meaning.search(words.message)
        ):
            return FailedInReplyError(status, words)
    return FailedInReplyError(HTTPStatus.BAD_GATEWAY, words)


_MEANINGS = (
    (402, re.compile(r"insufficient.?(?:quota|balance|credit|funds)|billing|payment.?required", re.I)),
    (401, re.compile(r"invalid.?api.?key|authenticat|unauthori[sz]ed|no auth", re.I)),
    (429, re.compile(r"rate.?limit|too.?many.?requests|throttl", re.I)),
    (503, re.compile(r"overloaded|unavailable|capacity", re.I)),
)
"""What errors without a number mean."""


def _usage(usage: Any) -> tuple[int, int, int]:
    """(prompt, completion, cached) tokens; thoughts are part of the completion, also where a server counts them apart."""
    if not isinstance(usage, dict):
        return 0, 0, 0
    prompt, completion = _count(usage.get("prompt_tokens")), _count(usage.get("completion_tokens"))
    total = _count(usage.get("total_tokens"))
    of_prompt, of_completion = usage.get("prompt_tokens_details"), usage.get("completion_tokens_details")
    cached = _count(of_prompt.get("cached_tokens")) if isinstance(of_prompt, dict) else 0
    thoughts = _count(of_completion.get("reasoning_tokens")) if isinstance(of_completion, dict) else 0
    if thoughts > completion:
        completion += thoughts
    return prompt, max(completion, total - prompt if prompt else 0), min(cached, prompt)


def _count(said: Any) -> int:
    """A number of tokens; 0 for what can be none."""
    try:
        number = int(said)
    except (TypeError, ValueError, OverflowError):
        return 0
    return number if 0 <= number <= _MOST_TOKENS else 0


def _why_blocked(reply: dict[str, Any]) -> str:
    feedback = reply.get("prompt_feedback") or reply.get("promptFeedback") or reply.get("prompt_filter_results")
    return str(feedback)[:1000] if feedback else ""


def _why_no_json(raw: bytes) -> str:
    if raw[:200].lstrip().startswith((b"data:", b"event:")):
        return "the reply is a stream of events, which nobody asked for; `extra_body: {stream: false}` may help"
    return f"the reply is not JSON, or cut short ({len(raw)} bytes)"


def _why_unreadable(reply: Any) -> str:
    if isinstance(reply, dict) and reply.get("choices") == []:
        return "the reply holds no choices"
    return "the reply has not the shape of a chat completion"
