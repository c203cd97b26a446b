"""Strangers' text made harmless inside Markdown."""

from __future__ import annotations

import re
from typing import Any

import orjson

_ACTS = re.compile(
    r"[\\`*\[\]~|$]"  # wherever they stand
    r"|(?<![^\W_])_|_(?![^\W_])"  # at the edge of a word; inside one it is a letter
    r"|(?<=\w)@(?=\w)|(?<!\w)@(?=\w)"  # addresses and mentions
    r"|:(?=//)|:(?=[\w+-]+:)|(?<=[wW]{3})\.|(?i:(?<=\bmailto)|(?<=\bxmpp)):"  # links and emoji
    r"|(?<= )#(?=#*$)"  # what would close a heading
)
_BEGINS = re.compile(r"^(?:[#+=\-](?=[\s#+=\-]|$)|>)|^(\d{1,9})(?=[.)](?:\s|$))")
_ENTITY = re.compile(r"&(?=#?\w+;)")


def plain(text: object) -> str:
    """Text that shows as it is written: no HTML, no Markdown, no link, on one line. What would not act is not escaped.

    >>> plain("<b>*hi*</b> Fair-PP, smollm2-135m, 2020 (more than a_b)")
    '&lt;b>\\*hi\\*&lt;/b> Fair-PP, smollm2-135m, 2020 (more than a_b)'
    """
    one_line = " ".join(str(text).split())
    escaped = _ACTS.sub(lambda found: f"\\{found[0]}", one_line)
    begun = _BEGINS.sub(lambda found: f"{found[1]}\\" if found[1] else f"\\{found[0]}", escaped)
    return _ENTITY.sub("&amp;", begun).replace("<", "&lt;")


def fenced(text: str, language: str = "") -> str:
    """A code block that nothing in `text` can close."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text.rstrip()}\n{fence}"


def shown_row(row: dict[str, Any], *, longest: int = 240) -> str:
    """A row as indented JSON, long texts cut."""
    return orjson.dumps(_cut(row, longest), option=orjson.OPT_INDENT_2, default=str).decode()


def _cut(value: Any, longest: int) -> Any:
    if isinstance(value, str) and len(value) > longest:
        return value[: longest - 3] + "..."
    if isinstance(value, dict):
        return {key: _cut(part, longest) for key, part in value.items()}
    if isinstance(value, list):
        return [_cut(part, longest) for part in value[:6]]
    return round(value, 6) if isinstance(value, float) else value


def percent(share: object) -> str:
    """A share for people; a dash where it was not measured.

    >>> percent(0.1234)
    '12.3 %'
    """
    return f"{100 * share:.1f} %" if isinstance(share, int | float) else "\u2013"
