"""Figures of calibration: how far the judge's answers are from what people of the same kind said in a survey."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from prefgen.publish.report import canvas
from prefgen.publish.report.canvas import AMBER, BLUE, MARKERS, OLIVE, PURPLE, RED, SERIES, SOFT, Drawing, Table
from prefgen.publish.report.dots import key
from prefgen.publish.report.words import Record, count, decimal, interval, percent, short

KEY = "calibration"
PERSONAS, OVERALL, EVERYBODY = "personas", "survey overall", "(everybody)"
_MARKS = {
    PERSONAS: (BLUE, "o", False),
    "no persona": (SOFT, "s", True),
    "uniform": (AMBER, "^", False),
    OVERALL: (RED, "D", False),
    "wrong": (PURPLE, "v", False),
    "shuffled": (OLIVE, "P", False),
}
_MOST_LEVELS = 10
_MOST_ITEMS = 24
_FLOOR = "real people, 95 % of samples"
_HOW = (
    "The distance (total variation) is the share of answers that would have to change, when every persona gives one answer, drawn from its probabilities. "
    "Grey bar: where 95 % of samples of as many real respondents in the personas' place fall. Right of it, a source is farther from people than people are; "
    "left of it, too alike. A baseline left of the personas knows people better without them."
)

Row = tuple[str, Mapping[str, Record]]
"""A label and, by source, its cell of `calibrate`; a label that ends in ':' begins a group."""


def draw_calibrations(findings: Record) -> Iterator[tuple[str, str, Drawing]]:
    """(key, title, figure) of each; none for a run that was held against no survey."""
    found = findings.get("calibration")
    if not found or not found.get("subgroups"):
        return
    yield KEY, _groups_title(found), _draw_groups(found)
    steps = [one for one in found.get("certainty") or [] if one["agreement"] is not None]
    if len({one["coverage"] for one in steps}) > 1:
        yield f"{KEY}_certainty", _certainty_title(steps), _draw_certainty(steps)
    items = _item_rows(found)
    if items:
        yield f"{KEY}_items", _items_title(items), _draw_items(items)


def calibration_lines(findings: Record) -> list[str]:
    """What weights can do about it, and what could not be compared, in sentences."""
    found = findings.get("calibration") or {}
    if not found.get("subgroups"):  # made by an earlier version, which measured otherwise
        return []
    told = found.get("poststratification")
    said = [f"{sentence}." for sentence in (found.get("figures") or {}).get("said") or []]
    if told and told["reweighted"] is not None:
        said.append(
            f"Raked to the survey's marginals, the {count(told['personas'])} personas are worth {count(told['effective_n'])} (largest weight {decimal(told['largest'])}); "
            f"the shares of everybody together are then {decimal(told['reweighted'], 3)} from the survey's instead of {decimal(told['share_distance'], 3)}. The weights are in calibration_weights.parquet."
        )
    return [*said, *(f"{note[:1].upper()}{note[1:]}." for note in found.get("notes") or [])]


def _groups_title(found: Record) -> str:
    figures = found["figures"]
    distance, floor = (interval(figures[name], told=decimal) for name in ("total_variation", "floor"))
    return f"Personas are {distance} from people of their kind, real people {floor}: {figures['verdict'] or 'unknown'}"


def _draw_groups(found: Record) -> Drawing:
    """Every source of answers, for everybody, by attribute, and by subgroup."""
    table = tuple(
        (
            one["attribute"],
            one["source"],
            count(one["n_items"]),
            decimal(one["total_variation"], 3),
            _band(one),
            decimal(one["share_distance"], 3),
            decimal(one["jensen_shannon"], 3),
            decimal(one.get("rank_distance"), 3),
            decimal(one["gain"]),
        )
        for one in found["summary"]
    )
    header = (
        "attribute",
        "source",
        "questions",
        "total variation",
        "real people",
        "distance of the shares",
        "Jensen-Shannon (bits)",
        "rank distance",
        "gain over the whole survey",
    )
    return Drawing(
        _marked(_group_rows(found)),
        f"Mean over questions of how far each source of answers is from the survey. {_HOW}",
        Table(header, table),
    )


def _group_rows(found: Record) -> list[Row]:
    """Everybody, then each attribute with the levels that are farthest."""
    by_attribute: dict[str, dict[str, Record]] = {}
    for one in found["summary"]:
        by_attribute.setdefault(one["attribute"], {})[one["source"]] = one
    rows: list[Row] = []
    for attribute, sources in by_attribute.items():
        if attribute == EVERYBODY:
            rows.append(("everybody", {name: one for name, one in sources.items() if name != OVERALL}))
            continue
        rows.append((f"{short(attribute, 20)}:", sources))
        levels = _levels(found, attribute)
        rows += sorted(levels.items(), key=lambda row: -row[1][PERSONAS]["total_variation"])[:_MOST_LEVELS]
    return rows


def _levels(found: Record, attribute: str) -> dict[str, dict[str, Record]]:
    """By level of an attribute, by source: means over the questions; the floor with the personas."""
    cells: dict[str, dict[str, list[float]]] = {}
    for one in found.get("cells") or []:
        if one["attribute"] == attribute:
            cells.setdefault(one["level"], {}).setdefault(one["source"], []).append(one["total_variation"])
    mine = {one["level"]: one for one in found["subgroups"] if one["attribute"] == attribute}
    return {
        level: {name: {"total_variation": sum(some) / len(some)} for name, some in cells[level].items()}
        | {PERSONAS: one}
        for level, one in mine.items()
    }


def _band(one: Record) -> str:
    """What real respondents score, with its band."""
    return f"{decimal(one['floor_total_variation'], 3)} ({decimal(one['floor_low'], 3)} to {decimal(one['floor_high'], 3)})"


def _item_rows(found: Record) -> list[tuple[str, dict[str, Record]]]:
    """Every question, answered for everybody, the farthest first."""
    rows: dict[str, dict[str, Record]] = {}
    for one in found.get("cells") or []:
        if one["attribute"] == EVERYBODY and one["source"] != OVERALL:
            rows.setdefault(one["item_id"], {})[one["source"]] = one
    told = [(item, sources) for item, sources in rows.items() if PERSONAS in sources]
    return sorted(told, key=lambda row: -row[1][PERSONAS]["total_variation"])


def _items_title(rows: Sequence[tuple[str, Mapping[str, Record]]]) -> str:
    far, near = rows[0], rows[-1]
    said = (
        f"“{short(far[0], 24)}” is answered farthest from the survey ({decimal(far[1][PERSONAS]['total_variation'])})"
    )
    if len(rows) == 1:
        return said
    return f"{said}, “{short(near[0], 24)}” nearest ({decimal(near[1][PERSONAS]['total_variation'])})"


def _draw_items(rows: Sequence[tuple[str, Mapping[str, Record]]]) -> Drawing:
    table = tuple(
        (
            item,
            source,
            count(one["n_survey"]),
            decimal(one["total_variation"], 3),
            _band(one),
            decimal(one["jensen_shannon"], 3),
            decimal(one["rank_distance"], 3),
            " ".join(percent(share) for share in one["survey_shares"]),
            " ".join(percent(share) for share in one["shares"]),
        )
        for item, sources in rows
        for source, one in sources.items()
    )
    header = (
        "question",
        "source",
        "respondents",
        "total variation",
        "real people",
        "Jensen-Shannon (bits)",
        "rank distance",
        "survey said",
        "source said",
    )
    few = f" The {_MOST_ITEMS} farthest of {len(rows)} questions." if len(rows) > _MOST_ITEMS else ""
    return Drawing(
        _marked(rows[:_MOST_ITEMS]), f"Each question, answered for everybody.{few} {_HOW}", Table(header, table)
    )


def _marked(rows: Sequence[Row]) -> Any:
    """One line a row: a mark for each source, and where real people fall as a bar."""
    names = [short(label, 26) for label, _ in rows]
    sources = [name for name in _MARKS if any(name in cells for _, cells in rows)]
    legend = 0.2 * -(-(len(sources) + 1) // 3) + 0.1
    figure, axes = canvas.blank(0.25 * len(rows) + 0.5 + legend, left=canvas.label_room(names), top=legend)
    last, most = len(rows) - 1, 0.05
    for place, (_, cells) in enumerate(rows):
        y = last - place
        floor = (cells[PERSONAS]["floor_low"], cells[PERSONAS]["floor_high"])
        axes.plot(floor, [y, y], color=SOFT, linewidth=5, alpha=0.35, solid_capstyle="butt")
        for name in reversed(sources):
            if name in cells:
                colour, marker, hollow = _MARKS[name]
                at = cells[name]["total_variation"]
                face = canvas.PAPER if hollow else colour
                axes.plot([at], [y], marker=marker, color=face, markeredgecolor=colour, markersize=5.5, clip_on=False)
                most = max(most, at, floor[1])
    axes.set_yticks(range(last + 1), list(reversed([name.removesuffix(":") for name in names])))
    for label, name in zip(axes.get_yticklabels(), reversed(names), strict=True):
        label.set_fontweight("bold" if name.endswith(":") else "normal")
    axes.set_ylim(-0.6, last + 0.6)
    canvas.percent_axis(axes, high=min(1.0, most * 1.1 + 0.01), label="distance to the survey")
    entries = [(name, *_MARKS[name]) for name in sources]
    key(axes, [*entries, (_FLOOR, SOFT, "_", False)])
    return figure


def _certainty_title(steps: Sequence[Record]) -> str:
    first = [one for one in steps if one["attribute"] == steps[0]["attribute"]]
    every, surest = first[0], min(first, key=lambda one: one["coverage"])
    gain = surest["agreement"] - every["agreement"]
    change = "more often" if gain > 0.01 else "less often" if gain < -0.01 else "no more often"
    return (
        f"The surest {percent(surest['coverage'])} of answers meet people of their {short(steps[0]['attribute'], 16)} "
        f"{change} ({percent(surest['agreement'])}) than all ({percent(every['agreement'])})"
    )


def _draw_certainty(steps: Sequence[Record]) -> Drawing:
    """Agreement with people of the same kind among the surest answers, from a tenth of them to all."""
    measure = "stated certainty" if steps[0]["measure"] == "certainty" else "probability of the choice"
    rows = tuple(
        (
            one["attribute"],
            f"{one['threshold']:.0f}",
            percent(one["coverage"]),
            count(one["n"]),
            percent(one["agreement"]),
            percent(one["modal"]),
        )
        for one in steps
    )
    return Drawing(
        _certainty_lines(steps),
        f"Answers ranked by {measure}, the surest to the left. Marks: chance that a respondent of the persona's own subgroup gives the "
        "persona's answer. Dashed: share of answers that are their most frequent one. Where certainty means something, the lines fall to the right.",
        Table(("attribute", "at least", "coverage", "answers", "agreement", "the most frequent answer"), rows),
    )


def _certainty_lines(steps: Sequence[Record]) -> Any:
    from matplotlib.ticker import PercentFormatter

    attributes = list(dict.fromkeys(one["attribute"] for one in steps))[: len(SERIES)]
    figure, axes = canvas.blank(2.4, left=0.5, right=0.25, top=0.4, bottom=0.5)
    for at, attribute in enumerate(attributes):
        mine = sorted((one for one in steps if one["attribute"] == attribute), key=lambda one: -one["coverage"])
        for name, line in (("agreement", "solid"), ("modal", (0, (3, 2)))):
            axes.plot(
                [one["coverage"] for one in mine],
                [one[name] for one in mine],
                color=SERIES[at],
                marker=MARKERS[at] if name == "agreement" else None,
                markersize=4.5,
                linewidth=1.4,
                linestyle=line,
                clip_on=False,
            )
    axes.set_ylim(0, min(1.0, max(max(one["agreement"], one["modal"]) for one in steps) * 1.25))
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, symbol=" %", decimals=0))
    axes.grid(axis="y")
    canvas.percent_axis(axes, low=-0.03, label="the surest share of answers")
    key(axes, [(short(name, 18), SERIES[at], MARKERS[at], False) for at, name in enumerate(attributes)])
    return figure
