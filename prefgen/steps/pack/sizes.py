"""How large the rows are that are packed: bytes, by which parts are cut, and tokens or characters, by which rows are chosen."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from prefgen.steps.context import Context
from prefgen.store.table import Table

if TYPE_CHECKING:
    from prefgen.steps.pack import Pack

Floats = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True, slots=True)
class Sizes:
    """Sizes of all rows by number.

    bytes      about, in memory
    length     tokens of the texts of an element, or characters for `longest`; None where nobody asks
    method     how tokens were counted; None where they were not
    """

    bytes: Floats
    length: Floats | None = None
    method: str | None = None

    def bytes_of(self, numbers: np.ndarray[Any, Any]) -> float:
        """Bytes of a list."""
        return float(self.bytes[numbers].sum())


def sizes_of(step: Pack, tables: Mapping[str, Table], context: Context) -> Sizes:
    """The sizes of the rows of all steps packed; texts are read part by part, and let go."""
    count: Callable[[str], float] | None = len if step.longest is not None else None
    method = None
    if step.tokens is not None:
        from prefgen.dispatch.counting import counter_of

        counter = counter_of(None if step.model is None else context.ask.spec(step.model))
        count, method = counter.count, counter.method
        context.note(f"tokens of `{step.into}` are {method}")
    packed = step.packed(tables)
    bytes_, lengths = [], []
    for name in packed.steps:
        each = [one for one in packed.each if one in tables[name].schema]
        for frame in tables[name].frames(each):
            bytes_.append(np.full(frame.height, frame.estimated_size() / max(1, frame.height)))
            if count is not None:
                lengths.append(_lengths(frame, count))
    return Sizes(np.concatenate(bytes_), None if count is None else np.concatenate(lengths), method)


def _lengths(frame: pl.DataFrame, count: Callable[[str], float]) -> Floats:
    texts = [name for name, kind in frame.schema.items() if kind == pl.String or kind.is_nested()]
    found = (sum(count(text) for text in _texts(row)) for row in frame.select(texts).iter_rows())
    return np.fromiter(found, np.float64, frame.height) if texts else np.zeros(frame.height)


def _texts(value: Any) -> Iterator[str]:
    """All texts in a value, however deep."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | tuple | dict):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _texts(inner)
