"""Requests that a server refuses for good, and what it means when it refuses every one of them."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

from prefgen.errors import EngineError
from prefgen.records import Response

_ALL_REFUSED = 50


class EarlyRefusals:
    """Holds refusals back until the first answer shows that the refused prompt was at fault, not the settings.

    A failure stored as final is never asked again. As long as nothing at all was answered, a wrong key or model behind
    a proxy looks like a refused prompt, so nothing is final then: the next run asks it again.

    EngineError when the first fifty requests are all refused with the same words.
    """

    def __init__(self, put: Callable[[Response], None]) -> None:
        self._put = put
        self._held: list[Response] = []
        self._answered = False

    def add(self, response: Response) -> None:
        """Take one refusal; it is put now or later."""
        if self._answered:
            self._put(response)
            return
        self._held.append(response)
        if len(self._held) < _ALL_REFUSED:
            return
        # "requested 312 tokens" and "requested 320 tokens" are the same complaint.
        if len({re.sub(r"\d+", "#", held.failure or "") for held in self._held}) == 1:
            raise EngineError(
                f"all of the first {_ALL_REFUSED} requests were refused: {response.failure}",
                fix="change the model's settings to what this server takes, then run the same command again",
            )
        self.release()

    def answered(self) -> None:
        """Something was answered: what was refused is final."""
        if not self._answered:
            self._answered = True
            self._put_held(final=True)

    def release(self) -> None:
        """Put what is held back, to be asked again by the next run; nothing was answered so far."""
        self._put_held(final=False)

    def _put_held(self, *, final: bool) -> None:
        held, self._held = self._held, []
        for response in held:
            self._put(replace(response, final=final))
