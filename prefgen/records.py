"""The records that travel between rooms: what is asked, what came back, what it was read as."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from prefgen.ids import content_id

Readout = Literal["logprobs", "text", "certainty", "reason", "prose"]
"""How the answer is wanted. `prose` is free text; the others end in one of `choices`."""

Status = Literal["ok", "tie", "na", "refusal", "unparsed", "failed"]
"""What became of one judgment. Only `ok`, `tie` and `na` are answers."""


@dataclass(frozen=True, slots=True)
class Request:
    """One question to a model: everything that can change the answer, and nothing else.

    No timeout, retry count, concurrency or address: those may differ between two runs that must
    share a stored answer. `repeat` is here so that asking twice asks twice.
    """

    model: str
    revision: str | None
    messages: tuple[tuple[str, str], ...]  # (role, content)
    readout: Readout
    choices: tuple[str, ...]  # the symbols an answer may be; empty for prose
    temperature: float
    top_p: float
    max_tokens: int
    seed: int | None
    repeat: int  # 0-based

    @property
    def request_id(self) -> str:
        """Hash of all fields. Positional, so that renaming a field never orphans stored answers."""
        return content_id(
            "req",
            (
                self.model,
                self.revision,
                self.messages,
                self.readout,
                self.choices,
                self.temperature,
                self.top_p,
                self.max_tokens,
                self.seed,
                self.repeat,
            ),
        )


@dataclass(frozen=True, slots=True)
class Response:
    """What came back for one request; a failure is a response too.

    text            what the model said, verbatim; '' for a failure
    alternatives    (token, natural-log probability) of the likeliest tokens at the answer's place, or None
    method          how the answer was obtained, e.g. `logprobs+grammar`, `text+json_schema`, `text`
    finish          the server's finish reason (`stop`, `length`, `content_filter`, ...)
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
