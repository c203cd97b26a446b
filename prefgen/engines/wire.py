"""Requests as the JSON bytes that go over the wire, and replies as responses. Pure: no network, no clock."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import orjson

from prefgen.engines.features import Features, Hold, Words
from prefgen.records import Readout, Request, Response

_TEXT_TOKENS = 16  # what a choice in plain words needs, where one token was planned for log-probabilities
_JSON_TOKENS = 64  # what `{"answer": "B", "certainty": 80}` needs, however widely a small model spaces it
_LEAST_LOGPROB = -1000.0  # servers write -9999 for what the constraint forbids


@dataclass(frozen=True, slots=True)
class Form:
    """How one readout is asked of one endpoint.

    logprobs    alternatives asked for; 0 for none
    hold        what holds the answer to its choices
    """

    logprobs: int
    hold: Hold

    @property
    def method(self) -> str:
        """As it stands in every judgment's row, e.g. `logprobs+grammar`."""
        read = "logprobs" if self.logprobs else "text"
        return read if self.hold == "none" else f"{read}+{self.hold}"


class UnreadableError(Exception):
    """A reply that is no answer: cut short, not JSON, without choices, or an error in disguise."""


class NoLogprobsError(Exception):
    """An answer came without the log-probabilities that were asked for."""


@lru_cache(maxsize=256)
def form_of(readout: Readout, features: Features) -> Form:
    """The form of a readout at an endpoint with these features."""
    hold, wanted = features.hold, features.top_logprobs
    if readout == "prose" or hold == "none":
        return Form(wanted if readout == "logprobs" else 0, "none")
    if readout == "logprobs" and wanted:
        # Inside JSON the answer is not the first token: dearer, so only for those who insist.
        return Form(wanted, hold if hold != "json_schema" or features.insist else "none")
    if readout == "reason" or (readout == "certainty" and hold == "structured_outputs"):
        return Form(0, "json_schema")
    return Form(0, hold)


def to_payload(
    request: Request, form: Form, features: Features, *, model: str, extra: Mapping[str, Any]
) -> dict[str, Any]:
    """One request as the JSON object of /chat/completions.

    model   the endpoint's name of the model
    extra   further keys, which win over ours
    """
    messages = request.messages
    begun = messages[-1][0] == "assistant"
    if begun and (features.prefill == "none" or form.hold == "json_schema"):
        messages, begun = messages[:-1], False
    payload: dict[str, Any] = {
        "model": model,
        "messages": [{"role": role, "content": content} for role, content in messages],
        features.cap: _most_tokens(request, form),
        "temperature": request.temperature,
    }
    if begun and features.prefill == "continue":
        payload["continue_final_message"] = True
        payload["add_generation_prompt"] = False
    if request.top_p != 1.0:
        payload["top_p"] = request.top_p
    if request.seed is not None:
        # Repeats of one request are different draws of one seed.
        payload["seed"] = request.seed + request.repeat
    if form.logprobs:
        payload["logprobs"] = True
        payload["top_logprobs"] = form.logprobs
    if form.hold != "none":
        payload.update(_held(form.hold, request.readout, request.choices, begun))
    for key in features.omit:
        payload.pop(key, None)
    if extra:
        payload.update(extra)
    return payload


def to_body(payload: Mapping[str, Any]) -> bytes:
    """A payload as bytes."""
    return orjson.dumps(payload)


def _most_tokens(request: Request, form: Form) -> int:
    if form.hold == "json_schema":
        return (
            request.max_tokens + _JSON_TOKENS if request.readout == "reason" else max(request.max_tokens, _JSON_TOKENS)
        )
    if form.logprobs:
        return 1
    return max(request.max_tokens, _TEXT_TOKENS) if request.readout == "logprobs" else request.max_tokens


@lru_cache(maxsize=1024)
def _held(hold: Hold, readout: Readout, choices: tuple[str, ...], begun: bool) -> dict[str, Any]:
    if hold == "grammar":
        return {"grammar": _grammar(readout, choices, begun)}
    if hold == "structured_outputs":
        # After `Answer:` the natural token carries its space.
        return {"structured_outputs": {"choice": [f" {choice}" for choice in choices] if begun else list(choices)}}
    schema = {"name": "answer", "strict": True, "schema": _schema(readout, choices)}
    return {"response_format": {"type": "json_schema", "json_schema": schema}}


def _grammar(readout: Readout, choices: tuple[str, ...], begun: bool) -> str:
    one = " | ".join(orjson.dumps(choice).decode() for choice in choices)
    root = f'root ::= " "? ({one})' if begun else f"root ::= ({one})"
    return root + ' " " ("100" | [1-9] [0-9]?)' if readout == "certainty" else root


def _schema(readout: Readout, choices: tuple[str, ...]) -> dict[str, Any]:
    answer: dict[str, Any] = {"answer": {"type": "string", "enum": list(choices)}}
    properties = answer
    if readout == "reason":
        properties = {"reason": {"type": "string"}} | answer
    elif readout == "certainty":
        properties = answer | {"certainty": {"type": "integer", "minimum": 1, "maximum": 100}}
    return {
        "type": "object", "properties": properties, "required": list(properties), "additionalProperties": False,
    }  # fmt: skip


def to_response(request: Request, request_id: str, raw: bytes, form: Form) -> Response:
    """The response in a reply with status 200.

    Raises UnreadableError for what is no answer, NoLogprobsError for an answer without the log-probabilities
    that the form asked for.
    """
    try:
        reply = orjson.loads(raw)
    except orjson.JSONDecodeError:
        raise UnreadableError(f"the reply is not JSON, or cut short ({len(raw)} bytes)") from None
    try:
        return _read(request, request_id, reply, form)
    except (KeyError, IndexError, TypeError, AttributeError, ValueError):
        raise UnreadableError(_why_unreadable(reply)) from None


def _read(request: Request, request_id: str, reply: Any, form: Form) -> Response:
    choice = reply["choices"][0]
    message = choice["message"]
    finish = choice.get("finish_reason") or "stop"
    text = message.get("content")
    if text is None:
        text = ""
    elif not isinstance(text, str):
        text = "".join(part["text"] for part in text if part.get("type", "text") == "text")
    if request.messages[-1][0] == "assistant":
        # llama.cpp says again what the answer was begun with.
        text = text.removeprefix(request.messages[-1][1]).lstrip()
    alternatives = None
    refusal = message.get("refusal")
    if refusal:
        text, finish = str(refusal), "refusal"
    elif form.logprobs:
        alternatives = _alternatives(choice.get("logprobs"), form)
        if alternatives is None and text and finish != "content_filter":
            raise NoLogprobsError
    method = form.method
    if form.hold == "json_schema" and not refusal:
        plain = _plain(text, request.readout)
        if plain is None:
            method = "logprobs" if alternatives else "text"  # the server took the schema and did not keep to it
        else:
            text = plain
    elif form.hold != "none" and not refusal and not _keeps_to(text, request.choices):
        method = "logprobs" if alternatives else "text"
    usage = reply.get("usage") or {}
    cached = (usage.get("prompt_tokens_details") or {}).get("cached_tokens")
    return Response(
        request_id, text, alternatives, method, str(finish),
        int(usage.get("prompt_tokens") or 0), int(usage.get("completion_tokens") or 0), int(cached or 0),
    )  # fmt: skip


def _keeps_to(text: str, choices: tuple[str, ...]) -> bool:
    """Whether a text begins like a choice (its first token may be only a piece of it)."""
    first = text.split(maxsplit=1)[:1]
    return not first or any(choice.startswith(first[0]) for choice in choices)


def _alternatives(logprobs: Any, form: Form) -> tuple[tuple[str, float], ...] | None:
    tokens = (logprobs or {}).get("content")
    if not tokens:
        return None
    place = tokens[0] if form.hold != "json_schema" else _token_of_answer(tokens)
    found = [(each["token"], each["logprob"]) for each in place.get("top_logprobs") or ()]
    said = (place["token"], place["logprob"])
    if said not in found:
        found.append(said)
    kept = tuple((token, float(p)) for token, p in found if p is not None and p > _LEAST_LOGPROB)
    return kept or None


def _token_of_answer(tokens: list[Any]) -> Any:
    """The token that says the answer inside `{"answer": "B"}`; the first token where there is none."""
    before = ""
    for token in tokens:
        if re.search(r'"answer"\s*:\s*"$', before):
            return token
        before += token["token"]
    return tokens[0]


def _plain(text: str, readout: Readout) -> str | None:
    """`{"answer": "B", "certainty": 80}` as the words the plain readout would have; None for another text."""
    try:
        said = orjson.loads(text)
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


def _why_unreadable(reply: Any) -> str:
    if isinstance(reply, dict) and reply.get("error"):
        return f"an error in place of an answer: {_words_in(reply).message}"
    if isinstance(reply, dict) and reply.get("choices") == []:
        return "the reply holds no choices"
    return "the reply has not the shape of a chat completion"


def words_of(raw: bytes) -> Words:
    """What a server said in an error's body: its message field, else the text of the page."""
    try:
        return _words_in(orjson.loads(raw))
    except orjson.JSONDecodeError:
        page = re.sub(r"<[^>]*>", " ", raw[:4000].decode("utf-8", "replace"))
        return Words(" ".join(page.split()) or "no reason given")


def _words_in(reply: Any) -> Words:
    error = reply.get("error", reply) if isinstance(reply, dict) else reply
    if isinstance(error, str):
        return Words(error)
    if not isinstance(error, dict):
        return Words("no reason given")
    message = error.get("message")
    if not isinstance(message, str):
        message = _detail(error.get("detail"))
    return Words(message, str(error.get("param") or ""), str(error.get("code") or ""))


def _detail(detail: Any) -> str:
    """FastAPI's validation errors: `loc: msg` of the first, without the input it repeats."""
    if isinstance(detail, str):
        return detail
    if isinstance(detail, list) and detail and isinstance(detail[0], dict):
        place = ".".join(str(part) for part in detail[0].get("loc") or ())
        return f"{place}: {detail[0].get('msg', '')}"
    return "no reason given"


_KEYLIKE = re.compile(r"\b(?:sk|pk|rk|gsk|xai|hf|key)[-_][A-Za-z0-9_\-*]{6,}|Bearer\s+\S+", re.I)
_WINDOW = 32


def discreet(words: str, *, key: str | None, prompt: str) -> str:
    """Words without the key, anything like a key, and any piece of the prompt; 300 characters at most."""
    if key:
        words = words.replace(key, "***")
    words = _KEYLIKE.sub("***", words[:4000])
    start = 0
    while start + _WINDOW <= len(words):
        if words[start : start + _WINDOW] in prompt:
            end = start + _WINDOW
            while end < len(words) and words[start : end + 1] in prompt:
                end += 1
            words = f"{words[:start]}[...]{words[end:]}"
        start += 1
    return words if len(words) <= 300 else words[:297] + "..."
