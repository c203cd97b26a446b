"""Requests as the JSON bytes that go over the wire. Pure: no network, no clock."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import orjson

from prefgen.engines.capabilities import Capabilities, Constraint
from prefgen.records import Readout, Request

_JSON_TOKENS = 64  # what `{"answer": "B", "certainty": 80}` needs, however widely a small model spaces it


@dataclass(frozen=True, slots=True)
class Form:
    """How one readout is asked of one endpoint.

    logprobs    alternatives asked for; 0 for none
    hold        what holds the answer to its choices
    begun       the answer's beginning is given
    """

    logprobs: int
    hold: Constraint
    begun: bool = False

    @property
    def method(self) -> str:
        """As it stands in every judgment's row, e.g. `logprobs+grammar` or `text+prefill`."""
        parts = ("logprobs" if self.logprobs else "text", self.hold, "prefill" if self.begun else "none")
        return "+".join(part for part in parts if part != "none")

    @property
    def is_raw(self) -> bool:
        """Whether its log-probabilities are those among all tokens: llama.cpp takes them before the grammar, others after."""
        return self.hold in ("none", "grammar")

    def held_not(self) -> Form:
        """The same without what held it."""
        return replace(self, hold="none")

    def without_logprobs(self) -> Form:
        """The same, read from the text alone."""
        return replace(self, logprobs=0)


PLAIN = Form(0, "none")
"""Whatever is said is the answer."""


@lru_cache(maxsize=256)
def form_of(readout: Readout, features: Capabilities, *, begun: bool = False) -> Form:
    """The form of a readout at an endpoint with these features.

    begun    the answer's beginning is given
    """
    hold, wanted = features.hold, features.top_logprobs
    if begun and hold == "json_schema":
        hold = "none"  # no JSON goes on from `Answer:`
    if readout == "prose" or hold == "none":
        return Form(wanted if readout == "logprobs" else 0, "none", begun)
    if readout == "logprobs" and wanted:
        # Inside JSON the answer is not the first token: dearer, so only for those who insist. Held to an expression, SGLang tells
        # the probabilities among the options alone; free, among all that might be said.
        return Form(wanted, "none" if hold in ("json_schema", "regex") and not features.insist else hold, begun)
    if readout == "reason" or (readout == "certainty" and hold == "structured_outputs"):
        return Form(0, "json_schema", begun)
    return Form(0, hold, begun)


def to_payload(
    request: Request, form: Form, features: Capabilities, *, model: str, extra: Mapping[str, Any]
) -> dict[str, Any]:
    """One request as the JSON object of /chat/completions.

    model   the endpoint's name of the model
    extra   further keys, which win over ours
    """
    payload: dict[str, Any] = {
        "model": model,
        "messages": [{"role": role, "content": content} for role, content in request.messages],
        features.cap: _most_tokens(request, form, features),
        "temperature": request.temperature,
    }
    if form.begun and features.prefill == "continue":
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
        held = (
            _held_to(request.schema)
            if request.schema
            else _held(form.hold, request.readout, request.choices, form.begun)
        )
        payload.update(held)
    for key in features.omit:
        payload.pop(key, None)
    if extra:
        payload.update(extra)
    return payload


def form_of_request(request: Request, features: Capabilities) -> Form:
    """The form in which one request is asked."""
    if request.schema:
        return Form(0, "none" if features.hold == "none" else "json_schema", bool(request.begun))
    return form_of(request.readout, features, begun=bool(request.begun))


def to_body(payload: Mapping[str, Any]) -> bytes:
    """A payload as bytes."""
    return orjson.dumps(payload)


def _most_tokens(request: Request, form: Form, features: Capabilities) -> int:
    if form.hold == "json_schema":
        return (
            request.max_tokens + _JSON_TOKENS if request.readout == "reason" else max(request.max_tokens, _JSON_TOKENS)
        )
    if form.logprobs and form.hold != "none" and not features.thinks:
        return 1  # the answer's token; what follows it is held too, and tells nothing
    return request.max_tokens


@lru_cache(maxsize=1024)
def _held(hold: Constraint, readout: Readout, choices: tuple[str, ...], begun: bool) -> dict[str, Any]:
    if hold == "grammar":
        return {"grammar": _grammar(readout, choices, begun)}
    if hold == "regex":
        return {"regex": _regex(readout, choices, begun)}
    if hold == "structured_outputs":
        # After `Answer:` the natural token carries its space.
        return {"structured_outputs": {"choice": [f" {choice}" for choice in choices] if begun else list(choices)}}
    schema = {"name": "answer", "strict": True, "schema": _schema(readout, choices)}
    return {"response_format": {"type": "json_schema", "json_schema": schema}}


@lru_cache(maxsize=256)
def _held_to(schema: str) -> dict[str, Any]:
    """A reply held to a JSON schema; `strict` is what makes hosted models keep to it."""
    told = {"name": "reply", "strict": True, "schema": orjson.loads(schema)}
    return {"response_format": {"type": "json_schema", "json_schema": told}}


def _grammar(readout: Readout, choices: tuple[str, ...], begun: bool) -> str:
    one = " | ".join(orjson.dumps(choice).decode() for choice in choices)
    root = f'root ::= " "? ({one})' if begun else f"root ::= ({one})"
    return root + ' " " ("100" | [1-9] [0-9]?)' if readout == "certainty" else root


def _regex(readout: Readout, choices: tuple[str, ...], begun: bool) -> str:
    one = f"{' ?' if begun else ''}({'|'.join(map(re.escape, choices))})"
    return f"{one} (100|[1-9][0-9]?)" if readout == "certainty" else one


def _schema(readout: Readout, choices: tuple[str, ...]) -> dict[str, Any]:
    answer: dict[str, Any] = {"answer": {"type": "string", "enum": list(choices)}}
    properties = answer
    if readout == "reason":
        properties = {"reason": {"type": "string"}} | answer
    elif readout == "certainty":
        properties = answer | {"certainty": {"type": "integer", "minimum": 1, "maximum": 100}}
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }
