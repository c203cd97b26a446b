"""What the ratings of one step say together, counted row by row: how many were read, how they are spread, whether repeats agree."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any
from zlib import crc32

import numpy as np

from prefgen.estimates import crossed_mean, crossed_share
from prefgen.judging.ratings import Rating, Scale
from prefgen.records import Reading

_UNITS = 4_096
"""Questions told apart; of more, several are counted as one, which makes intervals no narrower."""


class RatingTally:
    """Counts of every criterion; memory does not grow with the rows.

    names    of the answers, in the order of the scale
    """

    def __init__(self, scale: Scale, names: Sequence[str], criteria: Sequence[str]) -> None:
        self._scale, self._names = scale, tuple(names)
        self._places: dict[str, int] = {}
        self._in_part: set[str] = set()  # criteria of which a row is not wholly of one answer
        k = len(self._names)
        # of every question: rows, rows read, the share of every answer, rows with several repeats, and how far these agree
        self._counts = {name: np.zeros((_UNITS, k + 4)) for name in criteria}

    def add(self, criterion: str, question: str, found: Rating | None, readings: Sequence[Reading] = ()) -> None:
        """One row: what its repeats come to, None where one was not read."""
        counts = self._counts[criterion][self._place(question)]
        counts[0] += 1
        if found is None:
            return
        counts[1] += 1
        counts[2:-2] += found.shares
        if max(found.shares) < 1.0:
            self._in_part.add(criterion)
        if len(readings) > 1:
            counts[-2] += 1
            counts[-1] += max(Counter(one.symbol for one in readings).values()) / len(readings)

    def _place(self, question: str) -> int:
        place = self._places.get(question)
        if place is None:
            place = len(self._places) if len(self._places) < _UNITS else crc32(question.encode()) % _UNITS
            if len(self._places) < _UNITS:
                self._places[question] = place
        return place

    def summary(self) -> list[dict[str, Any]]:
        """For the manifest: of every criterion the rows, the share that was read, the share of every answer, the mean (None of
        marks), and the agreement of repeats (None of one), each but the first with its 95 % interval over questions."""
        return [self._told(name, counts) for name, counts in self._counts.items()]

    def _told(self, criterion: str, counts: Any) -> dict[str, Any]:
        rows, read, shares, several, agree = counts[:, 0], counts[:, 1], counts[:, 2:-2], counts[:, -2], counts[:, -1]
        values = np.array(self._scale.values)
        within = (float(values.min()), float(values.max()))
        ordered, whole = within[0] < within[1], criterion not in self._in_part
        return {
            "criterion": criterion,
            "rows": int(rows.sum()),
            "read": asdict(crossed_share(read, rows)),
            "answers": [
                {"answer": name, **asdict(crossed_share(shares[:, place], read, binary=whole))}
                for place, name in enumerate(self._names)
            ],
            "mean": asdict(crossed_mean(shares @ values, read, within=within)) if ordered else None,
            "repeats_agree": asdict(crossed_share(agree, several, binary=False)) if several.any() else None,
        }
