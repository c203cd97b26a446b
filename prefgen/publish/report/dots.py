"""Dots with their intervals, a row each, and what stands beside them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from prefgen.publish.report import canvas
from prefgen.publish.report.canvas import BLUE
from prefgen.publish.report.words import Record, count, short

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_ROWS = 16


def few_of(shown: int, of: int) -> str:
    """That a figure shows some of many personas, where it does."""
    return f" The {shown} with the most of {count(of)} are shown." if shown == MOST_ROWS < of else ""


def named(one: Record) -> str:
    """A persona or control as a label."""
    if one["control"] == "none":
        return "no persona"
    return short(one["persona_id"]) + (f" ({one['control']})" if one["control"] else "")


def dots(
    axes: Axes,
    estimates: Sequence[Record],
    names: Sequence[str],
    *,
    colour: str = BLUE,
    marker: str = "o",
    lift: float = 0.0,
    hollow: bool = False,
) -> None:
    """One row an estimate, first at the top: a dot and its interval."""
    last = len(estimates) - 1
    for place, estimate in enumerate(estimates):
        if estimate["value"] is not None:
            dot(axes, estimate, last - place + lift, colour, marker, 5.5, hollow)
    axes.set_yticks(range(last + 1), list(reversed(names)))
    axes.set_ylim(-0.6, last + 0.6)


def dot(axes: Axes, estimate: Record, y: float, colour: str, marker: str, size: float, hollow: bool) -> None:
    """One dot and its interval."""
    if estimate["low"] is not None:
        ends = [estimate["low"], estimate["high"]]
        axes.plot(ends, [y, y], color=colour, linewidth=1.4, solid_capstyle="butt", clip_on=False)
    face = canvas.PAPER if hollow else colour
    axes.plot(
        [estimate["value"]],
        [y],
        marker=marker,
        markersize=size,
        color=face,
        markeredgecolor=colour,
        markeredgewidth=1.2,
        clip_on=False,
    )


def key(axes: Axes, entries: Sequence[tuple[str, str, str, bool]], *, columns: int = 3) -> None:
    """A legend above the axes: (name, colour, marker, hollow) each."""
    from matplotlib.lines import Line2D

    marks = [
        Line2D(
            [],
            [],
            color=canvas.PAPER if hollow else colour,
            marker=marker,
            markeredgecolor=colour,
            linestyle="none",
            markersize=5.5,
        )
        for _, colour, marker, hollow in entries
    ]
    axes.legend(
        marks,
        [name for name, *_ in entries],
        loc="lower right",
        bbox_to_anchor=(1.02, 1.0),
        ncols=columns,
        handletextpad=0.1,
        columnspacing=0.9,
        borderaxespad=0.1,
    )
