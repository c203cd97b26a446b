"""How many different requests a plan has: equal ones are asked once."""

from __future__ import annotations

from collections.abc import Hashable

from prefgen.judging.prompts import Messages
from prefgen.steps.context import Asked

_SAMPLE = 32  # requests whose tokens are counted, to estimate those of all


class Different:
    """Counts requests by the hashes of their messages: the texts of all rows would fill the memory.

    chars     characters of the different ones together
    tokens    of their answers, as far as they were told
    """

    def __init__(self) -> None:
        self._numbers: dict[int, int] = {}
        self.chars = 0
        self.tokens = 0
        self._sample: list[str] = []
        self._every = 1

    @property
    def n(self) -> int:
        """How many there were."""
        return len(self._numbers)

    def add(self, messages: Messages, *more: Hashable, tokens: int = 0) -> int:
        """Count a request once; 0 for the first, 1 for the next that is another.

        more    what tells it from others besides its messages
        """
        name = hash((messages, *more))
        known = self._numbers.get(name)
        if known is not None:
            return known
        number = self._numbers[name] = len(self._numbers)
        self.chars += sum(len(text) for _, text in messages)
        self.tokens += tokens
        if number % self._every == 0:
            self._sample.append("\n".join(text for _, text in messages))
            if (
                len(self._sample) == 2 * _SAMPLE
            ):  # from here on every other one: as evenly from all, however many there are
                self._sample, self._every = self._sample[::2], 2 * self._every
        return number

    def asked(self, model: str, *, scale: float = 1.0) -> Asked:
        """What a model is asked, where there are `scale` times as many as were counted."""
        n, chars, tokens = (round(number * scale) for number in (self.n, self.chars, self.tokens))
        return Asked(model, n, chars, tokens, tuple(self._sample[:_SAMPLE]))
