"""Figure of calibration: how far the judge's answers are from what people of the same kind said in a survey."""

from __future__ import annotations

from prefgen.publish.report import canvas
from prefgen.publish.report.canvas import BLUE, RED, SOFT, Drawing, Table
from prefgen.publish.report.charts import key
from prefgen.publish.report.words import Record, count, decimal, short

PERSONAS = "personas"
MOST_ROWS = 24


def draw_calibration(_: Record, findings: Record) -> Drawing | None:
    """Mean distance of each source of answers to the survey, by attribute, beside the survey's own noise."""
    found = findings.get("calibration")
    rows = [one for one in (found or {"summary": []})["summary"] if one["total_variation"] is not None][:MOST_ROWS]
    if not rows:
        return None
    names = [f"{short(one['attribute'], 14)}: {short(one['source'], 14)}" for one in rows]
    figure, axes = canvas.blank(0.25 * len(rows) + 0.9, left=canvas.label_room(names, most=2.0), top=0.4)
    last = len(rows) - 1
    for place, one in enumerate(rows):
        y, noise = last - place, one["noise_total_variation"]
        colour = BLUE if one["source"] == PERSONAS else RED
        if noise is not None:
            axes.plot([0, noise], [y, y], color=SOFT, linewidth=5, alpha=0.35, solid_capstyle="butt")
        axes.plot(
            [one["total_variation"]],
            [y],
            marker="o" if colour == BLUE else "D",
            color=colour,
            markersize=5.5,
            clip_on=False,
        )
    axes.set_yticks(range(last + 1), list(reversed(names)))
    axes.set_ylim(-0.6, last + 0.6)
    most = max(max(one["total_variation"], one["noise_total_variation"] or 0.0) for one in rows)
    canvas.percent_axis(
        axes, high=min(1.0, most * 1.1 + 0.01), label="answers that would have to move (total variation)"
    )
    key(
        axes,
        [("personas", BLUE, "o", False), ("baselines", RED, "D", False), ("noise of the survey", SOFT, "s", False)],
    )
    table = tuple(
        (one["attribute"], one["source"], count(one["n_items"]), decimal(one["total_variation"], 3), decimal(one["noise_total_variation"], 3), decimal(one["gain"]))
        for one in rows
    )  # fmt: skip
    return Drawing(figure, "Mean over questions and subgroups of the distance between the judge's answers and the survey's. The grey bar is the distance between "
        "random halves of the same respondents: below its end a difference means nothing. Baselines left of the personas know people better without them.",
        Table(("attribute", "source", "questions", "total variation", "noise", "gain over the whole survey"), table))  # fmt: skip


def calibration_title(_: Record, findings: Record) -> str:
    """How the personas do, in one sentence."""
    figures = findings["calibration"]["figures"]
    distance, gain = figures["total_variation"], figures["gain"]
    said = f"Personas are {decimal(distance)} from people of their kind (noise {decimal(figures['noise'])})"
    if gain is None:
        return said
    return f"{said}, {'nearer than' if gain > 0 else 'no nearer than'} the survey as a whole"
