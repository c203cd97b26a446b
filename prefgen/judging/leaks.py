"""Words that would give away what a text stands for, found in all their forms."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

_WORD = re.compile(r"[^\W\d_]+")
_LINKS = frozenset(["and", "or", "of", "the", "a", "an", "to", "in", "for", "by", "on", "vs", "versus", "not"])
# What makes a word of another: the longest first, with the fewest letters that must be left before it.
_ENDINGS = sorted(
    [
        ("arianism", 4),
        ("arians", 4),
        ("arian", 4),
        ("isms", 4),
        ("ism", 4),
        ("ists", 4),
        ("ist", 4),
        ("istic", 4),
        ("ities", 4),
        ("ity", 4),
        ("iness", 4),
        ("ness", 3),
        ("ful", 3),
        ("fully", 3),
        ("less", 3),
        ("ally", 4),
        ("al", 4),
        ("als", 4),
        ("ly", 3),
        ("ies", 4),
        ("y", 5),
        ("es", 4),
        ("s", 3),
        ("ed", 4),
        ("ing", 4),
        ("er", 4),
        ("est", 4),
        ("e", 4),
    ],
    key=lambda ending: -len(ending[0]),
)
_BEGINNINGS = ("un", "im", "in", "non")
_LONGEST_BEGINNING = max(map(len, _BEGINNINGS))
_END_OF_WORD = re.compile(r"[^\W\d_]+\Z")
_OTHER_WORDS = frozenset(["customer", "customers"])  # look like a form of `custom` and are none


def telltale_words(phrases: Iterable[str]) -> tuple[str, ...]:
    """The words of some names that could give them away, each once.

    >>> telltale_words(["social norm", "procedure or outcome"])
    ('social', 'norm', 'procedure', 'outcome')
    """
    words = (word for phrase in phrases for word in _WORD.findall(phrase.lower()))
    return tuple(dict.fromkeys(word for word in words if len(word) > 2 and word not in _LINKS))


def leaked(text: str, words: Iterable[str]) -> str | None:
    """The first word of a text that is one of `words` or a form of it.

    >>> leaked("It was an unfair and unlawful deal.", ["fairness", "law"])
    'unfair'
    >>> leaked("She wants more, says a loyal customer.", ["moral", "custom"])
    """
    lowered = text.lower()
    found = [first for one in set(map(stem, words)) if (first := _first_form(one, lowered)) is not None]
    if not found:
        return None
    start, word = min(found)
    return text[start : start + len(word)] if len(lowered) == len(text) else word


def without(words: Iterable[str], said: str) -> tuple[str, ...]:
    """The words of which no form stands in `said`: what the question itself says can give nothing away."""
    lowered = said.lower()
    return tuple(word for word in words if _first_form(stem(word), lowered) is None)


def _first_form(one: str, lowered: str) -> tuple[int, str] | None:
    """Where the first word with this stem stands in a text, and the word.

    Only where the stem itself stands is looked: to take the stem of every word of a long text takes a hundred times longer.
    """
    for found in _begun_with(one).finditer(lowered):
        before = _END_OF_WORD.search(lowered, max(0, found.start() - _LONGEST_BEGINNING - 1), found.start())
        negated = before[0] if before else ""
        if negated in ("", *_BEGINNINGS) and one in _readings(negated + found[0]):
            return found.start() - len(negated), negated + found[0]
    return None


@lru_cache(maxsize=1_024)
def _begun_with(one: str) -> re.Pattern[str]:
    return re.compile(rf"{re.escape(one)}[^\W\d_]*")


@lru_cache(maxsize=65_536)
def stem(word: str) -> str:
    """What the forms of an English word have in common, roughly: endings are taken off while enough of it is left.

    >>> {stem(word) for word in ("libertarianism", "liberty", "liberties")}, {stem(word) for word in ("law", "laws", "lawful")}
    ({'libert'}, {'law'})
    """
    if word in _OTHER_WORDS:
        return word
    for ending, least in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= least and not (ending == "s" and word.endswith("ss")):
            return stem(word[: -len(ending)])
    return word


@lru_cache(maxsize=65_536)
def _readings(word: str) -> frozenset[str]:
    """Stems of a word, with and without what negates it."""
    bare = (word[len(start) :] for start in _BEGINNINGS if word.startswith(start) and len(word) - len(start) > 2)
    return frozenset(map(stem, (word, *bare)))
