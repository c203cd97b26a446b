"""What a model puts around a text that it was asked for: fences, quotes, a lead-in, an offer of more."""

from __future__ import annotations

import re
from collections.abc import Callable

_KINDS = r"(?:portrait|life|scene|story|text|description|vignette|narrative|biography|profile|paragraph|version|persona|retelling)"
_YES = (
    r"(?:sure(?: thing)?|certainly|of course|absolutely|okay|ok|alright|all right|great|got it|understood|no problem"
    r"|nat\u00fcrlich|klar|gerne?|bien s\u00fbr|claro|por supuesto|certo|zeker|natuurlijk|\u5f53\u7136|\u597d\u7684)"
)
_HERE = (
    r"(?:here(?:['\u2019]s| is| are| you go| goes)|below is|the following|this is (?:a|the|your)|as requested|as you asked"
    r"|i(?:['\u2019]d| would) be (?:happy|glad) to|i(?:['\u2019]ve| have) (?:written|created)"
    r"|hier (?:ist|sind|kommt)|voici|aqu\u00ed (?:tienes|est\u00e1)|aqui est\u00e1|ecco|\u4ee5\u4e0b\u662f)"
)
_LEAD_IN = re.compile(
    rf"(?:(?:{_YES}|{_HERE})\b[^\n]{{0,250}}[:\uff1a][*_]*[ \t]*(?:\n|\Z)"  # a line of its own
    rf"|{_YES}[!.,][ \t]*(?:\n|\Z)"
    rf"|(?:{_YES}\b[^\n:.!?]{{0,80}}[!.,;\u2013\u2014-]+[ \t]+)?{_HERE}\b[^\n:.!?]{{0,80}}\b{_KINDS}\b[^\n:.!?]{{0,120}}[:.!](?=\s|\Z)"
    rf"|[*_#]{{0,4}}[ \t]?(?:the |your )?{_KINDS}[*_]{{0,2}}:[*_]{{0,2}}\s)",
    re.I,
)
_TITLE = re.compile(r"(?:#{1,6} [^\n]{1,120}|\*\*[^\n*]{1,120}\*\*|[-*_]{3,})[ \t]*\n")
_RULE_AT_END = re.compile(r"\n[ \t]{0,9}[-*_]{3,}\Z")
_OFFER = re.compile(
    r"(?:\A|(?<=[.!?\u2026\"'\u201d\u2019)])\s|\n)[*_(\[]{0,3}"
    r"(?:(?:please )?let me know (?:if|whether|what|how)\b|(?:please )?feel free to (?:ask|let|request|tell)\b|would you like me to\b"
    r"|do you want me to\b|if you(?:['\u2019]d| would) like(?: me to\b|[^\n.]{0,60}let me know)|i hope (?:this|that|it|you)\b"
    r"|hope this\b|is there anything else\b|shall i\b)[^\n\"\u201c\u201d]{0,300}\Z",
    re.I,
)
_NOTE = re.compile(
    r"(?:\n\s*[*_(\[]{0,3}note\b[*_]{0,2}:[^\n]{0,600}|\s[*_(\[]{1,3}(?:word count:? ?)?(?:about |~)?\d{1,4} words?[*_)\]]{1,3}"
    r"|\s[*_(\[]{0,3}word count:[*_]{0,2} ?~?\d{1,4}(?: words)?[*_)\].]{0,3})\Z",
    re.I,
)
_FENCE = re.compile(r"(?P<mark>`{3,}|~{3,})[^\n`]{0,40}\n")
_QUOTES = {'"': '"', "\u201c": "\u201d", "\u201e": "\u201c", "\u00ab": "\u00bb", "'": "'", "\u2018": "\u2019", "`": "`"}

_LAYERS = 8  # nobody wraps a text so often; without an end, a megabyte of quotes would take minutes


def unwrapped(text: str) -> str:
    """A text without what a model says about it.

    >>> unwrapped("Sure! Here is the portrait:\\n\\n```\\nYou are old.\\n```\\n\\nLet me know if you want changes.")
    'You are old.'
    >>> unwrapped('"Come in!" she says. "It is cold."')
    '"Come in!" she says. "It is cold."'
    """
    text = text.strip()
    for _ in range(_LAYERS):
        before = text
        for peel in _PEELS:
            text = peel(text).strip()
        if text == before:
            break
    return text


def _without_front(pattern: re.Pattern[str]) -> Callable[[str], str]:
    def peel(text: str) -> str:
        found = pattern.match(text)
        return text[found.end() :] if found else text

    return peel


def _without_end(pattern: re.Pattern[str]) -> Callable[[str], str]:
    def peel(text: str) -> str:
        begin = max(0, len(text) - 1000)  # what is said about a text is short
        found = pattern.search(text, begin)
        return text[: found.start()] if found else text

    return peel


def _without_fence(text: str) -> str:
    """What stands between two fences, or after one whose end was cut off."""
    found = _FENCE.match(text)
    if not found:
        return text
    inner, end, after = text[found.end() :].partition(found["mark"])
    return inner if not end or not after.strip() else text


def _without_quotes(text: str) -> str:
    """What stands in quotes, where they hold all of it: not where a text begins and ends with something said."""
    end = _QUOTES.get(text[:1])
    if end is None or len(text) < 2 or not text.endswith(end):
        return text
    inner = text[1:-1]
    pair = {text[0], end} - {"'", "\u2019"}  # these two are apostrophes as well
    return text if any(mark in inner for mark in pair) or (not pair and "' " in inner) else inner


_PEELS: tuple[Callable[[str], str], ...] = (
    _without_front(_LEAD_IN),
    _without_front(_TITLE),
    _without_end(_RULE_AT_END),
    _without_end(_NOTE),
    _without_end(_OFFER),
    _without_fence,
    _without_quotes,
)
