"""Requests that a server refuses for good, and what it means when it refuses every one of them."""

from __future__ import annotations

import re
from dataclasses import replace

from prefgen.engines.engine import Put
from prefgen.errors import EngineError
from prefgen.records import Request, Response

_ALL_REFUSED = 50


class RefusedError(Exception):
    """The server will not answer this request, however often it is asked; its words, made discreet."""


class EarlyRefusals:
    """Holds refusals back until the first answer shows that the refused prompt was at fault, not the settings.

    A failure stored as final is never asked again; a whole run of them for one wrong setting would have to be
    thrown away. EngineError when the first fifty requests are all refused with the same words.
    """

    def __init__(self, put: Put) -> None:
        self._put = put
        self._held: list[tuple[Request, Response]] = []
        self.over = False  # an answer came, or the refusals differ

    def add(self, request: Request, response: Response) -> None:
        """Take one refusal; it is put now or later."""
        if self.over:
            self._put(request, response)
            return
        self._held.append((request, response))
        # "requested 312 tokens" and "requested 320 tokens" are the same complaint.
        words = {re.sub(r"\d+", "#", held.failure or "") for _, held in self._held}
        if len(words) > 1:
            self.release(final=True)
        elif len(self._held) >= _ALL_REFUSED:
            raise EngineError(f"all of the first {_ALL_REFUSED} requests were refused: {response.failure}",
                fix="change the model's settings to what this server takes, then run the same command again")  # fmt: skip

    def release(self, *, final: bool) -> None:
        """Put what was held back; from now on refusals go straight through."""
        self.over = True
        held, self._held = self._held, []
        for request, response in held:
            self._put(request, response if final else replace(response, final=False))
