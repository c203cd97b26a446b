"""When to ask again and after how long: the one policy of all networked engines."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

from tenacity import RetryCallState, Retrying, stop_after_attempt, wait_random_exponential

LONGEST_WAIT_S = 120.0
"""A server that asks for more patience than this is asked again after so long all the same."""

_FIRST_WAIT_S = 0.5
_MOST_BACKOFF_S = 30.0
_THROTTLED_TRIES = 5  # a 429 is no failure of the request: so many of them count as one try


class PassingError(Exception):
    """One try went wrong in a way that another may cure.

    words       what went wrong, for the row should all attempts fail
    wait_s      how long the server asked to be left alone, or None
    throttled   it was a matter of too many requests (429)
    overloaded  the endpoint could not cope: fewer requests at once may help (503, time-outs)
    unreached   no connection came about: nothing was sent
    """

    def __init__(
        self,
        words: str,
        *,
        wait_s: float | None = None,
        throttled: bool = False,
        overloaded: bool = False,
        unreached: bool = False,
    ) -> None:
        super().__init__(words)
        self.words = words
        self.wait_s = wait_s
        self.throttled = throttled
        self.overloaded = overloaded
        self.unreached = unreached


def is_passing(status: int) -> bool:
    """Whether an HTTP status is one that another try may cure."""
    return status in (408, 409, 425, 429) or status >= 500


class Policy:
    """How often and how soon. Only asked when something went wrong, so success costs nothing.

    max_attempts    attempts of one request before it becomes a row with a reason
    """

    def __init__(self, max_attempts: int) -> None:
        self._stop = stop_after_attempt(max_attempts)
        self._wait = wait_random_exponential(multiplier=_FIRST_WAIT_S, max=_MOST_BACKOFF_S)
        self._caller = Retrying()

    def gives_up(self, attempts: Attempts) -> bool:
        """Whether a request with these attempts behind it has had its chance."""
        return bool(self._stop(self._state(attempts.counted)))

    def wait_s(self, attempts: Attempts, trouble: PassingError) -> float:
        """Seconds until the next try: what the server asks for, else jittered exponential backoff."""
        backoff = float(self._wait(self._state(max(1, attempts.made))))
        if trouble.wait_s is None:
            return backoff
        # A little later than told, and not all at the same moment.
        return min(trouble.wait_s, LONGEST_WAIT_S) + min(backoff, 0.1 * trouble.wait_s)

    def _state(self, attempt: int) -> RetryCallState:
        state = RetryCallState(self._caller, None, (), {})
        state.attempt_number = attempt
        return state


class Attempts:
    """The attempts of one request so far."""

    __slots__ = ("failed", "made", "throttled")

    def __init__(self) -> None:
        self.made = 0
        self.failed = 0
        self.throttled = 0

    def add(self, trouble: PassingError) -> None:
        """Count one more. A try that never reached the server is not held against the request."""
        self.made += 1
        self.throttled += trouble.throttled
        self.failed += not (trouble.throttled or trouble.unreached)

    @property
    def counted(self) -> int:
        """Attempts as `max_attempts` means them."""
        return self.failed + self.throttled // _THROTTLED_TRIES


def wait_asked_s(headers: Mapping[str, str], *, now: float | None = None) -> float | None:
    """Seconds that the headers of a reply ask to be left alone, or None.

    `retry-after-ms`, then `Retry-After` (seconds or a date), then `x-ratelimit-reset-*` of what is used up.
    """
    now = time.time() if now is None else now
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return max(0.0, milliseconds / 1000)
    after = headers.get("Retry-After")
    if after is not None:
        seconds = _number(after)
        return max(0.0, seconds) if seconds is not None else _until(after, now)
    waits = [
        wait
        for what in ("requests", "tokens")
        if headers.get(f"x-ratelimit-remaining-{what}", "0").strip() == "0"
        and (wait := _duration(headers.get(f"x-ratelimit-reset-{what}"), now)) is not None
    ]
    return max(waits, default=None)


def _number(text: str | None) -> float | None:
    return float(text) if text is not None and re.fullmatch(r"\s*\d{1,12}(?:\.\d{1,9})?\s*", text) else None


def _until(date: str, now: float) -> float | None:
    try:
        return max(0.0, parsedate_to_datetime(date).timestamp() - now)
    except (ValueError, TypeError, OverflowError):
        return None


_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def _duration(text: str | None, now: float) -> float | None:
    """`6m0s`, `120ms`, `1.5` (seconds) or the second since 1970 at which the limit is lifted."""
    seconds = _number(text)
    if seconds is not None:
        return max(0.0, seconds - now) if seconds > 1e9 else seconds
    parts = re.findall(r"(\d{1,9}(?:\.\d{1,9})?)(ms|[smhd])", text or "")
    if not parts or "".join(number + unit for number, unit in parts) != (text or "").strip():
        return None
    return sum(float(number) * _UNITS[unit] for number, unit in parts)
