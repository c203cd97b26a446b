"""Which conversations are held: one about every row, as often as asked."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from prefgen.steps.talk.conversation import Chat
from prefgen.steps.write.joined import Joined
from prefgen.steps.write.lists import Lists


@dataclass(frozen=True, slots=True)
class Chats:
    """All of them, made as they are asked for."""

    rows: Joined
    lists: Lists
    repeats: int

    @property
    def n(self) -> int:
        """How many there are."""
        return self.rows.n_rows * self.repeats

    def __iter__(self) -> Iterator[Chat]:
        for frame in self.rows.frames():
            for row in frame.iter_rows(named=True):
                facts = self.rows.named(row) | self.lists.beside(row)
                yield from (Chat(row, facts, repeat) for repeat in range(self.repeats))

    def some(self, about: int) -> Chats:
        """About so many of them, evenly from all rows."""
        return replace(self, rows=self.rows.some(max(1, about // self.repeats)))
