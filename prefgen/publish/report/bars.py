"""Figures of bars: rows from step to step, and items by how many personas agree."""

from __future__ import annotations

from collections.abc import Sequence

from prefgen.publish.report import canvas
from prefgen.publish.report.canvas import BLUE, INK, RED, Drawing, Table
from prefgen.publish.report.words import Record, count, interval, percent, short, signed
from prefgen.store.finished import Lineage


def draw_flow(manifest: Record, _: Record) -> Drawing | None:
    """Judgments from request to kept row, then what was made of them; None where every bar would be as long."""
    bars = flow_of(manifest)
    if len({rows for _, rows, kept, _ in bars for rows in (rows, kept)}) < 2:  # nothing was lost on the way
        return None
    figure, axes = canvas.blank(0.44 * len(bars) + 0.15, left=0.02, right=0.02, top=0.02, bottom=0.05)
    most = max(rows for _, rows, _, _ in bars)
    for place, (name, rows, kept, why) in enumerate(bars):
        y = -place
        axes.barh(y, kept / most, height=0.34, color=BLUE)
        axes.barh(
            y,
            (rows - kept) / most,
            left=kept / most,
            height=0.34,
            color="none",
            edgecolor=RED,
            hatch="////",
            linewidth=0.7,
        )
        axes.text(0, y + 0.22, short(name, 44), va="bottom", fontsize=8.5)
        lost = f"  −{count(rows - kept)} {short(why, 20)}" if rows > kept else ""
        axes.text(1, y + 0.22, f"{count(kept)}{lost}", va="bottom", ha="right", fontsize=8.5, color=INK)
    axes.set_xlim(0, 1)
    axes.set_ylim(-len(bars) + 0.7, 0.62)
    axes.axis("off")
    table = Table(
        ("stage", "rows", "kept", "dropped"), tuple((n, count(r), count(k), count(r - k)) for n, r, k, _ in bars)
    )
    return Drawing(figure, "Solid: goes on. Hatched: stays behind, with its commonest reason.", table)


def flow_of(manifest: Record) -> list[tuple[str, int, int, str]]:
    """(stage, rows, rows that go on, commonest reason) from requests to the last table made of judgments."""
    bars: list[tuple[str, int, int, str]] = []
    judges = Lineage.of_manifest(manifest).judges
    for step in manifest["steps"]:
        if step["name"] in judges:
            rows, failed = step["rows"], step.get("requests", {}).get("failed", 0)
            bars.append((f"{step['name']}: presentations asked", rows, max(0, rows - failed), "failed"))
        if step["grain"] in ("judgments", "pairs") and step["rows"]:
            dropped = step["dropped"]
            why = max(dropped, key=lambda reason: dropped[reason]) if dropped else ""
            noun = "judgments" if step["grain"] == "judgments" else "pairs"
            label = (
                f"{step['name']}: {noun} with a choice" if step["name"] in judges else f"{step['name']}: {noun} kept"
            )
            bars.append((label, step["rows"], step["kept"], why))
    return bars


def draw_blocs(_: Record, findings: Record) -> Drawing | None:
    """Items by the size of the largest bloc of personas that agree."""
    if findings["agreement"] is None or not findings["agreement"]["blocs"]:
        return None
    blocs = findings["agreement"]["blocs"]
    n = blocs[-1]["personas"]
    shown = blocs if len(blocs) <= 14 else _in_steps(blocs, n)
    figure, axes = canvas.blank(2.3, left=0.5, bottom=0.5)
    values = [bloc["share"]["value"] for bloc in shown]
    axes.bar(range(len(shown)), values, color=BLUE, width=0.62)
    for place, bloc in enumerate(shown):
        if bloc["share"]["low"] is not None:
            axes.plot([place, place], [bloc["share"]["low"], bloc["share"]["high"]], color=INK, linewidth=1.3)
        top = bloc["share"]["high"] or bloc["share"]["value"]
        axes.text(place, top + 0.02, percent(bloc["share"]["value"]), ha="center", fontsize=8.5)
    axes.set_xticks(range(len(shown)), [bloc["label"] if "label" in bloc else str(bloc["personas"]) for bloc in shown])
    axes.set_ylim(0, min(1.12, max(max(c["share"]["high"] or c["share"]["value"] for c in shown) + 0.12, 0.2)))
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.set_xlabel(f"personas in the largest bloc, of {n}")
    rows = tuple((str(bloc["personas"]), count(bloc["items"]), interval(bloc["share"])) for bloc in blocs)
    return Drawing(
        figure,
        "Share of the items that every persona answered, by how many chose the same option. Lines: 95 % intervals.",
        Table(("personas", "items", "share"), rows),
    )


def _in_steps(blocs: Sequence[Record], n: int) -> list[Record]:
    """Blocs of many personas in tenths of all, without intervals."""
    total = sum(bloc["items"] for bloc in blocs)
    steps: list[Record] = []
    for tenth in range(10):
        inside = [bloc for bloc in blocs if tenth / 10 < bloc["personas"] / n <= (tenth + 1) / 10]
        items = sum(bloc["items"] for bloc in inside)
        if inside:
            share = {"value": items / total if total else 0.0, "low": None, "high": None}
            steps.append({"personas": tenth, "items": items, "share": share, "label": f"≤{(tenth + 1) * 10}%"})
    return steps


_STEPS = ("−100 to −60", "−60 to −20", "−20 to 20", "20 to 60", "60 to 100 %")


def draw_position_items(_: Record, findings: Record) -> Drawing | None:
    """Items by their own position bias, beside what there would be if no item differed from another."""
    bias = findings["position_bias"]
    items, chance = bias["items_by_bias"], bias["items_by_chance"]
    if sum(items) < 2:
        return None
    figure, axes = canvas.blank(2.1, left=0.3, right=0.2, bottom=0.5)
    axes.bar(range(len(items)), items, color=BLUE, width=0.62)
    most = max(*items, *chance)
    for place, (n, by_chance) in enumerate(zip(items, chance, strict=True)):
        axes.text(place, max(n, by_chance) + 0.03 * most, count(n), ha="center", va="bottom", fontsize=8.5)
        axes.plot([place - 0.36, place + 0.36], [by_chance] * 2, color=INK, linewidth=1.6)
    axes.set_xticks(range(len(items)), _STEPS)
    axes.set_ylim(0, most * 1.15)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.set_xlabel("position bias of an item, mean over personas")
    rows = [(step, count(n), count(by_chance), "") for step, n, by_chance in zip(_STEPS, items, chance, strict=True)]
    rows += [(interval(one["position_bias"], told=signed), "1", "", one["item_id"]) for one in bias["outlying_items"]]
    return Drawing(
        figure,
        "Items by their own position bias. Lines: what these numbers would be if every item had the same, which few answers an item already "
        "spread. Items beyond chance, whichever was looked at, are named in the table.",
        Table(("position bias", "items", "by chance", "beyond chance"), tuple(rows)),
    )
