"""Figures of where models stand: how near each is to every persona, and the map of all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from prefgen.publish.report import canvas
from prefgen.publish.report.canvas import BLUE, GREEN, INK, LINE, PURPLE, RED, SERIES, SOFT, WIDTH, Drawing, Table
from prefgen.publish.report.words import Record, decimal, interval, percent, short

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_TARGETS = 16


def draw_nearness(_: Record, findings: Record) -> Drawing | None:
    """Kappa of each model with each persona and their majority."""
    found = findings.get("placement")
    if not found or not found["models"]:
        return None
    whole = [one for one in found["nearness"] if not one["coordinate"]]
    targets = list(dict.fromkeys(one["target"] for one in whole))
    targets = [*targets[: MOST_TARGETS - 1], targets[-1]] if len(targets) > MOST_TARGETS else targets
    names = [short(one["name"], 22) + (f" · {one['region']}" if one["region"] else "") for one in found["models"]][:40]
    left, below = canvas.label_room(names), canvas.label_room([short(name, 22) for name in targets], most=1.4)
    cell = min(0.5, (WIDTH - left - 0.1) / len(targets))
    high = 0.34
    figure, axes = canvas.blank(
        high * len(names) + below + 0.1, left=left, right=WIDTH - left - cell * len(targets), top=0.05, bottom=below
    )
    kappas = {(one["model"], one["target"]): one["kappa"]["value"] for one in whole}
    shown = [[kappas.get((model["name"], target)) for target in targets] for model in found["models"][:40]]
    _shade(axes, shown, most=max(0.2, *(value or 0.0 for value in kappas.values())), size=max(5.5, min(8.5, cell * 19)))
    axes.set_xticks(range(len(targets)), [short(name, 22) for name in targets], rotation=90)
    axes.set_yticks(range(len(names)), names)
    axes.tick_params(axis="x", colors=INK)
    rows = tuple(
        (
            one["model"],
            one["target"],
            f"{one['coordinate']}: {one['level']}" if one["coordinate"] else "all items",
            interval(one["kappa"], told=decimal),
            interval(one["divergence"], told=decimal),
            interval(one["same"]),
        )
        for one in found["nearness"]
    )
    return Drawing(
        figure,
        "Cohen's kappa between a model that answers without a persona and each persona: 1 the same choices, 0 chance. The table has the "
        "95 % intervals, the divergences and the slices.",
        Table(("model", "persona", "slice", "kappa", "divergence (bits)", "same choice"), rows),
    )


def _shade(axes: Axes, kappas: Sequence[Sequence[float | None]], *, most: float, size: float) -> None:
    """A square a kappa, the darkest where it is `most`."""
    from matplotlib.patches import Rectangle

    for row, of_model in enumerate(kappas):
        for column, kappa in enumerate(of_model):
            shade = 0.05 + 0.55 * max(0.0, kappa or 0.0) / most
            axes.add_patch(Rectangle((column - 0.48, row - 0.46), 0.96, 0.92, facecolor=BLUE, alpha=shade, linewidth=0))
            axes.text(column, row, decimal(kappa), ha="center", va="center", fontsize=size)
    axes.set_xlim(-0.5, len(kappas[0]) - 0.5)
    axes.set_ylim(len(kappas) - 0.5, -0.5)
    for spine in axes.spines.values():
        spine.set_visible(False)


_KINDS = {"persona": (BLUE, "o"), "control": (SOFT, "s"), "majority": (GREEN, "*"), "model": (RED, "D")}


def draw_map(_: Record, findings: Record) -> Drawing | None:
    """Personas, controls, majority and models on the first two principal components."""
    found = (findings.get("placement") or findings)["map"]
    if found is None:
        return None
    shown = found["points"]
    reach = max(max(abs(one["x"]), abs(one["y"])) for one in shown) * 1.3 or 1.0
    # One scale for both directions, or near would not be alike; paper above and below only where somebody stands.
    high = min(reach, max(0.45 * reach, max(abs(one["y"]) for one in shown) * 1.1 + 0.3 * reach))
    left, right, top, bottom = 0.45, 0.15, 0.1, 0.45
    figure, axes = canvas.blank(
        (WIDTH - left - right) * high / reach + top + bottom, left=left, right=right, top=top, bottom=bottom
    )
    _mark(axes, shown)
    axes.set_xlim(-reach, reach)
    axes.set_ylim(-high, high)
    axes.set_xlabel(f"first direction, {percent(found['explained'][0])} of what divides the personas")
    axes.set_ylabel(f"second direction, {percent(found['explained'][1])}")
    told = (findings.get("agreement") or {"compared": []})["compared"]
    _label(axes, [one for one in shown if one["kind"] != "persona" or one["name"] in told], shown, reach)
    rows = tuple(
        (one["name"], one["kind"], one["region"] or "", decimal(one["x"], 3), decimal(one["y"], 3)) for one in shown
    )
    return Drawing(
        figure,
        f"Answers to {found['items']:,} items, flattened by principal components: near is alike. The farthest two personas are {decimal(found['widest'])} apart (root mean square of the distance between their probabilities; 1.41 is the most). Round: personas; square: controls; "
        "star: the personas' majority; diamond: models.",
        Table(("name", "kind", "region", "first", "second"), rows),
    )


def _mark(axes: Axes, shown: Sequence[Record]) -> None:
    """A mark for each, by what it is, on a cross of two lines."""
    regions = list(dict.fromkeys(one["region"] for one in shown if one["region"]))
    colours = dict(zip(regions, (RED, PURPLE, *SERIES[4:]), strict=False))
    axes.axhline(0, color=LINE, linewidth=0.8)
    axes.axvline(0, color=LINE, linewidth=0.8)
    for one in shown:
        colour, marker = _KINDS[one["kind"]]
        axes.plot(
            [one["x"]],
            [one["y"]],
            marker=marker,
            color=colours.get(one["region"], colour),
            markersize=11 if marker == "*" else 7,
            linestyle="none",
            markeredgecolor=canvas.PAPER,
        )
    axes.set_xticks([])
    axes.set_yticks([])


_SIDES = ((1, 0), (-1, 0), (0, 1), (0, -1), *((dx, dy) for dy in (1, -1, 2, -2, 3, -3, 4, -4) for dx in (1, -1)))


def _label(axes: Axes, named: Sequence[Record], shown: Sequence[Record], reach: float) -> None:
    """Names beside their points, each at the nearest place where it hides nothing; a thin line where that is far."""
    taken = [
        (one["x"] - 0.03 * reach, one["x"] + 0.03 * reach, one["y"] - 0.03 * reach, one["y"] + 0.03 * reach)
        for one in shown
    ]
    for one in sorted(named, key=lambda one: (one["y"], one["x"], one["name"])):
        name = "no persona" if one["kind"] == "control" and one["name"] == "none" else one["name"]
        text = short(name, 22) + (f" · {one['region']}" if one["region"] else "")
        wide, high = 0.034 * reach * len(text), 0.075 * reach
        boxes = []
        for dx, dy in _SIDES:
            x = one["x"] + dx * 0.06 * reach + (0 if dx > 0 else -wide if dx < 0 else -wide / 2)
            y = one["y"] + dy * 0.085 * reach - high / 2
            over = sum(_overlap((x, x + wide, y, y + high), box) for box in taken)
            outside = max(0.0, x + wide - reach) + max(0.0, -reach - x)
            boxes.append((over + outside * high * 4, x, y, dx, dy))
        _, x, y, dx, dy = min(boxes, key=lambda box: round(box[0], 9))
        taken.append((x, x + wide, y, y + high))
        if abs(dy) > 1:
            axes.plot(
                [one["x"], one["x"] + dx * 0.06 * reach], [one["y"], y + high / 2], color=SOFT, linewidth=0.5, zorder=1
            )
        axes.text(x, y + high / 2, text, va="center", fontsize=8)


def _overlap(a: tuple[float, float, float, float], b: tuple[float, float, float, float]) -> float:
    return max(0.0, min(a[1], b[1]) - max(a[0], b[0])) * max(0.0, min(a[3], b[3]) - max(a[2], b[2]))
