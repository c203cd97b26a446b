"""Figures that show personas one beside the other: radars, the heat map of how far apart they are, the map."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from prefgen.publish.report import canvas
from prefgen.publish.report.canvas import BLUE, INK, LINE, SERIES, SOFT, WIDTH, Drawing, Table
from prefgen.publish.report.dots import dots, key
from prefgen.publish.report.words import Record, decimal, interval, short

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_FACES = 12
MOST_AXES = 9


def draw_profiles(_: Record, findings: Record) -> Drawing | None:
    """What each persona chooses, by dimension: radars from three dimensions on, else dots."""
    slices = [one for one in findings["profiles"] or [] if one["share"]["value"] is not None]
    if not slices:
        return None
    table = Table(
        ("persona", "level", "chooses the first option"),
        tuple((one["persona_id"], one["level"], interval(one["share"])) for one in slices if one["control"] is None),
    )
    compared = (findings["agreement"] or {}).get("compared") or list(dict.fromkeys(one["persona_id"] for one in slices))
    people = [name for name in compared if any(one["persona_id"] == name for one in slices)][:MOST_FACES]
    by = {(one["persona_id"], one["level"]): one["share"] for one in slices}
    levels = list(dict.fromkeys(one["level"] for one in slices))
    if len(levels) > MOST_AXES:
        levels = sorted(levels, key=lambda level: -_spread(by, people, level))[:MOST_AXES]
    complete = [name for name in people if all((name, level) in by for level in levels)]
    if len(levels) < 3 or not complete:
        return Drawing(*_rows(by, people, levels), table)
    drawing = _radars(by, complete, levels)
    return Drawing(
        drawing,
        "How often each persona chooses the first option, from 0 % in the middle to 100 % at the rim, with its 95 % band; "
        "dashed: mean of all. " + "; ".join(f"{place + 1} {level}" for place, level in enumerate(levels)) + ".",
        table,
    )


def _spread(by: Any, people: Sequence[str], level: str) -> float:
    values = [by[name, level]["value"] for name in people if (name, level) in by]
    return max(values, default=0.0) - min(values, default=0.0)


def _rows(by: Any, people: Sequence[str], levels: Sequence[str]) -> tuple[Any, str]:
    names = [short(name) for name in people]
    nothing = {"value": None, "low": None, "high": None}
    figure, axes = canvas.blank(0.3 * len(names) + 0.85, left=canvas.label_room(names), top=0.45)
    for at, level in enumerate(levels[:2]):
        lift = 0.0 if len(levels) == 1 else 0.14 - 0.28 * at
        dots(
            axes,
            [by.get((name, level), nothing) for name in people],
            names,
            colour=SERIES[at],
            marker="os"[at],
            lift=lift,
        )
    if len(levels) > 1:
        key(axes, [(short(level, 40), SERIES[at], "os"[at], False) for at, level in enumerate(levels[:2])], columns=1)
    canvas.percent_axis(axes, label="chooses the first option")
    return figure, "How often each persona chooses the first option. Lines: 95 % intervals."


def _radars(by: Any, people: Sequence[str], levels: Sequence[str]) -> Any:
    from matplotlib.figure import Figure

    columns = 3 if len(people) > 2 else len(people)
    rows = -(-len(people) // columns)
    cell, height = WIDTH / columns, min(1.8, WIDTH / columns + 0.25) * rows + 0.05
    figure = Figure(figsize=(WIDTH, height))
    angles = [2 * math.pi * place / len(levels) for place in range(len(levels) + 1)]
    mean = [sum(by[name, level]["value"] for name in people) / len(people) for level in levels]
    for place, name in enumerate(people):
        left = (place % columns) * cell
        side = min(cell * 0.76, 1.7)
        bottom = height - (place // columns + 1) * (height / rows) + 0.1
        axes = figure.add_axes(
            ((left + (cell - side) / 2) / WIDTH, bottom / height, side / WIDTH, side / height), projection="polar"
        )
        _radar(axes, angles, [by[name, level] for level in levels], mean)
        axes.set_title("\n".join(textwrap.wrap(short(name, 34), 17)[:2]), fontsize=8.2, pad=8, linespacing=1.0)
    return figure


def _radar(axes: Any, angles: list[float], shares: list[Record], mean: list[float]) -> None:
    def around(values: list[float]) -> list[float]:
        return [*values, values[0]]

    axes.set_theta_offset(math.pi / 2)
    axes.set_theta_direction(-1)
    axes.set_ylim(0, 1)
    axes.set_yticks([0.5, 1.0], [])
    axes.set_xticks(angles[:-1], [str(place + 1) for place in range(len(angles) - 1)])
    axes.tick_params(axis="x", labelsize=7.5, pad=-3, colors=SOFT)
    axes.spines["polar"].set_color(LINE)
    axes.grid(color=LINE, linewidth=0.7)
    axes.fill_between(
        angles,
        around([s["low"] for s in shares]),
        around([s["high"] for s in shares]),
        color=BLUE,
        alpha=0.28,
        linewidth=0,
    )
    axes.plot(angles, around([s["value"] for s in shares]), color=BLUE, linewidth=1.6)
    axes.plot(angles, around(mean), color=SOFT, linewidth=1.0, linestyle=(0, (3, 2)))


def draw_pairs(_: Record, findings: Record) -> Drawing | None:
    """How far apart personas are, two by two."""
    found = findings["agreement"]
    if found is None or len(found["pairs"]) < 3:
        return None
    names = [short(name, 22) for name in found["compared"]]
    n = len(names)
    margin = canvas.label_room(names, most=1.5)
    cell = min(0.5, (WIDTH - margin - 0.1) / n)
    figure, axes = canvas.blank(
        cell * n + margin + 0.1, left=margin, right=WIDTH - margin - cell * n, top=0.1, bottom=margin
    )
    size = max(5.0, min(9.0, cell * 19))
    _fill(axes, found["pairs"], {name: place for place, name in enumerate(found["compared"])}, size)
    axes.set_xlim(-0.5, n - 0.5)
    axes.set_ylim(n - 0.5, -0.5)
    axes.set_xticks(range(n), names, rotation=90)
    axes.set_yticks(range(n), names)
    axes.tick_params(axis="x", colors=INK, labelsize=min(9.0, size + 1))
    axes.tick_params(axis="y", labelsize=min(9.0, size + 1))
    for spine in axes.spines.values():
        spine.set_visible(False)
    rows = tuple(
        (
            pair["first"],
            pair["second"],
            interval(pair["divergence"], told=decimal),
            interval(pair["kappa"], told=decimal),
            interval(pair["same"]),
        )
        for pair in found["pairs"]
    )
    return Drawing(
        figure,
        "Below the diagonal, shaded: Jensen-Shannon divergence of their answers in bits, mean over items (0 alike, 1 nothing in common). "
        "Above: Cohen's kappa of their choices. The table has the 95 % intervals.",
        Table(("persona", "persona", "divergence (bits)", "kappa", "same choice"), rows),
    )


def _fill(axes: Axes, pairs: Sequence[Record], places: Mapping[str, int], size: float) -> None:
    """Divergences below the diagonal, darker the farther; kappas above it."""
    from matplotlib.patches import Rectangle

    most = max(0.05, *((pair["divergence"]["value"] or 0.0) for pair in pairs))
    digits = 2 if most > 0.05 else 3
    for pair in pairs:
        a, b = places[pair["first"]], places[pair["second"]]
        far = pair["divergence"]["value"] or 0.0
        shade = 0.06 + 0.54 * far / most
        axes.add_patch(Rectangle((a - 0.48, b - 0.48), 0.96, 0.96, facecolor=BLUE, alpha=shade, linewidth=0))
        axes.text(a, b, decimal(far, digits), ha="center", va="center", fontsize=size)
        axes.text(b, a, decimal(pair["kappa"]["value"]), ha="center", va="center", fontsize=size, color=SOFT)
