"""What the misbehaving endpoint was told to do: its personality and its faults, as one JSON document.

Every decision is a pure function of the script, the request's body and the attempt number, so that one
script gives the same storm on any machine, and answers do not depend on the storm at all.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal

Personality = Literal["llamacpp", "vllm", "sglang", "openai", "plain"]
CHAT = "/v1/chat/completions"

PASSING = (
    "429_seconds",
    "429_date",
    "429_bare",
    "429_ms",
    "500",
    "502_html",
    "503",
    "reset_before",
    "reset_mid",
    "close_mid",
    "lost",
    "truncated_json",
    "invalid_json",
    "empty_choices",
    "error_in_200",
    "drip",
)
"""Faults that a second try can cure. (`drip` is slow, and whole in the end.)"""

HANGING = ("hang",)
"""Cured by a timeout and a second try."""

ANSWERS = ("content_filter", "refusal", "wrong_option", "null_content", "huge")
"""Complete answers that are not a choice; whoever asks again is told the same, so these go by prompt."""

LASTING = ("400", "401", "403", "404", "context_length", "redirect_301", "redirect_307", "redirect_308")
"""No second try helps."""

FAULTS = (*PASSING, *HANGING, *ANSWERS, *LASTING)


@dataclass(frozen=True, slots=True)
class Storm:
    """Faults drawn at random. `per` attempt: each try is drawn anew; per prompt: a body has its fault for ever.

    calm_after    tries after which a body is left in peace (per attempt only)
    """

    rate: float
    kinds: tuple[str, ...] = PASSING
    seed: int = 0
    per: Literal["attempt", "prompt"] = "attempt"
    calm_after: int = 3
    paths: tuple[str, ...] = (CHAT,)

    def fault(self, path: str, digest: bytes, attempt: int) -> str | None:
        if path not in self.paths or (self.per == "attempt" and attempt >= self.calm_after):
            return None
        name = b"%d|%d|" % (self.seed, attempt if self.per == "attempt" else -1)
        drawn = int.from_bytes(hashlib.blake2b(name + digest, digest_size=8).digest(), "big") / 2**64
        if drawn >= self.rate:
            return None
        return self.kinds[int(drawn / self.rate * len(self.kinds))]


@dataclass(frozen=True, slots=True)
class Rule:
    """One fault for every request whose body holds `match`, for its first `attempts` tries (null: always)."""

    match: str
    fault: str
    attempts: int | None = None
    path: str = CHAT


@dataclass(frozen=True, slots=True)
class BatchScript:
    """How batches go. Numbers of batches are 0-based, in order of creation.

    polls             looks at a batch until it is done
    expire            batches that expire with half of their rows answered
    refuse            batches that fail validation
    stuck             batches that stay in progress until /admin/advance
    fail_rows         share of rows that fail with a 500 inside the output's error file, the first time only
    dialect           how results are written: `plain`, or in one of the ways of `batches.DIALECTS`
    most_at_once      batches in progress at once; one more fails with `token_limit_exceeded`; null: no limit
    """

    polls: int = 2
    expire: tuple[int, ...] = ()
    refuse: tuple[int, ...] = ()
    stuck: tuple[int, ...] = ()
    fail_rows: float = 0.0
    most_at_once: int | None = None
    dialect: str = "plain"


@dataclass(frozen=True, slots=True)
class Script:
    """One server.

    refuses          request keys answered with 400, e.g. `logprobs`, `response_format`, `max_tokens`, `temperature`
    ignores          request keys taken without effect
    tells_tokens     of `vllm`: it answers /tokenize, and tells log-probabilities of tokens by their ids
    rest             ... in which all that is no choice has this probability
    key              the only key let in; null lets everyone in
    latency_s        (least, most) seconds before any reply
    rate_limit       requests per second above which 429 is said; null: none
    die_after        requests after which nobody listens any more; null: never
    """

    personality: Personality = "llamacpp"
    models: tuple[str, ...] = ("test-model",)
    refuses: tuple[str, ...] = ()
    ignores: tuple[str, ...] = ()
    tells_tokens: bool = False
    rest: float = 0.1
    key: str | None = None
    latency_s: tuple[float, float] = (0.0, 0.0)
    retry_after_s: float = 1.0
    drip_s: float = 0.3
    huge_bytes: int = 20_000_000
    rate_limit: float | None = None
    die_after: int | None = None
    seed: int = 0
    storms: tuple[Storm, ...] = ()
    rules: tuple[Rule, ...] = ()
    batch: BatchScript = field(default_factory=BatchScript)

    def fault(self, path: str, digest: bytes, attempt: int, body: bytes) -> str | None:
        for rule in self.rules:
            tried = rule.attempts is not None and attempt >= rule.attempts
            if rule.path == path and not tried and rule.match.encode() in body:
                return rule.fault
        for storm in self.storms:
            fault = storm.fault(path, digest, attempt)
            if fault is not None:
                return fault
        return None


def parse_script(data: Mapping[str, Any]) -> Script:
    """A script from its JSON. Raises ValueError for a key or a fault nobody knows."""
    values = dict(data)
    values["storms"] = tuple(_checked(_made(Storm, storm)) for storm in values.get("storms", ()))
    values["rules"] = tuple(_checked(_made(Rule, rule)) for rule in values.get("rules", ()))
    values["batch"] = _made(BatchScript, values.get("batch", {}))
    latency = values.get("latency_s", 0.0)
    values["latency_s"] = tuple(latency) if isinstance(latency, list | tuple) else (latency, latency)
    script: Script = _made(Script, values)
    return script


def _made(kind: type[Any], values: Mapping[str, Any]) -> Any:
    known = {each.name for each in fields(kind)}
    if unknown := set(values) - known:
        raise ValueError(f"{kind.__name__} has no {sorted(unknown)}; it has {sorted(known)}")
    return kind(**{key: tuple(value) if isinstance(value, list) else value for key, value in values.items()})


def _checked(faulty: Any) -> Any:
    for kind in (faulty.fault,) if isinstance(faulty, Rule) else faulty.kinds:
        if kind not in FAULTS:
            raise ValueError(f"no fault {kind!r}; there are {FAULTS}")
    return faulty
