"""llama.cpp in this process: a model that answers with no key, no GPU and no network.

One slot and one request in flight, in the order given: the slot keeps the last prompt, so whatever the next
one begins with in common (a persona, then a question) is not computed again, and the same order of requests
gives the same numbers. What a run repeats is still the stored response, never a second asking.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import orjson

from prefgen.engines.alternatives import named_by
from prefgen.engines.engine import Engine, Meter
from prefgen.engines.forced import SplitError, forcing, token_ids
from prefgen.engines.likelihood import Scored, scored_response
from prefgen.engines.store import ResponseStore
from prefgen.engines.weights import load_server
from prefgen.records import Request, Response
from prefgen.spec.models import EmbeddedModel

_LIKELIEST = 20  # tokens whose log-probability is asked for; nearly always every choice is among them
_MANY = 1000  # asked for when one is not: 6 ms more
_LAST_WORDS = 8  # tokens of `max_tokens` that `reason` keeps for its last line


def engine_of(spec: EmbeddedModel, _: ResponseStore) -> Engine:
    """The engine of a model."""
    return EmbeddedEngine(spec)


class EmbeddedEngine:
    """Answers with SmolLM2-135M-Instruct, or with the user's own GGUF. The weights are loaded at the first request.

    A prompt longer than the context becomes a failure of that request. EngineError when packages or weights
    are missing or broken.
    """

    room = 1

    def __init__(self, spec: EmbeddedModel) -> None:
        self._spec = spec
        self._server: Any = None
        # One thread for all its life: libgomp keeps a team of threads for each that calls it.
        self._thread = ThreadPoolExecutor(1, "llama.cpp")

    @asynccontextmanager
    async def session(self, meter: Meter) -> AsyncIterator[EmbeddedSession]:
        if self._server is None:
            self._server = load_server(self._spec)
        yield EmbeddedSession(self._server, self._thread, meter)

    def close(self) -> None:
        """The weights go when nobody holds this engine any more."""


class EmbeddedSession:
    """One request after the other, in the order in which they are awaited."""

    def __init__(self, server: Any, thread: ThreadPoolExecutor, meter: Meter) -> None:
        self._server = server
        self._thread = thread
        self._meter = meter

    async def settle(self) -> None:
        """Nothing is ever left to come."""

    async def answer(self, request: Request) -> Response:
        self._meter.in_flight = 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, _answer, self._server, request)
        except _Refused as refused:
            return Response(request.request_id, failure=str(refused), final=refused.final)
        finally:
            self._meter.in_flight = 0


class _Refused(Exception):  # noqa: N818 - llama.cpp's no to one prompt, in its words
    def __init__(self, words: str, *, final: bool) -> None:
        super().__init__(words)
        self.final = final


@dataclass(frozen=True, slots=True)
class _Said:
    """One completion: the text after what was begun, and the likeliest tokens at its first place.

    logprobs    of every token that was said
    """

    text: str
    logprobs: tuple[float, ...]
    chosen: tuple[str, float] | None
    likeliest: tuple[tuple[str, float], ...]
    finish: str
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int


def _answer(server: Any, request: Request) -> Response:
    if request.readout == "logprobs":
        return _by_logprobs(server, request)
    if request.readout == "reason":
        return _by_reason(server, request)
    if request.readout == "likelihood":
        return scored_response(request, [_forced(server, request, choice) for choice in request.choices], "forced")
    grammar = None
    if request.readout == "text":
        grammar = _choice_grammar(request.choices)
    elif request.readout == "certainty":
        grammar = f'{_choice_grammar(request.choices)} " " ("100" | [1-9] [0-9]?)'
    said = _complete(server, request, max_tokens=request.max_tokens, grammar=grammar)
    return _response(request, said, text=said.text, method="text" if grammar is None else "text+grammar")


def _by_logprobs(server: Any, request: Request) -> Response:
    """One token held to the choices, and the log-probability of each choice before it was held to them."""
    said = _complete(server, request, max_tokens=1, grammar=_choice_grammar(request.choices), likeliest=_LIKELIEST)
    alternatives = _alternatives(server, request, said)
    # A token that begins no choice (a lone space) was the likeliest way to begin; it is not an answer.
    taken = said.chosen[0] if said.chosen is not None and named_by(said.chosen[0], request.choices) else None
    chosen = next((one for one in alternatives if one[0] == taken), alternatives[0] if alternatives else ("", 0.0))
    text = next(iter(named_by(chosen[0], request.choices)), "")
    if len(alternatives) < 2:
        return _response(request, said, text=text, method="text+grammar")
    taken_first = (chosen, *(one for one in alternatives if one is not chosen))
    return _response(request, said, text=text, method="logprobs+grammar", alternatives=taken_first)


def _by_reason(server: Any, request: Request) -> Response:
    """The reason in the model's own words, then the last line begun for it and one constrained token."""
    room = max(1, request.max_tokens - _LAST_WORDS)
    reason = _complete(server, request, max_tokens=room, grammar=None, stop=["\n", "Answer:"])
    words = " ".join(reason.text.split())
    begun = f"{words}\nAnswer:"
    chosen = _complete(server, request, max_tokens=_LAST_WORDS, grammar=_choice_grammar(request.choices), begun=begun)
    answer = _response(request, chosen, text=f"{begun} {chosen.text}", method="reason+grammar")
    return replace(answer, completion_tokens=answer.completion_tokens + reason.completion_tokens)


def _forced(server: Any, request: Request, choice: str) -> Scored:
    """A choice said token by token under a grammar that leaves nothing else; the log-probabilities are those before it."""
    try:
        tokens = token_ids(server, choice)
    except SplitError:
        raise _Refused(
            "an option has a character that this model writes in several tokens, which llama.cpp cannot be led through",
            final=True,
        ) from None
    said = _complete(server, request, max_tokens=len(tokens), grammar=forcing(tokens), likeliest=1)
    if len(said.logprobs) != len(tokens):
        raise _Refused(f"llama.cpp said {len(said.logprobs)} of an option's {len(tokens)} tokens", final=True)
    return Scored(said.logprobs, said.prompt_tokens, said.cached_tokens, said.completion_tokens)


def _response(
    request: Request,
    said: _Said,
    *,
    text: str,
    method: str,
    alternatives: tuple[tuple[str, float], ...] | None = None,
) -> Response:
    return Response(
        request.request_id,
        text=text,
        alternatives=alternatives,
        method=f"{method}+prefill" if request.begun else method,
        chosen=alternatives[0][0] if alternatives else "",
        finish=said.finish,
        prompt_tokens=said.prompt_tokens,
        completion_tokens=said.completion_tokens,
        cached_tokens=said.cached_tokens,
    )


def _alternatives(server: Any, request: Request, said: _Said) -> tuple[tuple[str, float], ...]:
    """(token, log-probability) of every token that names a choice or begins one, each choice at least once."""
    tokens = _of_choices(said, request.choices)
    if _absent(tokens, request.choices):
        grammar = _choice_grammar(request.choices)
        tokens |= _of_choices(
            _complete(server, request, max_tokens=1, grammar=grammar, likeliest=_MANY), request.choices
        )
    while absent := _absent(tokens, request.choices):
        # Held to the choices still missing, the model has to take the likeliest of them, and says what it was worth.
        grammar = _choice_grammar(absent)
        more = _of_choices(_complete(server, request, max_tokens=1, grammar=grammar, likeliest=1), absent)
        if not more.keys() - tokens.keys():
            break
        tokens |= more
    return tuple(sorted(tokens.items(), key=lambda one: -one[1]))


def _of_choices(said: _Said, choices: tuple[str, ...]) -> dict[str, float]:
    tokens = said.likeliest if said.chosen is None else (*said.likeliest, said.chosen)
    return {token: logprob for token, logprob in tokens if named_by(token, choices)}


def _absent(tokens: dict[str, float], choices: tuple[str, ...]) -> tuple[str, ...]:
    there = {choice for token in tokens for choice in named_by(token, choices)}
    return tuple(choice for choice in choices if choice not in there)


def _choice_grammar(choices: tuple[str, ...]) -> str:
    quoted = (choice.replace("\\", "\\\\").replace('"', '\\"') for choice in choices)
    return 'root ::= " "? (' + " | ".join(f'"{choice}"' for choice in quoted) + ")"


def _complete(
    server: Any,
    request: Request,
    *,
    max_tokens: int,
    grammar: str | None,
    likeliest: int = 0,
    begun: str = "",
    stop: list[str] | None = None,
) -> _Said:
    """One call. `begun` goes on where the request's own beginning of the answer ends."""
    body = _body(request, max_tokens=max_tokens, begun=begun)
    if grammar is not None:
        body["grammar"] = grammar
    if request.schema:
        body["response_format"] = {"type": "json_schema", "json_schema": {"schema": orjson.loads(request.schema)}}
    if likeliest:
        body |= {"logprobs": True, "top_logprobs": likeliest}
    if stop:
        body["stop"] = stop
    try:
        reply = server.handle_chat_completions(body)
    except RuntimeError as error:
        raise _Refused(str(error), final=False) from None
    if "error" in reply:
        no = reply["error"]
        raise _Refused(f"{no.get('code')} {no.get('message')}", final=no.get("code") == 400)
    return _said(reply, body["messages"][-1])


def _body(request: Request, *, max_tokens: int, begun: str) -> dict[str, Any]:
    messages = [{"role": role, "content": content} for role, content in request.messages]
    if begun and messages[-1]["role"] == "assistant":
        messages[-1] = {"role": "assistant", "content": f"{messages[-1]['content']}{begun}"}
    elif begun:
        messages.append({"role": "assistant", "content": begun})
    return {
        "messages": messages,
        "max_tokens": max_tokens,
        "temperature": request.temperature,
        "top_p": request.top_p,
        "top_k": 0,
        "min_p": 0.0,
        # The id holds the seed, the prompt and `repeat`: asked k times, a warm model may answer in k ways.
        "seed": int(request.request_id[-8:], 16) & 0x7FFFFFFF,
        "cache_prompt": True,
        "chat_template_kwargs": {"enable_thinking": False},
    }


def _said(reply: dict[str, Any], last: dict[str, str]) -> _Said:
    choice, usage = reply["choices"][0], reply["usage"]
    text = str(choice["message"].get("content") or "")
    if last["role"] == "assistant":
        text = text.removeprefix(last["content"])  # llama.cpp says again what the answer was begun with
    places: list[dict[str, Any]] = (choice.get("logprobs") or {}).get("content") or []
    first = places[0] if places else {}
    return _Said(
        text=text.strip(),
        logprobs=tuple(float(place["logprob"]) for place in places),
        chosen=(first["token"], float(first["logprob"])) if first else None,
        likeliest=tuple((one["token"], float(one["logprob"])) for one in first.get("top_logprobs", ())),
        finish=str(choice["finish_reason"]),
        prompt_tokens=int(usage["prompt_tokens"]),
        cached_tokens=int((usage.get("prompt_tokens_details") or {}).get("cached_tokens", 0)),
        completion_tokens=int(usage["completion_tokens"]),
    )
