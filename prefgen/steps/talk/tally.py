"""What a step's conversations were like, for the manifest, the card and the report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from prefgen.steps.talk.conversation import Held


class Tally:
    """Counts conversations one by one; memory does not grow with their number."""

    def __init__(self, sides: Sequence[str]) -> None:
        self._ended: Counter[str] = Counter()
        self._said = dict.fromkeys(sides, 0)
        self._noted = dict.fromkeys(sides, 0)
        self._words = dict.fromkeys(sides, 0)
        self._messages: Counter[int] = Counter()

    def add(self, held: Held) -> None:
        """One more."""
        self._ended[held.ended] += 1
        said = [turn for turn in held.turns if turn["content"] is not None]
        if held.reason is None:
            self._messages[len(said)] += 1
        for turn in held.turns:
            self._noted[turn["role"]] += turn["content"] is None
        for turn in said:
            self._said[turn["role"]] += 1
            self._words[turn["role"]] += len(turn["content"].split())

    def summary(self) -> dict[str, dict[str, int]]:
        """Counts that those of another run can be added to.

        ended       conversations by how they ended
        messages    how many of those kept have so many messages
        said, noted, words    messages, notes, and words in messages, of every side
        """
        return {
            "ended": dict(sorted(self._ended.items())),
            "messages": {str(n): count for n, count in sorted(self._messages.items())},
            "said": dict(self._said),
            "noted": dict(self._noted),
            "words": dict(self._words),
        }
