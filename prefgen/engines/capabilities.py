"""What one endpoint can do: a first guess from who it says it is, corrected by what it refuses."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol, get_args

import orjson

from prefgen.errors import EngineError
from prefgen.spec.models import BatchModel, OpenAIModel
from prefgen.store.fitting import Within, misfit

Constraint = Literal["none", "grammar", "structured_outputs", "regex", "json_schema"]
"""What holds an answer to its choices."""

Prefill = Literal["none", "trailing", "continue"]

TOP_LOGPROBS = 20
_FEWER_LOGPROBS = 5


class Facts(Protocol):
    """Where findings about an endpoint are kept from one run to the next (`store.StoredFacts` is one)."""

    def fact(self, key: str) -> str | None: ...

    def remember(self, key: str, value: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Capabilities:
    """How one endpoint wants to be asked.

    hold          the strongest constraint it takes
    insist        the user named `hold`: it is used for every readout and never given up
    top_logprobs  alternatives asked for; 0 where it gives no log-probabilities
    cap           its name for the most tokens of an answer
    prefill       how it goes on from a begun answer: by itself, when told to, or not at all
    thinks        it thinks before the answer, also where that is held to its choices: one token is too few
    omit          sampling settings that it refuses
    token_ids     it tells the log-probabilities of tokens that are named by their ids
    """

    hold: Constraint = "none"
    insist: bool = False
    top_logprobs: int = TOP_LOGPROBS
    cap: str = "max_tokens"
    prefill: Prefill = "trailing"
    thinks: bool = False
    omit: frozenset[str] = frozenset()
    token_ids: bool = False


@dataclass(frozen=True, slots=True)
class ErrorBody:
    """What a server said when it refused: its message, and the parameter, code and type it named, '' for none."""

    message: str
    param: str = ""
    code: str = ""
    kind: str = ""


_BY_OWNER: Mapping[str, Capabilities] = {
    "llamacpp": Capabilities("grammar"),
    "vllm": Capabilities("structured_outputs", prefill="continue", token_ids=True),
    "sglang": Capabilities("regex", prefill="continue"),
}
_NEVER_GOES_ON = ("api.openai.com",)
_UNKNOWN = Capabilities("json_schema")
_BELOW: Mapping[Constraint, Constraint] = {
    "grammar": "json_schema",
    "structured_outputs": "json_schema",
    "regex": "json_schema",
    "json_schema": "none",
}
_KEY_OF: Mapping[Constraint, str] = {
    "grammar": "grammar",
    "structured_outputs": "structured_outputs",
    "regex": "regex",
    "json_schema": "response_format",
}
_NOT_TAKEN = re.compile(
    r"unsupported|not supported|does ?n.t support|not support|unknown|unrecogni[sz]ed|unexpected|not (?:allowed|permitted)"
    r"|extra (?:inputs|fields)|invalid|incompatible|cannot|must be|greater than|at most|maximum|max allowed|not available"
    r"|not enabled|disabled|failed to parse|not implemented|not valid",
    re.I,
)
_ABOUT_LENGTH = re.compile(r"context length|context window|too (?:large|long)|maximum context|context size", re.I)


def first_guess(spec: OpenAIModel | BatchModel, owner: str | None) -> Capabilities:
    """What to try first; `owner` is the `owned_by` of the endpoint's models, None where it does not tell."""
    found = _BY_OWNER.get((owner or "").lower(), _UNKNOWN)
    return _as_told(spec, found)


def is_known(owner: str | None) -> bool:
    """Whether the owner tells how the endpoint goes on from a begun answer."""
    return (owner or "").lower() in _BY_OWNER


def check_prefill(spec: OpenAIModel | BatchModel, base_url: str, host: str | None, words: str = "") -> None:
    """EngineError where a begun answer is wanted of a host that is known to begin a new message, or said so in `words`."""
    if spec.prefill and (words or host in _NEVER_GOES_ON):
        said = words or "this API does not go on from a message of the assistant"
        raise EngineError(f"{base_url}: `prefill: true` was asked for, but: {said}", fix="write `prefill: false`")


def _as_told(spec: OpenAIModel | BatchModel, found: Capabilities) -> Capabilities:
    if spec.constrain != "auto":
        found = replace(found, hold=spec.constrain, insist=True, token_ids=False)
    if spec.logprobs is False:
        found = replace(found, top_logprobs=0, token_ids=False)
    elif spec.logprobs is True and not found.top_logprobs:
        found = replace(found, top_logprobs=TOP_LOGPROBS)
    return found


def owner_of(models: object) -> str | None:
    """The `owned_by` in the reply to GET /models, or None."""
    data = models.get("data") if isinstance(models, dict) else None
    if isinstance(data, list) and data and isinstance(data[0], dict):
        owner = data[0].get("owned_by")
        return owner if isinstance(owner, str) else None
    return None


def names_of(models: object) -> list[str]:
    """Names of the models in the reply to GET /models; empty where it cannot be read."""
    data = models.get("data") if isinstance(models, dict) else None
    if not isinstance(data, list):
        return []
    return [model["id"] for model in data if isinstance(model, dict) and isinstance(model.get("id"), str)]


def without(features: Capabilities, words: ErrorBody, sent: Mapping[str, Any]) -> Capabilities | None:
    """The features less what a refusal names; None when it is not about a feature, but about this prompt.

    sent    the body that was refused: only what stands in it can have been refused
    """
    named = _named(words, sent)
    if named == "top_logprobs" and features.top_logprobs > _FEWER_LOGPROBS:
        return replace(features, top_logprobs=_FEWER_LOGPROBS)
    if named in ("logprobs", "top_logprobs"):
        return replace(features, top_logprobs=0)
    if named in ("max_tokens", "max_completion_tokens"):
        other = "max_completion_tokens" if named == "max_tokens" else "max_tokens"
        return replace(features, cap=other) if features.cap == named else None
    if named in ("temperature", "top_p", "seed"):
        return replace(features, omit=features.omit | {named})
    if named == "token_ids":
        return replace(features, token_ids=False)
    if named == "prefill":
        return replace(features, prefill="none")
    if named == "response_format":
        return replace(features, hold="none")
    if named is not None and named == _KEY_OF.get(features.hold):
        return replace(features, hold=_BELOW[features.hold])
    return None


def _named(words: ErrorBody, sent: Mapping[str, Any]) -> str | None:
    """The key of `sent` that a refusal is about, 'prefill' for a trailing assistant message, or None."""
    text = words.message
    if _ABOUT_LENGTH.search(text):
        return None
    param = words.param.split(".")[0].split("[")[0]
    if param in _REFUSABLE and param in sent:
        return _REFUSABLE[param]
    if param and param not in ("body", "messages", "None"):
        return None
    if not _NOT_TAKEN.search(text):
        return None
    messages = sent.get("messages") or [{}]
    if messages[-1].get("role") == "assistant" and re.search(
        r"prefill|assistant|last message|final message", text, re.I
    ):
        return "prefill"
    for pattern, key in _SPOKEN:
        if key in sent and re.search(pattern, text, re.I):
            return _REFUSABLE[key]
    return None


_REFUSABLE: Mapping[str, str] = {
    key: key
    for key in (
        "top_logprobs",
        "logprobs",
        "max_tokens",
        "max_completion_tokens",
        "temperature",
        "top_p",
        "seed",
        "response_format",
        "grammar",
        "structured_outputs",
        "regex",
    )
} | {
    "logprob_token_ids": "token_ids",
    "return_tokens_as_token_ids": "token_ids",
    "continue_final_message": "prefill",
    "add_generation_prompt": "prefill",
}

_SPOKEN = (
    (r"\blogprob_token_ids\b", "logprob_token_ids"),
    (r"\breturn_tokens_as_token_ids\b", "return_tokens_as_token_ids"),
    (r"\btop_logprobs\b|sample logprobs of", "top_logprobs"),
    (r"\blog_?probs\b|log.probabilit", "logprobs"),
    (r"['\"`]max_tokens['\"`]|\bmax_tokens\b(?! of)", "max_tokens"),
    (r"\bmax_completion_tokens\b", "max_completion_tokens"),
    (r"\bresponse_format\b|json_schema|structured outputs?", "response_format"),
    (r"\bstructured_outputs\b", "structured_outputs"),
    (r"\bgrammar\b", "grammar"),
    (r"\bregex\b", "regex"),
    (r"\bcontinue_final_message\b", "continue_final_message"),
    (r"\badd_generation_prompt\b", "add_generation_prompt"),
    (r"\btemperature\b", "temperature"),
    (r"\btop_p\b", "top_p"),
    (r"['\"`]seed['\"`]", "seed"),
)


def fact_key(base_url: str, model: str) -> str:
    """Under which name the features of an endpoint are remembered."""
    return f"features {base_url} {model}"


def to_fact(features: Capabilities) -> str:
    """Capabilities as one line of JSON."""
    kept = {
        "hold": features.hold,
        "top_logprobs": features.top_logprobs,
        "cap": features.cap,
        "prefill": features.prefill,
        "thinks": features.thinks,
        "omit": sorted(features.omit),
        "token_ids": features.token_ids,
    }
    return orjson.dumps(kept).decode()


_FACT = {
    "hold": frozenset(get_args(Constraint)),
    "top_logprobs": Within(0, TOP_LOGPROBS),
    "cap": str,
    "prefill": frozenset(get_args(Prefill)),
    "thinks": bool,
    "omit": [str],
    "token_ids": bool,
}


def from_fact(spec: OpenAIModel | BatchModel, fact: str | None) -> Capabilities | None:
    """Remembered features, with what the spec says on top; None when nothing usable was remembered."""
    try:
        kept = orjson.loads(fact or "")
    except orjson.JSONDecodeError:
        return None
    if misfit(kept, _FACT) is not None:
        return None
    rest = {name: kept[name] for name in ("hold", "top_logprobs", "cap", "prefill", "thinks", "token_ids")}
    found = Capabilities(**rest, omit=frozenset(kept["omit"]))
    return _as_told(spec, found)
