"""What a server said instead of an answer: what it means, and in which words people are told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus

from prefgen.engines.capabilities import ErrorBody
from prefgen.engines.engine import RefusedError
from prefgen.engines.retry import PassingError, is_passing, wait_asked_s
from prefgen.engines.words import discreet
from prefgen.errors import EngineError
from prefgen.records import Request
from prefgen.spec.models import OpenAIModel

_MOST_CHARS = 320  # of what is told of a failure
_NO_MONEY = ("insufficient_quota", "billing_hard_limit_reached", "insufficient_balance")


class Refusals:
    """A server's refusals as errors, with neither the key nor the prompt in their words."""

    def __init__(self, spec: OpenAIModel, key: str | None) -> None:
        self._spec = spec
        self._key = key

    def discreet(self, words: str, request: Request) -> str:
        """Words of a server without what must not be repeated."""
        return discreet(words, key=self._key, prompt="\n".join(content for _, content in request.messages))

    def refused(self, head: str, words: ErrorBody, request: Request) -> RefusedError:
        """A refusal that is about this request."""
        return RefusedError(self._told(head, words, request))

    def raise_for(
        self, status: int, head: str, words: ErrorBody, headers: Mapping[str, str], request: Request, base_url: str
    ) -> None:
        """Raise what a status and its words mean, unless they may be about this request.

        head    what happened, for people; not the status where an error came with HTTP 200
        """
        if 300 <= status < 400:
            raise RefusedError(f"HTTP {status}: the server sends us to another address, and a key is never taken there")
        said = self._told(head, words, request)
        model = self._spec.model
        if status == HTTPStatus.PAYMENT_REQUIRED or not {words.code, words.kind}.isdisjoint(_NO_MONEY):
            raise EngineError(f"{base_url}: {said}", fix="see to the account's credit, then run the same command again")
        if is_passing(status):
            raise PassingError(
                said,
                wait_s=wait_asked_s(headers) if status in (429, 503) or "Retry-After" in headers else None,
                throttled=status == HTTPStatus.TOO_MANY_REQUESTS,
                overloaded=status == HTTPStatus.SERVICE_UNAVAILABLE,
            )
        if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            raise EngineError(
                f"{base_url}: {said}",
                fix=f"put a key that may use {model!r} into the environment variable {self._spec.api_key_env}",
            )

    def no_such_model(
        self, head: str, words: ErrorBody, request: Request, base_url: str, names: Sequence[str]
    ) -> EngineError:
        """The server has no such model; `names` are those that it lists."""
        listed = self.discreet(", ".join(repr(name[:80]) for name in names[:8]), request)
        there = f"this server has {listed}" if names else "is there a /v1 in base_url?"
        said = self._told(head, words, request)
        return EngineError(
            f"{base_url}: model {self._spec.model!r}: {said}", fix=f"check `model` and `base_url`; {there}"
        )

    def _told(self, head: str, words: ErrorBody, request: Request) -> str:
        return f"{head}: {self.discreet(words.message, request)}"[:_MOST_CHARS]
