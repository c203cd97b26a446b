"""Titles of figures: the finding that each of them shows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from prefgen.publish.report.headlines import group_change, kept_line, silence_line
from prefgen.publish.report.steady import forms_title, length_title, wordings_title
from prefgen.publish.report.words import Record, count, decimal, interval, percent, short

_FEW = 14


def title_of(figure: str, manifest: Record, findings: Record) -> str:
    """The finding that a figure shows, as its title."""
    return _TITLES[figure](manifest, findings)


def _flow_title(manifest: Record, _: Record) -> str:
    found = kept_line(manifest)
    return found.sentence.removesuffix(".") if found else "Rows from step to step"


def _camps_title(_: Record, findings: Record) -> str:
    camps = findings["agreement"]["camps"]
    n, total = camps[-1]["personas"], sum(camp["items"] for camp in camps)
    if n <= _FEW:
        return f"All {n} personas agree on {percent(camps[-1]['share']['value'])} of items"
    many = sum(camp["items"] for camp in camps if camp["personas"] >= 0.8 * n)
    return f"Four in five of the {n} personas agree on {percent(many / total)} of items"


def _pairs_title(_: Record, findings: Record) -> str:
    pairs = sorted(findings["agreement"]["pairs"], key=lambda pair: pair["divergence"]["value"] or 0.0)
    near, far = pairs[0], pairs[-1]
    said = f"{short(near['first'])} and {short(near['second'])} answer most alike"
    return said if near is far else f"{said}, {short(far['first'])} and {short(far['second'])} least"


def _profiles_title(_: Record, findings: Record) -> str:
    spread: dict[str, list[tuple[float, str]]] = {}
    for one in findings["profiles"]:
        if one["control"] is None and one["share"]["value"] is not None:
            spread.setdefault(one["level"], []).append((one["share"]["value"], one["persona_id"]))
    if not spread:
        return "Nobody chose anything"
    widest = max(spread, key=lambda level: max(spread[level])[0] - min(spread[level])[0])
    low, high = min(spread[widest]), max(spread[widest])
    if low[1] == high[1]:
        return f"{short(low[1])} chooses the first option most on {short(max(spread, key=lambda level: spread[level][0][0]))}"
    return f"“{short(widest, 36)}” divides them most: {short(low[1])} {percent(low[0])}, {short(high[1])} {percent(high[0])}"


def _shares_title(_: Record, findings: Record) -> str:
    slices = [one for one in findings["shares"]["slices"] if one["share"]["value"] is not None]
    low, high = (pick(slices, key=lambda one: one["share"]["value"]) for pick in (min, max))
    if low is high:
        return f"Option {findings['shares']['option']} is chosen {percent(low['share']['value'])} of the time"
    return f"Option {findings['shares']['option']}: from {percent(low['share']['value'])} ({_cell(low)}) to {percent(high['share']['value'])} ({_cell(high)})"


def _cell(one: Record) -> str:
    return ", ".join(short(name, 22) for name in (one["row"], one["column"]) if name)


def _gaps_title(_: Record, findings: Record) -> str:
    found = group_change(findings)
    assert found is not None
    return f"Changing only the {short(found['coordinate'])} changes {percent(found['flips']['value'])} of answers"


def _position_title(_: Record, findings: Record) -> str:
    bias = findings["position_bias"]
    named = [one for one in bias["by_persona"] if one["follows_slot"]["value"] is not None]
    said = f"The answer followed the slot in {percent(bias['follows_slot']['value'])} of comparisons"
    if len(named) < 2:
        return said
    most = max(named, key=lambda one: one["follows_slot"]["value"])
    return f"{said}, as {_persona(most)} in {percent(most['follows_slot']['value'])}"


def _position_items_title(_: Record, findings: Record) -> str:
    items = findings["position_bias"]["items_by_bias"]
    most, least = items[-1], items[0]
    if most >= least:
        return f"On {count(most)} of {count(sum(items))} items the slot decides four comparisons in five or more"
    return f"On {count(least)} of {count(sum(items))} items the slot decides less than one comparison in five"


def _persona(one: Record) -> str:
    return "without a persona" if one["control"] == "none" else short(one["persona_id"])


def _control_title(_: Record, findings: Record) -> str:
    effects = [one for one in findings["controls"] if one["control"] == "none"] or findings["controls"]
    most = max(effects, key=lambda one: one["differs"]["value"] or 0.0)
    least = min(effects, key=lambda one: one["differs"]["value"] or 0.0)
    if most is least:
        return f"{short(most['persona_id'])} changes {percent(most['differs']['value'])} of answers"
    return f"{short(most['persona_id'])} changes most answers ({percent(most['differs']['value'])}), {short(least['persona_id'])} fewest ({percent(least['differs']['value'])})"


def _map_title(_: Record, findings: Record) -> str:
    both = sum((findings.get("placement") or findings)["map"]["explained"])
    return f"Two directions hold {percent(both)} of what divides the personas"


def _nearness_title(_: Record, findings: Record) -> str:
    whole = [
        one for one in findings["placement"]["nearness"] if not one["coordinate"] and one["kappa"]["value"] is not None
    ]
    people = [one for one in whole if one["target"] != findings["placement"]["majority"]]
    if not people:
        return "No model answered what a persona answered"
    near = max(people, key=lambda one: one["kappa"]["value"])
    return f"{short(near['model'])} stands nearest to {short(near['target'])}: kappa {interval(near['kappa'], told=decimal)}"


def _silence_title(_: Record, findings: Record) -> str:
    found = silence_line(findings)
    return found.sentence.removesuffix(".") if found else "Every judgment chose an option"


_TITLES: dict[str, Callable[[Any, Any], str]] = {
    "flow": _flow_title, "silence": _silence_title, "forms": forms_title, "wordings": wordings_title, "length": length_title, "nearness": _nearness_title, "camps": _camps_title, "pairs": _pairs_title, "profiles": _profiles_title,
    "shares": _shares_title, "gaps": _gaps_title, "position": _position_title, "position_items": _position_items_title, "control": _control_title, "map": _map_title,
}  # fmt: skip
