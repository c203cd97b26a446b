"""One thing to know about a run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Weight = Literal["good", "plain", "grave"]


@dataclass(frozen=True, slots=True)
class Headline:
    """One thing to know: a sentence, what it means for using the data, and how heavily it weighs."""

    key: str
    weight: Weight
    sentence: str
    meaning: str
