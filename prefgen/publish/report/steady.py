"""Figures of how steady answers are: against the form of a question, the wording of a persona, the length of an option."""

from __future__ import annotations

from prefgen.publish.report import canvas
from prefgen.publish.report.canvas import BLUE, INK, SOFT, Drawing, Table
from prefgen.publish.report.claims import told_apart
from prefgen.publish.report.dots import MOST_ROWS, dots, key, named
from prefgen.publish.report.words import Record, count, decimal, interval, percent, short


def draw_forms(_: Record, findings: Record) -> Drawing | None:
    """How often each persona says the same when the question takes another form; beside it what chance would give."""
    rows = [one for one in findings.get("forms") or [] if one["same"]["value"] is not None]
    if not rows:
        return None
    rows = sorted(rows, key=lambda one: -one["same"]["value"])
    shown = rows if len(rows) <= MOST_ROWS else [*rows[: MOST_ROWS // 2], *rows[-MOST_ROWS // 2 :]]
    names = [named(one) for one in shown]
    figure, axes = canvas.blank(0.27 * len(names) + 0.95, left=canvas.label_room(names), top=0.35)
    dots(axes, [one["same"] for one in shown], names)
    for place, one in enumerate(reversed(shown)):
        if one["by_chance"] is not None:
            axes.plot([one["by_chance"]] * 2, [place - 0.32, place + 0.32], color=SOFT, linewidth=1.4)
    canvas.percent_axis(axes, high=1.02, label="same choice in another form")
    key(axes, [("persona", BLUE, "o", False), ("by chance", SOFT, "|", False)])
    table = tuple((named(one), interval(one["same"]), percent(one["by_chance"])) for one in rows)
    few = " The steadiest and the least steady." if len(rows) > len(shown) else ""
    return Drawing(
        figure,
        f"Share of questions to which a persona gives the same answer in either form.{few} A dot at its grey mark: the answer to one form says "
        "nothing about the other; left of it: the forms turn the answer around. Lines: 95 % intervals.",
        Table(("persona", "same choice", "by chance"), table),
    )


def forms_title(_: Record, findings: Record) -> str:
    """The steadiest and the least steady persona."""
    rows = [one for one in findings["forms"] if one["same"]["value"] is not None]
    if len(rows) == 1:
        return f"Asked in another form, {named(rows[0])} gives the same answer {interval(rows[0]['same'])} of the time"
    ends = told_apart(rows, lambda one: one["same"])
    if ends is None:
        return "Asked in another form, no persona is steadier than another beyond chance"
    low, high = ends
    return f"Asked in another form, {named(low)} gives the same answer {interval(low['same'])} of the time, {named(high)} {interval(high['same'])}"


def draw_wordings(_: Record, findings: Record) -> Drawing | None:
    """How many answers change when the same people are told in other words."""
    found = findings.get("wordings")
    if not found or found["differs"]["value"] is None:
        return None
    pairs = sorted(
        (one for one in found["pairs"] if one["differs"]["value"] is not None), key=lambda one: -one["differs"]["value"]
    )
    names = [f"{short(one['first'], 14)} / {short(one['second'], 14)}" for one in pairs[:MOST_ROWS]]
    rows, names = [one["differs"] for one in pairs[:MOST_ROWS]], names
    if len(pairs) > 1:
        rows, names = [found["differs"], *rows], ["all together", *names]
    if found["changes_mind"]["value"] is not None:
        rows, names = [*rows, found["changes_mind"]], [*names, "another order instead"]
    figure, axes = canvas.blank(0.29 * len(names) + 0.65, left=canvas.label_room(names, most=2.1))
    dots(axes, rows, names)
    for place, one in enumerate(reversed(pairs[:MOST_ROWS]), start=int(found["changes_mind"]["value"] is not None)):
        if one["by_chance"] is not None:
            axes.plot([one["by_chance"]] * 2, [place - 0.3, place + 0.3], color=SOFT, linewidth=1.4)
    canvas.percent_axis(axes, high=1.02, label="answers that change")
    table = tuple(
        (
            one["first"],
            one["second"],
            count(one["people"]),
            interval(one["differs"]),
            percent(one["by_chance"]),
            decimal(one["divergence"], 3),
        )
        for one in pairs
    )
    return Drawing(
        figure,
        "The same people portrayed in two wordings: share of items on which their choice differs. Grey mark: two answers that have nothing to do "
        "with each other. Last row: what another order of the options changes by itself. Lines: 95 % intervals.",
        Table(("wording", "wording", "people", "differs", "by chance", "divergence (bits)"), table),
    )


def wordings_title(_: Record, findings: Record) -> str:
    """How much the wording of the persona changes."""
    return f"Told in other words, the same people change {interval(findings['wordings']['differs'])} of their answers"


def draw_length(_: Record, findings: Record) -> Drawing | None:
    """How often the longest option is chosen, from items of nearly equal options to those with the widest differences."""
    found = findings.get("length")
    if not found or found["chance"] is None or found["longest"]["value"] is None:
        return None
    steps = [
        (f"{low:.2f} to {high:.2f} times" if high - low > 0.005 else f"{low:.2f} times", share)
        for low, high, share in found["steps"]
    ]
    rows = [("all items", found["longest"]), *(steps if len({name for name, _ in steps}) > 1 else [])]
    names = [name for name, _ in rows]
    figure, axes = canvas.blank(0.29 * len(names) + 0.65, left=canvas.label_room(names))
    dots(axes, [share for _, share in rows], names)
    axes.axvline(found["chance"], color=INK, linewidth=1, linestyle=(0, (3, 2)))
    canvas.percent_axis(axes, high=1.02, label="chooses the longest option")
    table = tuple((name, count(share["n"]), interval(share)) for name, share in rows)
    return Drawing(
        figure,
        "Share of choices for the one longest option, by how many times as long as the shortest it is; dashed: chance. Length and content come "
        "together in most items: a warning, not a cause. Lines: 95 % intervals.",
        Table(("longest over shortest", "items", "chosen"), table),
    )


def length_title(_: Record, findings: Record) -> str:
    """How often the longest option is chosen."""
    found = findings["length"]
    return f"The longest option is chosen {interval(found['longest'])} of the time, where {percent(found['chance'])} is chance"
