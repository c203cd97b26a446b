"""What the endpoint says: a pure function of the request's body, in the manner of five kinds of server.

It has tastes: an option's utility is drawn from the words of the prompt (persona included) and of the option,
never from where the option stands, with a small leaning to the first slot. So both orders mostly agree, two
personas differ, and a calm run and a stormy one end with the same answers.
"""

from __future__ import annotations

import hashlib
import math
import re
from typing import Any

import orjson

from tests.servers.script import Script
from tests.servers.tokens import named

_OPTION = re.compile(r"^[ \t*(\[]*([A-Z]{1,3})[.):\]]+[ \t]+(\S.*)$", re.MULTILINE)
_LITERAL = re.compile(r'"((?:[^"\\]|\\.)*)"')
_LEANING = 0.3
_SHARPNESS = 5.0
_NOISE = (("The", 0.05), (" ", 0.02), ("I", 0.015), ("Sure", 0.01), ("\n", 0.005))

_KNOWN_TO_OPENAI = frozenset(
    (
        "model",
        "messages",
        "temperature",
        "top_p",
        "max_tokens",
        "max_completion_tokens",
        "seed",
        "logprobs",
        "top_logprobs",
        "response_format",
        "stop",
        "n",
        "user",
        "store",
        "metadata",
        "logit_bias",
        "presence_penalty",
        "frequency_penalty",
        "stream",
        "stream_options",
        "service_tier",
        "reasoning_effort",
        "safety_identifier",
        "prompt_cache_key",
        "prediction",
        "modalities",
        "tools",
        "tool_choice",
        "parallel_tool_calls",
        "verbosity",
    )
)


class RefusedError(Exception):
    """The server does not take this request: HTTP status and the words."""

    def __init__(self, status: int, message: str, *, param: str | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.body = {"error": {"message": message, "type": "invalid_request_error", "param": param, "code": code}}


def _unit(*names: str) -> float:
    digest = hashlib.blake2b("\x1f".join(names).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64


def check(body: dict[str, Any], script: Script) -> None:
    """Raise RefusedError as the personality would, or as the script says."""
    if body.get("model") not in script.models:
        raise RefusedError(
            404,
            f"The model `{body.get('model')}` does not exist or you do not have access to it.",
            code="model_not_found",
        )
    for key in script.refuses:
        if key in body:
            instead = " Use 'max_completion_tokens' instead." if key == "max_tokens" else ""
            raise RefusedError(
                400,
                f"Unsupported parameter: '{key}' is not supported with this model.{instead}",
                param=key,
                code="unsupported_parameter",
            )
    if script.personality == "openai":
        for key in body:
            if key not in _KNOWN_TO_OPENAI:
                raise RefusedError(400, f"Unknown parameter: '{key}'.", param=key, code="unknown_parameter")
    top = body.get("top_logprobs") or 0
    if script.personality == "openai" and top > 20:
        raise RefusedError(
            400, f"Invalid value for 'top_logprobs': must be less than or equal to 20, got {top}.", param="top_logprobs"
        )
    if script.personality == "vllm" and top > 20:
        raise RefusedError(400, f"Requested sample logprobs of {top}, which is greater than max allowed: 20")
    if script.personality == "llamacpp" and "grammar" in body and "response_format" in body and _schema(body):
        raise RefusedError(400, 'Either "json_schema" or "grammar" can be specified, but not both')


def tastes(messages: list[dict[str, Any]]) -> dict[str, float]:
    """Probability of each option letter written on the page (the last user message); A and B where none is found."""
    texts = [str(message.get("content") or "") for message in messages]
    words = dict(_OPTION.findall(_page(messages)))
    letters = list(words) or ["A", "B"]
    key = "\x1e".join(_OPTION.sub("", text) for text in texts)
    scores = {letter: _SHARPNESS * _unit(key, words.get(letter, letter)) for letter in letters}
    scores[letters[0]] += _LEANING
    passage = _page(messages).split("\n\n")[1:2] if _page(messages).startswith("Read this") else []
    for letter, text in words.items():
        if any(text in told for told in passage):
            scores[letter] += 20.0  # what it reads back is what stands there
    whole = sum(math.exp(score) for score in scores.values())
    return {letter: math.exp(score) / whole for letter, score in scores.items()}


def _page(messages: list[dict[str, Any]]) -> str:
    """What the user asks; behind it may stand the beginning of the answer."""
    return next((str(each["content"]) for each in reversed(messages) if each["role"] == "user"), "")


def _schema(body: dict[str, Any]) -> dict[str, Any] | None:
    wanted = body.get("response_format") or {}
    if wanted.get("type") == "json_schema":
        schema: dict[str, Any] = wanted["json_schema"]["schema"]
        return schema
    return None


def _instance(schema: dict[str, Any], p: dict[str, float]) -> Any:
    """A value of the schema: enums by taste, integers by certainty, strings in a few words."""
    if "enum" in schema:
        offered = [str(value) for value in schema["enum"]]
        return max(offered, key=lambda letter: p.get(letter, 0.0))
    kind = schema.get("type", "string")
    if kind == "object":
        return {name: _instance(part, p) for name, part in schema.get("properties", {}).items()}
    if kind == "array":
        return [_instance(schema.get("items", {}), p) for _ in range(max(1, schema.get("minItems", 1)))]
    if kind in ("integer", "number"):
        low, high = schema.get("minimum", 1), schema.get("maximum", 100)
        return min(high, max(low, round(100 * max(p.values()))))
    return kind == "boolean" or "It is what I would want."


def _said(body: dict[str, Any], script: Script, p: dict[str, float]) -> tuple[list[str], bool]:
    """Tokens of the answer, and whether a grammar or a choice held it."""
    obeyed = {
        "llamacpp": ("grammar", "response_format"),
        "vllm": ("structured_outputs", "response_format"),
        "sglang": ("regex", "response_format"),
        "openai": ("response_format",),
        "plain": (),
    }[script.personality]
    obeyed = tuple(key for key in obeyed if key not in script.ignores)
    if "structured_outputs" in obeyed and (held := body.get("structured_outputs")):
        return [max(held["choice"], key=lambda choice: p.get(choice.strip(), 0.0))], True
    if "regex" in obeyed and body.get("regex"):
        letters = re.match(r"(?: \?)?\(([^)]*)\)", body["regex"])[1].split("|")
        letter = max(letters, key=lambda each: p.get(each, 0.0))
        return [letter, " ", _certainty(p)] if "[0-9]" in body["regex"] else [letter], True
    if "grammar" in obeyed and body.get("grammar"):
        return _by_grammar(body["grammar"], p), True
    if "response_format" in obeyed and (schema := _schema(body)) is not None:
        text = orjson.dumps(_instance(schema, p)).decode()
        return [part for part in re.split(r'(?<=")([A-Z])(?=")', text) if part], True
    page = _page(body["messages"])
    letter = _rating(page) or max(p, key=lambda each: p[each])
    if page.startswith("Tell "):
        return re.findall(r"\S+\s*", _written(page)), False
    if "Answer: and one of" in page:
        return ["It", " suits", " my", " life", ".", "\n", "Answer", ":", " ", letter], False
    if "how certain" in page:
        return [letter, " ", _certainty(p)], False
    if script.personality == "plain":
        return ["I", " would", " choose", " ", letter, "."], False
    return [letter], False


def _rating(page: str) -> str | None:
    """What is said where a number, or yes or no, is asked for."""
    lowest = re.search(r"whole number from (-?\d+) ", page)
    return lowest[1] if lowest else "yes" if "Reply with yes or no" in page else None


def _written(page: str) -> str:
    """A scene that holds its option, or a life that holds its facts."""
    shown = re.search(r"^It shows this answer: (.*)$", page, re.MULTILINE)
    if shown:
        return f"Ann meets Bob at the gate. What they want is {shown[1]}. Both of them smile."
    facts = re.findall(r"^- (.*): (.*)$", page, re.MULTILINE)
    return " ".join(["You get up early and walk to work.", *(f"Your {name} is {level}." for name, level in facts)])


def _by_grammar(grammar: str, p: dict[str, float]) -> list[str]:
    root = next(line for line in grammar.splitlines() if line.split("::=")[0].strip() == "root")
    offered = [literal for literal in _LITERAL.findall(root) if literal.strip() in p]
    if not offered and "[0-9]" not in grammar:
        return _LITERAL.findall(root)[:1]
    letter = max(offered or list(p), key=lambda each: p.get(each.strip(), 0.0))
    if "[0-9]" in grammar:
        return [letter, " ", _certainty(p)]
    return [letter]


def _certainty(p: dict[str, float]) -> str:
    return str(max(1, min(99, round(100 * max(p.values())))))


def _alternatives(token: str, p: dict[str, float], script: Script, held: bool, top: int) -> list[dict[str, Any]]:
    space = token[: len(token) - len(token.lstrip())]
    likely = {space + letter: mass for letter, mass in p.items()} if token.strip() in p else {token: 1.0}
    if len(likely) > 1 and not (held and script.personality == "vllm"):
        room = 1 - sum(mass for _, mass in _NOISE)
        likely = {letter: mass * room for letter, mass in likely.items()} | dict(_NOISE)
    ordered = sorted(likely.items(), key=lambda pair: -pair[1])[:top]
    found = [{"token": each, "logprob": math.log(mass), "bytes": list(each.encode())} for each, mass in ordered]
    if held and script.personality == "vllm":
        found += [{"token": each, "logprob": -9999.0, "bytes": list(each.encode())} for each, _ in _NOISE][
            : top - len(found)
        ]
    return found


def completion(body: dict[str, Any], script: Script, digest: str) -> dict[str, Any]:
    """The whole reply to one chat request. Raises RefusedError."""
    check(body, script)
    messages = body["messages"]
    if (
        script.personality == "sglang"
        and messages[-1]["role"] == "assistant"
        and not body.get("continue_final_message")
    ):
        messages = [*messages[:-1], messages[-1] | {"role": "user"}]
    p = tastes(messages)
    tokens, held = _said(body, script, p)
    most = body.get("max_completion_tokens") or body.get("max_tokens") or 4096
    finish = "length" if len(tokens) >= most else "stop"  # no token was left to say the end
    tokens = tokens[:most]
    choice: dict[str, Any] = {
        "index": 0,
        "message": {"role": "assistant", "content": "".join(tokens)},
        "finish_reason": finish,
    }
    if body.get("logprobs") and script.personality != "plain" and "logprobs" not in script.ignores:
        top = body.get("top_logprobs") or 0
        choice["logprobs"] = {"content": [_token(token, p, script, held, top) for token in tokens]}
        if script.tells_tokens and body.get("logprob_token_ids"):
            choice["logprobs"] = named(body, tokens[0], p, script.rest)
    told = _prompt_logprobs(messages) if script.personality == "vllm" and "prompt_logprobs" in body else None
    prompt_tokens = _prompt_tokens(messages) if told is None else len(told)
    usage: dict[str, Any] = {
        "prompt_tokens": prompt_tokens,
        "completion_tokens": len(tokens),
        "total_tokens": prompt_tokens + len(tokens),
    }
    if script.personality in ("openai", "vllm"):
        usage["prompt_tokens_details"] = {"cached_tokens": prompt_tokens // 2}
    return {
        "id": f"chatcmpl-{digest}",
        "object": "chat.completion",
        "created": 1_760_000_000,
        "model": body["model"],
        "choices": [choice],
        "usage": usage,
        **({} if told is None else {"prompt_logprobs": told}),
    }


def _prompt_tokens(messages: list[dict[str, Any]]) -> int:
    return sum(len(str(message.get("content") or "")) for message in messages) // 4 + 4


def _prompt_logprobs(messages: list[dict[str, Any]]) -> list[dict[str, Any] | None]:
    """Of every token of a prompt that ends with a begun answer, whose tokens are its words; by taste, as everything."""
    *before, last = messages
    told = [{"1": {"logprob": -1.0, "rank": 1, "decoded_token": "x"}}] * (_prompt_tokens(before) - 1)
    return [None, *told, *({"2": {"logprob": one, "rank": 2}} for one in likelihood(before, last["content"]))]


def likelihood(messages: list[dict[str, Any]], text: str) -> list[float]:
    """The log-probability of every word of a text as the answer to a conversation."""
    key = "\x1e".join(str(message.get("content") or "") for message in messages)
    words = re.findall(r"\s*\S+", text)
    return [-_SHARPNESS * _unit(key, "".join(words[: place + 1])) for place in range(len(words))]


def _token(token: str, p: dict[str, float], script: Script, held: bool, top: int) -> dict[str, Any]:
    alternatives = _alternatives(token, p, script, held, max(top, 1))
    own = next((each["logprob"] for each in alternatives if each["token"] == token), -0.1)
    return {"token": token, "logprob": own, "bytes": list(token.encode()), "top_logprobs": alternatives[:top]}
