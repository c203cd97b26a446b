"""Why requests brought nothing: the commonest reasons in the server's words, with what would help."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping

from prefgen.records import Response
from prefgen.thoughts import answer_of

UNANSWERED = frozenset({"failed", "unparsed", "refusal"})
"""Statuses of a row that has no answer: nothing came, nothing that can be read, or a refusal to answer."""

_SHOWN = 3  # reasons of one kind that a screen has room for
_KINDS_KEPT = 1_000
_IDS_KEPT = 100_000
_LENGTH = 160
_CHANGING = re.compile(r"\b(?=[\w-]*\d)[\w-]{6,}\b|\d+(?:\.\d+)?(?: ?m?s\b)?")  # ids and numbers that differ each time
_STATUS = re.compile(r"\AHTTP \d{3}")
_HELP = tuple(
    (re.compile(pattern, re.I), help_)
    for pattern, help_ in (
        (
            r"system.{0,30}\brole|role.{0,30}system|system (?:message|prompt|instruction)",
            "write `system_role: false` under the model",
        ),
        (r"credit|balance|quota|billing|payment|HTTP 402", "see to the account's credit"),
        (
            r"api.?key|unauthori[sz]ed|authenti|forbidden|permission|HTTP 40[13]",
            "put a key that may use this model into the variable that `api_key_env` names",
        ),
        (
            r"filter|moderat|content.?policy|safety|prohibited|sensitive|blocked",
            "the provider objects to these prompts: reword them, or ask another model",
        ),
        (r"log.?prob", "write `logprobs: false` under the model"),
        (
            r"context.{0,20}(?:length|window|size)|too (?:long|many tokens)|maximum.{0,30}tokens",
            "shorten the texts, or take a model with a larger context",
        ),
        (r"model.{0,60}(?:not found|not exist|unknown|invalid)|no such model|HTTP 404", "check `model` and `base_url`"),
        (
            r"stream|not JSON",
            "see that `base_url` is the `/v1` of an OpenAI-compatible server; one that streams unasked takes `extra_body: {stream: false}`",
        ),
        (r"time[d ]?.?out|no answer within", "raise `timeout_s`, or lower `concurrency`"),
        (
            r"\bHTTP 5\d\d|internal server error|error inside",
            "where only log-probabilities fail write `logprobs: false`; else run the same command again later",
        ),
        (r"not in the (?:replayed )?file|replay", "replay the responses of a run with the same questions"),
    )
)
_DECLINED = "reword these prompts, or ask another model"
_THINKING = "give the answer room (`max_tokens` under the model), or turn thinking off (`extra_body`)"


class NonresponseReasons:
    """Listens to all responses of a step and says in the end what was wrong with them.

    failed_finally     ids of failures that would not be asked again
    """

    def __init__(self) -> None:
        self.failed_finally: list[str] = []
        self._failures: Counter[str] = Counter()
        self._words: dict[str, str] = {}
        self._unread: Counter[str] = Counter()
        self._withheld = 0
        self._longest = ""

    def hear(self, responses: Iterable[Response]) -> None:
        """Take note of some responses."""
        for response in responses:
            if response.failure is not None:
                self._hear_failure(response)
                continue
            if response.alternatives is None:
                self._hear_text(response)

    def notes(self, statuses: Mapping[str, int]) -> list[str]:
        """One sentence for each common reason, for people.

        statuses    how many rows of the step's table have which status
        """
        found = []
        for kind, count in self._failures.most_common(_SHOWN) if statuses.get("failed") else ():
            words = self._words[kind]
            found.append(f"{count:,} x {words}" + _helped(words))
        if len(self._failures) > _SHOWN and found:
            found.append(f"and {len(self._failures) - _SHOWN:,} other reasons for a failure")
        if statuses.get("refusal") and self._withheld:
            found.append(
                f"{self._withheld:,} x withheld by a filter of the provider (finish reason `content_filter`); fix: {_DECLINED}"
            )
        silent = any(statuses.get(status) for status in ("unparsed", "unread", "refusal"))
        return found + (self._unread_notes(statuses) if silent else [])

    def _hear_failure(self, response: Response) -> None:
        words = " ".join((response.failure or "").split())[:_LENGTH]
        status = _STATUS.match(words)
        kind = (status[0] if status else "") + _CHANGING.sub("#", words[status.end() if status else 0 :])
        if kind in self._failures or len(self._failures) < _KINDS_KEPT:
            self._failures[kind] += 1
            self._words.setdefault(kind, words)
        if response.final and len(self.failed_finally) < _IDS_KEPT:
            self.failed_finally.append(response.request_id)

    def _hear_text(self, response: Response) -> None:
        if response.finish == "content_filter":
            self._withheld += 1
            return
        said = answer_of(response.text)
        if said is None:
            self._unread["cut off while it still thought"] += 1
        elif not said:
            cut = (
                "cut off before any text (finish reason `length`)" if response.finish == "length" else "no text at all"
            )
            self._unread[cut] += 1
        else:
            if response.finish == "length":
                self._unread["cut off in the answer (finish reason `length`)"] += 1
            if len(said) > len(self._longest):
                self._longest = said[:_LENGTH]

    def _unread_notes(self, statuses: Mapping[str, int]) -> list[str]:
        unread = {name: statuses.get(name, 0) for name in ("unparsed", "unread")}
        if any(unread.values()) and self._unread:
            return [f"{count:,} x {kind}; fix: {_THINKING}" for kind, count in self._unread.most_common(_SHOWN)]
        declined = statuses.get("refusal", 0) - self._withheld  # of texts, not of rows, where a row has several
        counts = {"refusal": max(declined, 0), **unread}
        read_as = ", ".join(f"{count:,} {name}" for name, count in counts.items() if count)
        if not read_as:
            return []
        words = " ".join(self._longest.split())
        help_ = f"; fix: {_DECLINED}" if counts["refusal"] else ""
        return [read_as + (f", e.g. {words!r}" if words else "") + help_]


def _helped(words: str) -> str:
    return next((f"; fix: {help_}" for pattern, help_ in _HELP if pattern.search(words)), "")
