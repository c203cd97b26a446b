"""Figures of a draw: its shares and associations beside those asked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from prefgen.publish.report import canvas
from prefgen.publish.report.canvas import BLUE, INK, RED, SOFT, WIDTH, Drawing, Table
from prefgen.publish.report.words import Record, decimal, percent, short

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

KEYS = ("margins", "associations")
MOST_POPULATIONS = 3
MOST_ATTRIBUTES = 12
MOST_LEVELS = 10
_EXACT = 1e-9
_ROW, _HEAD, _GAP = 0.24, 0.22, 0.06  # inches
_ROOM = 1.75  # inches for the names of levels


def audits_of(manifest: Record) -> list[Record]:
    """The audit of every population drawn, those of a combined one each for itself."""
    draws = [step["summary"] for step in manifest["steps"] if step["kind"] == "draw"]
    return [one for audit in draws for one in _parts(audit)]


def _parts(audit: Record) -> Iterator[Record]:
    parts = audit.get("parts") or []
    if not parts and audit.get("margins") is not None:
        yield audit
    for part in parts:
        yield from _parts(part)


def draw_draws(manifest: Record) -> Iterator[tuple[str, str, Drawing]]:
    """(key, title, figure) of every population in which something could differ from what was asked for."""
    for place, audit in enumerate(audits_of(manifest)[:MOST_POPULATIONS]):
        suffix = str(place + 1) if place else ""
        of = f" ({short(audit['population'], 20)})" if len(audits_of(manifest)) > 1 else ""
        if any(_apart(one) > _EXACT for one in audit["margins"]):
            yield f"margins{suffix}", _margins_title(audit) + of, _draw_margins(audit)
        if len(audit["associations"]) > 2:
            yield f"associations{suffix}", _associations_title(audit) + of, _draw_associations(audit)


def _apart(margin: Record) -> float:
    return float(sum(abs(a - b) for a, b in zip(margin["target"], margin["realised"], strict=True)) / 2)


def _margins_title(audit: Record) -> str:
    worst = max(audit["margins"], key=_apart)
    far = _apart(worst)
    if far < 0.0005:
        return "Every attribute has the shares asked for, to a tenth of a percent"
    return f"Farthest from the shares asked for is {short(worst['attribute'])}, by {percent(far)} of the people"


def _draw_margins(audit: Record) -> Drawing:
    """Two bars a level, attribute by attribute: what was asked for, and what was drawn."""
    margins = sorted(audit["margins"], key=_apart, reverse=True)[:MOST_ATTRIBUTES]
    margins = [one for one in audit["margins"] if one in margins]
    rows = sum(min(len(one["levels"]), MOST_LEVELS) + (len(one["levels"]) > MOST_LEVELS) for one in margins)
    height = _ROW * rows + (_HEAD + _GAP) * len(margins) + 0.75
    names = [short(level, 24) for one in margins for level in one["levels"]]
    figure, axes = canvas.blank(height, left=canvas.label_room(names, most=_ROOM), top=0.3, right=0.5)
    most, y = 0.0, 0.0
    ticks: list[tuple[float, str]] = []
    for one in margins:
        axes.text(0, y, short(one["attribute"], 40), fontweight="bold", va="center", fontsize=9)
        y -= _HEAD
        shown, left_out = _levels_shown(one)
        for level, target, realised in shown:
            axes.barh(y + 0.05, target, height=0.075, color=SOFT)
            axes.barh(y - 0.045, realised, height=0.11, color=BLUE)
            axes.text(max(target, realised) + 0.008, y, percent(realised), va="center", fontsize=7.5, color=INK)
            ticks.append((y, short(level, 24)))
            most = max(most, target, realised)
            y -= _ROW
        if left_out:
            ticks.append((y, f"{left_out} more"))
            y -= _ROW
        y -= _GAP
    axes.set_yticks([at for at, _ in ticks], [name for _, name in ticks])
    axes.set_ylim(y + 0.1, 0.18)
    canvas.percent_axis(axes, high=min(1.0, most * 1.12), label="of the people, weighted")
    _key(axes)
    table = tuple(
        (one["attribute"], level, percent(target), percent(realised), f"{(realised - target) * 100:+.2f}")
        for one in audit["margins"]
        for level, target, realised in zip(one["levels"], one["target"], one["realised"], strict=True)
    )
    rest = len(audit["margins"]) - len(margins)
    caption = "Grey: the share that the persona spec asks for. Blue: the share among the people drawn." + (
        f" The {len(margins)} attributes that differ most of {len(audit['margins'])}." if rest else ""
    )
    return Drawing(figure, caption, Table(("attribute", "level", "target", "realised", "difference (points)"), table))


def _levels_shown(margin: Record) -> tuple[list[tuple[str, float, float]], int]:
    """The levels with room for a bar, in their order, and how many are left out."""
    levels = list(zip(margin["levels"], margin["target"], margin["realised"], strict=True))
    if len(levels) <= MOST_LEVELS:
        return levels, 0
    kept = sorted(levels, key=lambda one: -max(one[1], one[2]))[:MOST_LEVELS]
    return [one for one in levels if one in kept], len(levels) - MOST_LEVELS


def _key(axes: Axes) -> None:
    from matplotlib.patches import Patch

    marks = [Patch(color=SOFT), Patch(color=BLUE)]
    axes.legend(
        marks,
        ["target", "realised"],
        loc="lower right",
        bbox_to_anchor=(1.02, 1.0),
        ncols=2,
        handlelength=1.0,
        handleheight=0.6,
        borderaxespad=0.1,
    )


def _associations_title(audit: Record) -> str:
    worst = max(audit["associations"], key=_difference)
    return (
        f"Cramer's V differs by {decimal(audit['v_difference_mean'], 4)} on average, "
        f"at most by {decimal(audit['v_difference_max'], 4)} ({short(worst['first'], 18)} and {short(worst['second'], 18)})"
    )


def _difference(pair: Record) -> float:
    return float(abs(pair["realised"] - pair["target"]))


def _draw_associations(audit: Record) -> Drawing:
    """Two heat maps: target below and realised above the diagonal; and their difference."""
    pairs = audit["associations"]
    names = _attributes_shown(pairs)
    shown = [one for one in pairs if one["first"] in names and one["second"] in names]
    rows = tuple(
        (
            one["first"],
            one["second"],
            decimal(one["target"], 4),
            decimal(one["realised"], 4),
            _signed(one["realised"] - one["target"], 4),
        )
        for one in sorted(pairs, key=_difference, reverse=True)
    )
    few = f" The {len(names)} attributes that tell most about each other." if len(rows) > len(shown) else ""
    return Drawing(
        _two_maps(shown, names),
        "How much two attributes tell about each other: 0 nothing, 1 everything. Above: asked for (below the diagonal) and drawn "
        "(above it). Below: what the draw has more (red) or less (blue), the strongest colour where they differ most."
        + few,
        Table(("attribute", "attribute", "target V", "realised V", "difference"), rows),
    )


def _two_maps(shown: Sequence[Record], names: Sequence[str]) -> Figure:
    from matplotlib.figure import Figure

    n, labels = len(names), [short(name, 18) for name in names]
    margin = canvas.label_room(labels, most=1.3)
    cell = min(0.46, (WIDTH - margin - 0.1) / n)
    high, size = cell * n, max(5.0, min(8.5, cell * 19))
    total = 2 * high + margin + 0.95
    figure = Figure(figsize=(WIDTH, total))
    draw = (_draw_values, _draw_differences)
    for at, title in enumerate(("target below, realised above", "realised minus target")):
        top = total - 0.3 - at * (high + 0.35)
        axes = figure.add_axes((margin / WIDTH, (top - high) / total, cell * n / WIDTH, high / total))
        axes.set_title(title, fontsize=8.5, color=SOFT, loc="left", pad=5)
        draw[at](axes, shown, names, size)
        _frame(axes, labels, n, size, last=at == 1)
    return figure


def _draw_values(axes: Axes, shown: Sequence[Record], names: Sequence[str], size: float) -> None:
    """Target below the diagonal, realised above it."""
    most = max(0.05, *(max(one["target"], one["realised"]) for one in shown))
    for one in shown:
        low, up = sorted((names.index(one["first"]), names.index(one["second"])))
        _square(axes, low, up, one["target"] / most, BLUE, decimal(one["target"]), size)
        _square(axes, up, low, one["realised"] / most, BLUE, decimal(one["realised"]), size)


def _draw_differences(axes: Axes, shown: Sequence[Record], names: Sequence[str], size: float) -> None:
    """What the draw has more or less, below the diagonal."""
    far = max(0.005, *(_difference(one) for one in shown))
    size, digits = size * (0.85 if len(names) > 5 else 1), 2 if far >= 0.05 else 3
    for one in shown:
        low, up = sorted((names.index(one["first"]), names.index(one["second"])))
        change = one["realised"] - one["target"]
        _square(axes, low, up, abs(change) / far, RED if change > 0 else BLUE, _signed(change, digits), size)


def _signed(change: float, digits: int) -> str:
    text = decimal(change, digits)
    return f"+{text}" if change > 0 and any(digit in text for digit in "123456789") else text


def _attributes_shown(pairs: Sequence[Record]) -> list[str]:
    """Every attribute, or of many those with the strongest associations, in their order."""
    strength: dict[str, float] = {}
    for one in pairs:
        for name in (one["first"], one["second"]):
            strength[name] = strength.get(name, 0.0) + max(one["target"], one["realised"])
    kept = sorted(strength, key=lambda name: -strength[name])[:MOST_ATTRIBUTES]
    return [name for name in strength if name in kept]


def _square(axes: Axes, column: int, row: int, shade: float, colour: str, text: str, size: float) -> None:
    from matplotlib.patches import Rectangle

    box: Any = Rectangle(
        (column - 0.48, row - 0.46), 0.96, 0.92, facecolor=colour, alpha=0.05 + 0.5 * shade, linewidth=0
    )
    axes.add_patch(box)
    axes.text(column, row, text, ha="center", va="center", fontsize=size)


def _frame(axes: Axes, labels: Sequence[str], n: int, size: float, *, last: bool) -> None:
    axes.set_xlim(-0.5, n - 0.5)
    axes.set_ylim(n - 0.5, -0.5)
    axes.set_yticks(range(n), labels)
    axes.set_xticks(range(n), labels if last else [""] * n, rotation=90)
    axes.tick_params(axis="x", colors=INK, labelsize=min(9.0, size + 1))
    axes.tick_params(axis="y", labelsize=min(9.0, size + 1))
    for spine in axes.spines.values():
        spine.set_visible(False)
