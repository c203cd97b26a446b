"""Figures of dots with their intervals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from prefgen.publish.report import canvas
from prefgen.publish.report.canvas import BLUE, LINE, MARKERS, RED, SERIES, SOFT, Drawing, Table
from prefgen.publish.report.dots import MOST_ROWS, dot, dots, few_of, key, named
from prefgen.publish.report.headlines import group_change
from prefgen.publish.report.words import Record, count, decimal, interval, percent, points, short, signed

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def draw_position(_: Record, findings: Record) -> Drawing | None:
    """Position bias over all and by persona, people's beside it; then how often answers change with the order."""
    bias = findings["position_bias"]
    if bias["position_bias"]["value"] is None:
        return None
    rows = [one for one in bias["by_persona"] if one["position_bias"]["value"] is not None]
    rows = sorted(rows, key=lambda one: -abs(one["position_bias"]["value"]))[:MOST_ROWS]
    all_rows, names = [bias, *rows], ["all together", *(named(one) for one in rows)]
    figure, axes = canvas.blank(0.27 * len(names) + 0.95, left=canvas.label_room(names), right=1.4, top=0.35)
    _draw_habits(axes, all_rows, names, people=bias["people"])
    height = figure.get_size_inches()[1]
    beside = figure.add_axes((1 - 1.08 / canvas.WIDTH, 0.45 / height, 0.95 / canvas.WIDTH, 1 - 0.8 / height))
    _draw_changes(beside, all_rows)
    columns = ("persona", "position bias", "names the first slot", "changes with the order", "of it noise")
    table = tuple(
        (
            name,
            interval(one["position_bias"], told=signed),
            *map(interval, (one["first_slot"], one["changes"])),
            percent(one["noise"]),
        )
        for name, one in zip(names, all_rows, strict=True)
    )
    return Drawing(
        figure,
        "Left: how much more often than chance the first slot is named, orders balanced: 0 is a judge without a habit, also one that answers at "
        f"random; dashed: people, who chose the first shown in 50.5 % of 5,760 comparisons. Right: comparisons of two orders in which the answer changes; grey mark: the part that leans to no slot, as noise alone would."
        f"{few_of(len(rows), len(bias['by_persona']))} Lines: 95 % intervals.",
        Table(columns, table),
    )


def _draw_habits(axes: Axes, rows: Sequence[Record], names: Sequence[str], *, people: float) -> None:
    dots(axes, [one["position_bias"] for one in rows], names)
    axes.axvline(0, color=SOFT, linewidth=1)
    axes.axvline(people, color=RED, linewidth=1.2, linestyle=(0, (3, 2)))
    canvas.percent_axis(axes, low=-1.02, high=1.02, label="position bias")
    axes.set_xticks([-1, 0, 1], ["−100", "0", "+100 %"])
    key(axes, [("judge", BLUE, "o", False), ("people", RED, "|", False)])


def _draw_changes(axes: Axes, rows: Sequence[Record]) -> None:
    dots(axes, [one["changes"] for one in rows], [""] * len(rows), marker="D")
    for place, one in enumerate(reversed(rows)):
        if one["noise"] is not None:
            axes.plot([one["noise"]] * 2, [place - 0.32, place + 0.32], color=SOFT, linewidth=1.4)
    canvas.percent_axis(axes, high=1.02, label="changes")
    axes.set_xticks([0, 0.5, 1], ["0", "50", "100 %"])


def draw_control(_: Record, findings: Record) -> Drawing | None:
    """How many answers a persona changes against the control, beside its own inconsistency."""
    effects = [one for one in findings["controls"] if one["differs"]["value"] is not None]
    if not effects:
        return None
    effects = sorted(effects, key=lambda one: -one["differs"]["value"])[:MOST_ROWS]
    several = len({one["control"] for one in effects}) > 1
    names = [short(one["persona_id"]) + (f" / {one['control']}" if several else "") for one in effects]
    figure, axes = canvas.blank(0.3 * len(names) + 0.95, left=canvas.label_room(names), top=0.35)
    dots(axes, [one["changes_mind"] for one in effects], names, colour=SOFT, marker="s", lift=-0.17, hollow=True)
    dots(axes, [one["differs"] for one in effects], names, lift=0.12)
    most = max(max(one["differs"]["high"], one["changes_mind"]["high"] or 0.0) for one in effects)
    canvas.percent_axis(axes, high=min(1.02, most * 1.1 + 0.02), label="share of items")
    key(axes, [("differs from the control", BLUE, "o", False), ("changes with the order", SOFT, "s", True)])
    rows = tuple(
        (
            name,
            one["control"],
            interval(one["differs"]),
            interval(one["divergence"], told=decimal),
            interval(one["changes_mind"]),
        )
        for name, one in zip(names, effects, strict=True)
    )
    return Drawing(
        figure,
        "Filled: items on which the persona chooses another option than its control. Hollow: comparisons in which the persona "
        f"itself changes when the order changes. Where they meet, the persona is not felt.{few_of(len(effects), len(findings['controls']))} Lines: 95 % intervals.",
        Table(("persona", "control", "differs", "divergence (bits)", "changes with the order"), rows),
    )


def draw_shares(_: Record, findings: Record) -> Drawing | None:
    """P(option) by two coordinates."""
    found = findings["shares"]
    if found is None or not found["slices"]:
        return None
    columns = list(dict.fromkeys(one["column"] for one in found["slices"]))[: len(SERIES)]
    by_row: dict[str, list[Record]] = {}
    for one in found["slices"]:
        if one["column"] in columns:
            by_row.setdefault(one["row"], []).append(one)
    rows = sorted(by_row, key=lambda row: sum(one["share"]["value"] for one in by_row[row]) / len(by_row[row]))[
        -MOST_ROWS:
    ]
    step = max(0.3, 0.085 * len(columns) + 0.1)
    legend = 0.2 * -(-len(columns) // 3) + 0.1 if len(columns) > 1 else 0.1
    figure, axes = canvas.blank(
        step * len(rows) + 0.5 + legend, left=canvas.label_room([short(row, 24) for row in rows]), top=legend
    )
    _dodged(axes, [by_row[row] for row in rows], columns)
    for place in range(len(rows) - 1):
        axes.axhline(place + 0.5, color=LINE, linewidth=0.7)
    axes.axvline(found["overall"]["value"], color=SOFT, linewidth=1, linestyle=(0, (3, 2)))
    axes.set_yticks(range(len(rows)), [short(row, 24) for row in rows])
    axes.set_ylim(-0.6, len(rows) - 0.4)
    ends = [one["share"] for row in rows for one in by_row[row]]
    canvas.percent_axis(
        axes,
        low=max(0.0, min(e["low"] for e in ends) - 0.03),
        high=min(1.0, max(e["high"] for e in ends) + 0.03),
        label=f"chooses option {found['option']}",
    )
    if len(columns) > 1:
        key(axes, [(short(column, 18), SERIES[at], MARKERS[at], False) for at, column in enumerate(columns)])
    table = tuple((one["row"], one["column"], interval(one["share"])) for row in reversed(rows) for one in by_row[row])
    by = f"{found['rows']} and {found['columns']}" if found["columns"] else found["rows"]
    return Drawing(
        figure,
        f"Share of choices for option {found['option']}, personas weighted, by {by}; dashed: over all. Lines: 95 % intervals.",
        Table((found["rows"], found["columns"] or "", f"P({found['option']})"), table),
    )


def _dodged(axes: Axes, rows: Sequence[Sequence[Record]], columns: Sequence[str]) -> None:
    """A line of dots a row, one a column, each a little lower than the one before."""
    for at, column in enumerate(columns):
        lift = 0.0 if len(columns) == 1 else (0.5 - at / (len(columns) - 1)) * 0.62
        for place, slices in enumerate(rows):
            for one in slices:
                if one["column"] == column:
                    dot(axes, one["share"], place + lift, SERIES[at], MARKERS[at], 4.2, False)


def draw_gaps(_: Record, findings: Record) -> Drawing | None:
    """The widest gaps when one coordinate alone changes."""
    found = group_change(findings)
    if found is None or not found["gaps"]:
        return None
    gaps = found["gaps"][:10]
    names = [f"{short(gap['first'], 15)} − {short(gap['second'], 15)}" for gap in gaps]
    figure, axes = canvas.blank(0.29 * len(names) + 0.6, left=canvas.label_room(names, most=2.4))
    dots(axes, [gap["difference"] for gap in gaps], names)
    axes.axvline(0, color=SOFT, linewidth=1)
    ends = [end for gap in gaps for end in map(gap["difference"].get, ("value", "low", "high")) if end is not None]
    low, high = min([0.0, *ends]), max([0.0, *ends])
    canvas.percent_axis(axes, low=low - 0.02, high=high + 0.02)
    from matplotlib.ticker import FuncFormatter

    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: points(value) if value else "0"))
    axes.set_xlabel(f"P({found['option']}), percentage points")
    rows = tuple((gap["first"], gap["second"], interval(gap["difference"], told=points)) for gap in gaps)
    return Drawing(
        figure,
        f"The widest differences between two levels of {found['coordinate']} within the same {' × '.join(found['held']) or 'run'}, each persona against itself. "
        + _trust(found, gaps),
        Table(("more", "less", "difference (points)"), rows),
    )


def _trust(found: Record, gaps: Sequence[Record]) -> str:
    if all(gap["difference"]["low"] is None for gap in gaps):
        return "Each stands on one comparison: too few for an interval."
    return f"The intervals hold for all {found['compared']} gaps, and those of other coordinates, together, so that picking the widest is fair; {found['significant']} exclude 0."


def draw_nonresponse(_: Record, findings: Record) -> Drawing | None:
    """Judgments without a choice, by the coordinate on which they differ most."""
    levels = [
        one
        for one in findings["nonresponse"]
        if one["coordinate"] != "persona_id" and one["share"]["value"] is not None
    ]
    if not any(one["share"]["value"] for one in levels):
        return None
    spread: dict[str, float] = {}
    for one in levels:
        spread[one["coordinate"]] = max(spread.get(one["coordinate"], 0.0), one["share"]["low"])
    coordinate = max(spread, key=lambda name: spread[name])
    rows = sorted((one for one in levels if one["coordinate"] == coordinate), key=lambda one: -one["share"]["value"])[
        :MOST_ROWS
    ]
    names = [short(one["level"], 28) for one in rows]
    figure, axes = canvas.blank(0.27 * len(names) + 0.55, left=canvas.label_room(names))
    dots(axes, [one["share"] for one in rows], names, colour=RED)
    canvas.percent_axis(
        axes,
        high=min(1.02, max(one["share"]["high"] for one in rows) * 1.08 + 0.01),
        label="judgments without a choice",
    )
    table = tuple(
        (
            one["level"],
            count(one["judgments"]),
            ", ".join(f"{k} {count(v)}" for k, v in one["statuses"].items()),
            interval(one["share"]),
        )
        for one in rows
    )
    return Drawing(
        figure,
        f"Refused, unparsed, tied or failed judgments by {coordinate}. Lines: 95 % intervals.",
        Table((coordinate, "judgments", "statuses", "without a choice"), table),
    )
