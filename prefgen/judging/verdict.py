"""The one choice that a text names. Strict: what is hedged, negated, quoted, conditional or contradicted names none.

A choice is the letter alone, the letter with its option's text, the option's text, or the letter that follows a
statement such as `Answer:` or `I choose`. Every step looks at a bounded piece of text once, so the time that a reading
takes is linear in the length of the answer.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

_MOST_CHARS = 8_000  # of each end of an answer: nobody's verdict stands in the middle of an essay
_TAIL = 120  # characters in which a stated certainty ends an answer
_DECORATION = "*_`#>~\"'\u201c\u201d\u2018\u2019\u00ab\u00bb()[]{}<|\\$ \t\r\n"
_AROUND = _DECORATION + ".,:;!\u3002\u2026\u2581\u0120-\u2013\u2014"
_SPACES = re.compile(r"[^\S\n]+")
_SENTENCE = re.compile(r"(?<=[.!?\u3002])[\s\"'\u201d)*_]+|\n+")
_CLAUSE = re.compile(
    r"[,;:\u2014\u2013]| - |\b(?:but|so|therefore|thus|hence|yet|however|though|because|since)\b", re.I
)
_OPEN_QUOTE = re.compile(r"[\"\u201c\u201d\u00ab\u00bb]|(?<!\w)['\u2018]|['\u2019](?!\w)")

_DENIES = re.compile(
    r"\b(?:not|never|neither|nor|no|none|nobody|cannot|unable|refuse|decline|impossible|hard|difficult|whether|wish|pretend"
    r"|might|may|could|reluctan\w+|hesita\w+|unsure|uncertain|hypothetical\w*)\b|n['\u2019]t\b",
    re.I,
)
_CONDITION = re.compile(
    r"\b(?:if|unless|suppose|supposing|assuming|provided|imagine|were (?:i|we|it)|had (?:i|we|it))\b", re.I
)
_FORCED = re.compile(
    r"\bif (?:i|you|one) (?:(?:really|absolutely) )?(?:had|have|has|must|needed|need|were|was|am|could|can)(?: (?:forced|made|obliged|asked|pressed|only|to|made to|forced to))*"
    r"(?: (?:choose|pick|decide|answer|select|say|name))?(?: (?:one|only one|between them))?\b"
    r"|\bif (?:forced|pressed|pushed|asked|made)(?: to (?:choose|pick|decide|answer|select|say))?\b",
    re.I,
)
_LABEL = (
    r"(?:answer|choice|verdict|decision|selection|pick|response|preference|antwort|r[\u00e9e]ponse|respuesta|risposta|resposta"
    r"|\u043e\u0442\u0432\u0435\u0442|\u7b54\u6848|\u56de\u7b54|\u7b54\u3048|\u56de\u7b54\u306f|\ub2f5)"
)
_SURELY = r"(?:(?:clearly|definitely|certainly|simply|probably|still|therefore|thus|then|strongly|now|also|really|personally|rather)\s+)?"
_STATED = re.compile(
    rf"\b(?P<final>final\s+)?{_LABEL}\b[*_`\"']{{0,3}}(?:\s*(?::|=|->|\u2192)|\s+{_SURELY}(?:is|would be|remains|\u662f)\b(?:\s*:)?)\s*{_SURELY}"
    r"(?:(?:option|choice|answer|letter)\s+)?"
    rf"|\b(?:i|we)(?:\s+(?:would|will|do|must|have to|am going to|'d|'ll)|['\u2019](?:d|ll|m going to))?\s+{_SURELY}(?:have\s+to\s+)?"
    r"(?:choose|pick|select|prefer|favou?r|go\s+with|go\s+for|opt\s+for|vote\s+for|vote|say|answer|lean\s+towards?|side\s+with)\s*:?\s+"
    r"(?:(?:for|with)\s+)?(?:(?:option|choice|answer|letter)\s+)?"
    r"|(?:\A|(?<=[.!?\n]))\s*(?:so|therefore|thus|hence|then)?,?\s*(?:choose|pick|select|go\s+with)\s*:?\s+(?:(?:option|choice|answer|letter)\s+)?",
    re.I,
)
# What may follow the letters that are words too (`A`, `I`): `A because`, and not `A good question`.
_AFTER_A_WORD = re.compile(r"\s*(?:\Z|[^\w\s]|(?:because|since|as|over|for|so|instead|rather|due|out|and (?!\w\b))\b)")
_RIVAL = re.compile(r"[\s*_`\"')\]]*(?:,|/|&|\||\b(?:or|and|nor|vs\.?|versus)\b)[\s*_`\"'(\[]*(?:option\s+)?", re.I)
_SECOND_THOUGHT = re.compile(
    r"\b(?:or|maybe|perhaps|possibly)\s+(?:maybe\s+|perhaps\s+|even\s+|option\s+)?([A-Z]+)(?![\w'\u2019])"
)
_EXPLAINS = re.compile(r"[)\].:,;\u2014\u2013-]|\s+(?:because|since|as|over|for)\b", re.I)
_CERTAIN = re.compile(
    r"[\s,;:(\u2014\u2013-]*(?:\b(?:certainty|certain|confidence|confident|sure|level|score|is|of|about|i am|i'm|am|my|with|at)\b[\s:=]*)*"
    r"\b\d{1,3}(?:\.\d+)?(?:\s*%|\s*(?:/|out of)\s*\d{1,3})?(?:\s+(?:certain|sure|confident|certainty|confidence|percent))?[\s.)!*_]*\Z",
    re.I,
)


@dataclass(frozen=True, slots=True)
class Choices:
    """What may be answered.

    symbols    as on the page, slots first (`A`, `B`, ..., `TIE`, `NA`)
    texts      what stands beside each slot, in the order of the symbols; shorter or empty where it is not known
    """

    symbols: tuple[str, ...]
    texts: tuple[str, ...] = ()


def named_choice(text: str, choices: Choices, *, certainty: bool = False) -> str | None:
    """The one symbol that a text names, or None when it names none, or more than one.

    certainty    the answer may carry a number, as in `B 80`

    >>> ab = Choices(("A", "B"), ("more for all", "more for some"))
    >>> [named_choice(said, ab) for said in ("b", "**B**", "B) more for some", "More for all.", "I'd choose B, since A is unfair.")]
    ['B', 'B', 'B', 'A', 'B']
    >>> [named_choice(said, ab) for said in ("Not A.", "A or B", "I would not choose A", "If it were mine, I'd pick A.")]
    [None, None, None, None]
    """
    if text in choices.symbols:  # as nearly every answer is, where something holds it to its choices
        return text
    text = clean(text)
    if certainty:
        text = "\n".join(
            line[:-_TAIL] + (_CERTAIN.sub("", line[-_TAIL:], count=1) or line[-_TAIL:]) for line in text.split("\n")
        )
    whole = _whole(text, choices)
    if whole is not None:
        return whole
    lines = [line for line in text.split("\n") if line.strip()]
    if not lines:
        return None
    said = set(_stated(text, choices))
    alone = [
        _whole(line, choices) or (_leading(line, choices) if place == 0 else None) for place, line in enumerate(lines)
    ]
    named = {symbol for symbol in alone if symbol is not None}
    if len(named) > 1 and len(named) == sum(symbol is not None for symbol in alone):
        named = set() if said else named  # the options said again, one a line, before the answer is stated
    named |= said
    return named.pop() if len(named) == 1 else None


def labelled_choice(text: str, choices: Choices) -> str | None:
    """The choice of the lines `Answer: X`, which must all say the same; other lines may name what they like."""
    named = set()
    for line in clean(text).split("\n"):
        label, colon, rest = line.strip(_DECORATION + "-").partition(":")
        if colon and label.strip(_DECORATION).casefold() in ("answer", "final answer", "my answer"):
            named.add(_whole(rest, choices) or _leading(rest, choices))
    return named.pop() if len(named) == 1 else None


def clean(text: str) -> str:
    """Wide letters made plain, runs of spaces made one, and the middle of a very long text left out."""
    if len(text) > 2 * _MOST_CHARS:
        text = text[:_MOST_CHARS] + "\n" + text[-_MOST_CHARS:]
    return _SPACES.sub(" ", unicodedata.normalize("NFKC", text)).strip()


def symbol_of(token: str, symbols: Sequence[str]) -> str | None:
    """The symbol that a token or a short text is, in any of its forms: ` A`, `a`, wide `A`, `A.`, `(A)`; else None.

    >>> [symbol_of(token, ("A", "B", "NA")) for token in (" A", "b", "\\uff21", "B.", "(A)", "Neither", "AB", "n/a")]
    ['A', 'B', 'A', 'B', 'A', None, None, 'NA']
    """
    bare = _bare(unicodedata.normalize("NFKC", token))
    if bare in symbols:
        return bare
    return _folded(tuple(symbols)).get(bare.casefold().replace("/", ""))


def _bare(text: str) -> str:
    """A text without the marks around it; the sign of a number is none of them.

    >>> _bare("**-3**."), _bare("- 3"), _bare("(B)")
    ('-3', '3', 'B')
    """
    bare = text.strip(_AROUND)
    before = text[: text.find(bare)][-1:]
    return f"-{bare}" if bare[:1].isdigit() and before in ("-", "\u2212") else bare


@lru_cache(maxsize=256)
def _folded(symbols: tuple[str, ...]) -> dict[str, str]:
    return {symbol.casefold(): symbol for symbol in symbols}


def _whole(text: str, choices: Choices) -> str | None:
    """The choice that a line is, and nothing else: its letter, its letter and its text, or its text."""
    bare = _bare(text)
    if len(bare) > 2000:
        return None
    alone = symbol_of(bare, choices.symbols)
    if alone is not None:
        return alone
    words = bare.split(" ", 1)
    if len(words) == 2 and words[0].casefold() in ("option", "choice", "answer", "letter"):
        return symbol_of(words[1], choices.symbols)
    by_text = _by_text(bare, choices)
    begins = _begins(bare, choices)
    if begins is None:
        return by_text
    symbol, rest = begins
    of_rest = _by_text(rest.strip(_AROUND), choices)
    return symbol if of_rest == symbol else None


def _by_text(text: str, choices: Choices) -> str | None:
    """The symbol whose option's text this is; None where two options read alike."""
    wanted = _folded_text(text)
    found = [
        symbol
        for symbol, own in zip(choices.symbols, choices.texts, strict=False)
        if wanted and _folded_text(own) == wanted
    ]
    return found[0] if len(found) == 1 else None


@lru_cache(maxsize=4096)
def _folded_text(text: str) -> str:
    return re.sub(r"[\W_]+", " ", unicodedata.normalize("NFKC", text).casefold()).strip()


def _begins(text: str, choices: Choices) -> tuple[str, str] | None:
    """(symbol, what follows it) of a text that begins with a symbol and a mark or space."""
    text = text.lstrip(_DECORATION)
    first = re.match(r"(?:option\s+|choice\s+)?([A-Z]+)(?![\w'\u2019])", text, re.I)
    if first is None or first[1] not in choices.symbols:
        return None
    return first[1], text[first.end() :]


def _leading(line: str, choices: Choices) -> str | None:
    """The choice that a line begins with and then explains: `B) ...`, `A, since ...`, `B because ...`."""
    begins = _begins(line, choices)
    if begins is None:
        return None
    symbol, rest = begins
    rest = rest.lstrip("*_`\"'\u201d")
    if not _EXPLAINS.match(rest) or _names_a_rival(rest, symbol, choices):
        return None
    of_rest = _by_text(rest.strip(_AROUND), choices)
    return symbol if of_rest in (None, symbol) and not rest.rstrip(_DECORATION).endswith("?") else None


def _names_a_rival(rest: str, symbol: str, choices: Choices) -> bool:
    """Whether what follows a symbol joins another one to it: `A or B`, `A, B`, `A/B`."""
    joined = _RIVAL.match(rest)
    if joined is None:
        return any(other != symbol and other in choices.symbols for other in _SECOND_THOUGHT.findall(rest[:_TAIL]))
    other = re.match(r"[A-Za-z]+(?![\w'\u2019])", rest[joined.end() :])
    return other is not None and other[0] != symbol and other[0] in choices.symbols


def _stated(text: str, choices: Choices) -> Iterator[str]:
    """The choices of all plain statements; only the final ones where some are called final."""
    found = [one for sentence in _SENTENCE.split(text) for one in _statements(sentence, choices)]
    finals = [symbol for symbol, final in found if final]
    yield from finals or [symbol for symbol, _ in found]


def _statements(sentence: str, choices: Choices) -> Iterator[tuple[str, bool]]:
    if len(sentence) > 2000 or sentence.rstrip(_DECORATION).endswith("?"):
        return
    plain = _FORCED.sub(lambda forced: " " * len(forced[0]), sentence)
    if _CONDITION.search(plain):
        return
    for statement in _STATED.finditer(sentence):
        symbol = _symbol_at(sentence[statement.end() :], choices)
        before = plain[: statement.start()]
        clause = _CLAUSE.split(before)[-1]
        quoted = len(_OPEN_QUOTE.findall(before)) % 2 == 1
        if symbol is not None and not quoted and not _DENIES.search(clause) and not _DENIES.search(statement[0]):
            yield symbol, statement["final"] is not None


def _symbol_at(rest: str, choices: Choices) -> str | None:
    """The choice that stands right after a statement: its letter, or its text up to the end of the sentence."""
    begins = _begins(rest, choices)
    if begins is None:
        return _by_text(rest.strip(_AROUND), choices)
    symbol, after = begins
    after = after.lstrip("*_`\"'\u201d)]")
    if _names_a_rival(after, symbol, choices) or (symbol in ("A", "I") and not _AFTER_A_WORD.match(after)):
        return None
    return symbol
