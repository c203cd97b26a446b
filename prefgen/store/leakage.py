"""Whether what is held out has been seen: the same ids, or nearly the same texts, on both sides of a split."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

THRESHOLD = 0.8
"""Share of pieces in common from which two texts are nearly the same."""

INSTALL = 'pip install "prefgen[dedup]"'

_N_HASHES = 128
_N_BANDS = 32  # of 4 hashes: finds 99.99 % of texts that share 80 % of their pieces; candidates are then compared
_PIECE = 5  # characters
_SEED = 42
_COMPARED = 64  # texts that may be like one, of which the most alike is looked for


@dataclass(frozen=True, slots=True)
class Leakage:
    """What a split lets through.

    held_out       distinct texts that stand only outside `train`
    near           those of them with a text of `train` at least `threshold` alike
    examples       (id held out, id in train, estimated likeness 0..1), the most alike first, ten at most
    """

    held_out: int
    near: int
    threshold: float
    examples: tuple[tuple[str, str, float], ...] = ()

    @property
    def share(self) -> float:
        """`near` of `held_out`; 0 where nothing is held out."""
        return self.near / self.held_out if self.held_out else 0.0

    def to_summary(self) -> dict[str, Any]:
        """As a step's summary keeps it: `near_duplicates` is the share."""
        return {"near_duplicates": self.share, "near_questions": self.near, "questions_held_out": self.held_out}

    @classmethod
    def of_summary(cls, summary: Mapping[str, Any]) -> Leakage | None:
        """What `to_summary` kept; None where nothing was measured."""
        if summary.get("near_duplicates") is None:
            return None
        return cls(summary["questions_held_out"], summary["near_questions"], THRESHOLD)


def can_measure() -> bool:
    """Whether `rensa` is installed."""
    return importlib.util.find_spec("rensa") is not None


def question_texts(items: pl.DataFrame) -> pl.DataFrame:
    """item_id and prompt, which holds the options too: the same words before other options are another question."""
    said = pl.col("prompt")
    if items.schema.get("options") == pl.List(pl.String):
        said = pl.concat_str(said, pl.col("options").list.join("\n"), separator="\n", ignore_nulls=True)
    return items.select("item_id", prompt=said)


def shared_ids(frame: pl.DataFrame, column: str, *, train: str = "train") -> int:
    """How many values of a column stand in `train` and also in the split `test`, whose values are all held out.

    frame    `column` and `split`
    """
    inside = frame.filter(pl.col("split") == train)[column].unique()
    held_out = frame.filter(pl.col("split") == "test")[column].unique()
    return int(held_out.is_in(inside.implode()).sum())


def near_duplicate_leakage(
    frame: pl.DataFrame,
    *,
    id: str = "item_id",
    text: str = "prompt",
    threshold: float = THRESHOLD,
    train: str = "train",
) -> Leakage | None:
    """How many held-out texts are nearly the same as one of `train`; None where `rensa` is not installed.

    frame        the columns `id`, `text` and `split`; an id that stands in `train` is not held out, wherever else it stands
    threshold    share of pieces of five characters that two texts must have in common, in (0, 1]

    Likeness is the Jaccard index, estimated by MinHash with 128 hashes (standard error .035 at .8).
    """
    if not can_measure():
        return None
    from rensa import RMinHash, RMinHashLSH

    once = frame.select(id, text, "split").drop_nulls()
    seen = once.filter(pl.col("split") == train).unique(id, maintain_order=True)
    held_out = once.filter(~pl.col(id).is_in(seen[id].implode())).unique(id, maintain_order=True)
    if seen.is_empty() or held_out.is_empty():
        return Leakage(held_out.height, 0, threshold)
    known = RMinHash.from_token_sets([_pieces(said) for said in seen[text]], _N_HASHES, _SEED)
    index = RMinHashLSH(threshold, _N_HASHES, _N_BANDS)
    index.insert_many(known)
    found: list[tuple[str, str, float]] = []
    asked = RMinHash.from_token_sets([_pieces(said) for said in held_out[text]], _N_HASHES, _SEED)
    for name, one in zip(held_out[id], asked, strict=True):
        likeness, place = _most_alike(one, known, index.query(one), threshold)
        if likeness >= threshold:
            found.append((str(name), str(seen[id][place]), round(likeness, 3)))
    found.sort(key=lambda pair: (-pair[2], pair[0]))
    return Leakage(held_out.height, len(found), threshold, tuple(found[:10]))


def _most_alike(one: Any, known: Sequence[Any], places: Sequence[int], threshold: float) -> tuple[float, int]:
    """(likeness, place) of the text most like one; (0, 0) for none.

    Where very many may be like it, looking ends once enough were seen and one of them is: questions that differ in a name alone
    are all like each other, and to compare each with each would take hours.
    """
    best = (0.0, 0)
    for seen, place in enumerate(places):
        if seen >= _COMPARED and best[0] >= threshold:
            break
        best = max(best, (one.jaccard(known[place]), place))
    return best


def _pieces(text: str) -> list[str]:
    """Runs of five characters, case and spacing aside.

    >>> _pieces("Ab  cdef")
    ['ab cd', 'b cde', ' cdef']
    """
    plain = " ".join(text.lower().split())
    return sorted({plain[start : start + _PIECE] for start in range(max(len(plain) - _PIECE + 1, 1))})
