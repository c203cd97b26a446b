"""The records that travel between rooms: what is asked, what came back, what it was read as."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field, fields
from functools import cache
from typing import Any, Literal, cast

from prefgen.ids import content_id

Readout = Literal["logprobs", "text", "certainty", "reason", "prose", "likelihood", "vector"]
"""How the answer is wanted. `prose` is free text; of a `likelihood` the choices are texts, each of which is scored as the answer; a `vector`
is what the last message is as numbers; the others end in one of `choices`."""

LEAST_P = 1e-12
"""What a probability of 0 is taken for, so that its log-odds stay finite."""

Status = Literal["ok", "tie", "na", "refusal", "unparsed", "failed"]
"""What became of one judgment. Only `ok`, `tie` and `na` are answers."""


@dataclass(frozen=True, slots=True)
class Request:
    """One question to a model: everything that can change the answer, and nothing else.

    No timeout, retry count, concurrency or address: those may differ between two runs that must
    share a stored answer. `repeat` is here so that asking twice asks twice.
    """

    model: str
    revision: str | None = None
    messages: tuple[tuple[str, str], ...] = ()  # (role, content); a last one of the assistant is the begun answer
    readout: Readout = "prose"
    choices: tuple[str, ...] = ()  # the symbols an answer may be, the texts of a likelihood; empty for prose
    temperature: float = 0.0
    top_p: float = 1.0
    max_tokens: int = 16
    seed: int | None = None
    repeat: int = 0  # 0-based
    schema: str = ""  # of prose that is to be JSON: a JSON schema, as JSON with sorted keys
    _id: str = field(default="", init=False, repr=False, compare=False)

    @property
    def request_id(self) -> str:
        """Hash of the fields by name, those at their default left out; computed once.

        A new field whose default means what was done before therefore leaves every stored answer valid. A default that
        is changed does not: it has to stay what it is here.
        """
        if not self._id:
            said = {
                name: value
                for name, default in _identity(cast("Hashable", type(self)))
                if (value := getattr(self, name)) != default
            }
            object.__setattr__(self, "_id", content_id("req", said))
        return self._id

    @property
    def begun(self) -> str:
        """What the answer has been begun with, which the model goes on from; '' where it begins by itself."""
        role, content = self.messages[-1] if self.messages else ("", "")
        return content if role == "assistant" else ""


@cache
def _identity(kind: Hashable) -> tuple[tuple[str, Any], ...]:
    """The fields that make an id, with their defaults (MISSING, which equals nothing, where there is none)."""
    return tuple((each.name, each.default) for each in fields(cast("type[Request]", kind)) if each.init)


@dataclass(frozen=True, slots=True)
class Response:
    """What came back for one request; a failure is a response too.

    text            what the model said, verbatim; '' for a failure, and for thoughts that the server keeps apart; for a likelihood
                    the log-probability of every token of every choice, in order, as JSON: [[-1.2, -0.3], [-2.5]]; for a vector its numbers
    alternatives    (token, natural-log probability) of the likeliest tokens at the answer's place, each text once, the
                    token that was taken first; None where there are fewer than two, so that nothing is certain by default
    method          how the answer was obtained: `likelihood`, `logprobs` (there are alternatives) or `text`, then what held it to its
                    choices and `prefill` where its beginning was given, e.g. `logprobs+grammar+prefill`, `text+json_schema`; `token_ids`: it is one of the choices' tokens,
                    whatever other token was likelier
    finish          `stop`, `length` (cut off), `content_filter` or `refusal`, else the server's own word
    completion_tokens    tokens of the answer, those of its reasoning included
    failure         None for an answer, else what went wrong in the server's words (never prompts or keys)
    final           for a failure: True when asking again cannot help (HTTP 400, say), so it is not asked again
    chosen          the token at the answer's place that was taken; '' without alternatives
    raw             whether the alternatives are probabilities among all tokens; False where the server gives those
                    among the tokens that a constraint left over, which say nothing about what else would have been said
    """

    request_id: str
    text: str = ""
    alternatives: tuple[tuple[str, float], ...] | None = None
    method: str = ""
    finish: str = ""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    failure: str | None = None
    final: bool = True
    chosen: str = ""
    raw: bool = True


@dataclass(frozen=True, slots=True)
class Reading:
    """One response, read. `symbol` is a member of the request's `choices` or None.

    p            probability of each choice in the request's order, summing to 1; None when nothing was read
    certainty    the judge's own 1-100, or None
    p_read       share of the token distribution that the choices hold, 0 to 1; None where that is not known
    reason       what the judge said besides its verdict, or None
    by           what `p` was taken from: log-probabilities, or the text said
    """

    symbol: str | None
    status: Status
    p: tuple[float, ...] | None = None
    certainty: int | None = None
    p_read: float | None = None
    reason: str | None = None
    by: Literal["logprobs", "text"] = "text"
