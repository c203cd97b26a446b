"""Texts that say the same, brought to one of them: by the words that they share, or by groups that a model names."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence

from prefgen.spec.reply import Reply
from prefgen.spec.reply_types import Fields, Many, Range, ReplyError

Canonical = dict[str, str]
"""What each text is brought to; those that stand for themselves among them."""

_ASKED = (
    "Which of these say the same, or nearly the same, in other words? Name every group of two or more: the numbers under `same`, and under "
    "`best` the number of the one among them that says it best. Leave out what says something of its own."
)


def in_order(counts: Mapping[str, int]) -> list[str]:
    """Texts, the most frequent first, then by the alphabet: the order in which one may stand for others."""
    return sorted(counts, key=lambda text: (-counts[text], text))


def by_words(texts: Sequence[str], words: Sequence[frozenset[str]], near: float) -> Canonical:
    """Each text brought to the nearest earlier one that stands for itself, where they share at least `near` of their words.

    texts    different ones, in the order in which one may stand for others
    words    the words of each
    """
    found: Canonical = {}
    holders: list[int] = []  # those that stand for themselves
    by_word: dict[str, list[int]] = {}
    for place, text in enumerate(texts):
        nearest = _nearest(words[place], words, by_word, near)
        if nearest is None:
            holders.append(place)
            for word in words[place]:
                by_word.setdefault(word, []).append(place)
        found[text] = text if nearest is None else texts[nearest]
    return found


def _nearest(
    own: frozenset[str], words: Sequence[frozenset[str]], by_word: Mapping[str, Sequence[int]], near: float
) -> int | None:
    """The earliest of those that share most, of those that share enough."""
    common: dict[int, int] = {}
    for word in own:
        for other in by_word.get(word, ()):
            common[other] = common.get(other, 0) + 1
    shares = {other: n / (len(own) + len(words[other]) - n) for other, n in common.items()}
    best = max(shares.items(), key=lambda one: (one[1], -one[0]), default=None)
    return best[0] if best is not None and best[1] >= near else None


def portions(texts: Iterable[str], at_once: int) -> list[list[str]]:
    """The texts by the alphabet, so that those of one beginning meet, in portions of nearly the same size."""
    ordered = sorted(texts, key=lambda text: (text.casefold(), text))
    n = -(-len(ordered) // at_once)
    ends = [round(len(ordered) * place / n) for place in range(n + 1)] if n else [0]
    return [ordered[start:end] for start, end in itertools.pairwise(ends) if end - start > 1]


def reply_of(n: int) -> Reply:
    """What is replied about a portion of `n` texts."""
    group = Fields((("best", Range(1, n)), ("same", Many(Range(1, n)))))
    return Reply(Fields((("groups", Many(group)),)))


def page_of(portion: Sequence[str]) -> str:
    """What is asked about a portion."""
    listed = "\n".join(f"{number}. {' '.join(text.split())}" for number, text in enumerate(portion, 1))
    return f"{_ASKED}\n\n{listed}\n\n{reply_of(len(portion)).asked()}"


def groups_in(said: Mapping[str, object], portion: Sequence[str]) -> Canonical:
    """What a reply about a portion brings each text to. ReplyError where a number stands in two groups, or `best` in none."""
    found: Canonical = {}
    for best, same in _groups(said):
        members = {best, *same}
        if best not in same or any(portion[number - 1] in found for number in members):
            raise ReplyError("a number stands in two groups, or the best one is not in its group")
        found |= {portion[number - 1]: portion[best - 1] for number in members}
    return found


def _groups(said: Mapping[str, object]) -> Iterator[tuple[int, list[int]]]:
    groups = said["groups"]
    assert isinstance(groups, list)
    yield from ((group["best"], group["same"]) for group in groups)


def through(canonical: Canonical, found: Canonical) -> Canonical:
    """What texts are brought to once what stood for them is brought to something itself."""
    return {text: found.get(stands, stands) for text, stands in canonical.items()}
