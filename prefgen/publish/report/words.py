"""Numbers as people read them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

Record = Mapping[str, Any]
"""A record of report.json or manifest.json."""


def count(n: float | None) -> str:
    """A whole number with thousands apart, `-` for None.

    >>> count(1234567)
    '1,234,567'
    """
    return "-" if n is None else f"{round(n):,}"


def percent(share: float | None) -> str:
    """A share in percent, with a decimal only where it matters.

    >>> percent(0.128), percent(0.004), percent(0), percent(0.9996)
    ('13 %', '0.4 %', '0 %', '99.96 %')
    """
    if share is None:
        return "-"
    points = share * 100
    if 0 < points < 1 or 99 < points < 100:
        text = f"{points:.1f}" if 0.05 <= points < 99.95 else f"{points:.2g}" if points < 1 else f"{points:.2f}"
        return f"{'100' if text.startswith('100') else text} %"
    return f"{points:.0f} %"


def decimal(number: float | None, places: int = 2) -> str:
    """A number of a few places without a leading zero, as statistics are printed.

    >>> decimal(0.8671), decimal(-0.5)
    ('.87', '-.50')
    """
    if number is None:
        return "-"
    text = f"{number + 0.0:.{places}f}"
    text = text.removeprefix("-") if float(text) == 0 else text
    return text.replace("0.", ".", 1) if text.startswith(("0.", "-0.")) else text


def signed(share: float | None) -> str:
    """A share in percent with its sign, which may be either.

    >>> signed(0.347), signed(-0.02), signed(0.0)
    ('+35 %', '-2 %', '0 %')
    """
    if share is None:
        return "-"
    text = f"{share * 100:+.0f}"
    return f"{'0' if text in ('+0', '-0') else text} %"


def points(difference: float | None) -> str:
    """A difference of shares in percentage points, with its sign.

    >>> points(0.347), points(-0.02)
    ('+35', '-2')
    """
    return "-" if difference is None else f"{difference * 100:+.0f}"


def number(found: float | None) -> str:
    """A count, or a decimal of three places, as gates have them.

    >>> number(27440), number(0.8), number(None)
    ('27,440', '.800', 'nothing that can be told')
    """
    if found is None:
        return "nothing that can be told"
    return decimal(found, 3) if isinstance(found, float) else count(found)


def interval(estimate: Record | None, *, told: Callable[[float], str] = percent) -> str:
    """A value with its interval in brackets, each told as a share, a `decimal` or `points`.

    >>> interval({"value": 0.13, "low": 0.1, "high": 0.16})
    '13 % (10 to 16)'
    """
    if estimate is None or estimate["value"] is None:
        return "unknown"
    low, high = estimate["low"], estimate["high"]
    ends = "" if low is None else f" ({told(low).removesuffix(' %')} to {told(high).removesuffix(' %')})"
    return told(estimate["value"]) + ends


def listed(names: Iterable[str], most: int = 4) -> str:
    """Names in a sentence.

    >>> listed(["a", "b", "c"])
    'a, b and c'
    """
    kept = list(names)
    if len(kept) > most:
        return f"{', '.join(kept[:most])} and {len(kept) - most} more"
    return f"{', '.join(kept[:-1])} and {kept[-1]}" if len(kept) > 1 else "".join(kept)


def short(text: str, most: int = 26) -> str:
    """A name cut to what a label holds.

    >>> short("disengaged traditionalists", 12)
    'disengaged…'
    """
    plain = " ".join(text.replace("_", " ").split())
    return plain if len(plain) <= most else plain[: most - 1].rstrip() + "…"


def size(n_bytes: float) -> str:
    """A size in the unit that suits it.

    >>> size(1234567)
    '1.2 MB'
    """
    for unit in ("bytes", "kB", "MB", "GB"):
        if n_bytes < 1000 or unit == "GB":
            return f"{n_bytes:.0f} bytes" if unit == "bytes" else f"{n_bytes:.1f} {unit}"
        n_bytes /= 1000
    return ""


def duration(seconds: float) -> str:
    """Seconds in words.

    >>> duration(75), duration(4.2)
    ('1 min 15 s', '4.2 s')
    """
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"
