"""Titles of figures: the finding that each of them shows."""

from __future__ import annotations

from prefgen.publish.report.claims import lower, told_apart, upper, widening
from prefgen.publish.report.headlines import group_change, kept_line, nonresponse_line
from prefgen.publish.report.words import Record, decimal, interval, percent, short, signed

_FEW = 14


def flow_title(manifest: Record, _: Record) -> str:
    found = kept_line(manifest)
    return found.sentence.removesuffix(".") if found else "Rows from step to step"


def blocs_title(_: Record, findings: Record) -> str:
    blocs = findings["agreement"]["blocs"]
    n, total = blocs[-1]["personas"], sum(bloc["items"] for bloc in blocs)
    if n <= _FEW:
        return f"All {n} personas agree on {interval(blocs[-1]['share'])} of items"
    many = sum(bloc["items"] for bloc in blocs if bloc["personas"] >= 0.8 * n)
    return f"Four in five of the {n} personas agree on {percent(many / total)} of items"


def pairs_title(_: Record, findings: Record) -> str:
    pairs = findings["agreement"]["pairs"]
    if len(pairs) == 1:
        return f"{short(pairs[0]['first'])} and {short(pairs[0]['second'])}: divergence {interval(pairs[0]['divergence'], told=decimal)} bits"
    ends = told_apart(pairs, lambda pair: pair["divergence"])
    if ends is None:
        return "No two personas are nearer to each other than two others beyond chance"
    near, far = ends
    return f"{short(near['first'])} and {short(near['second'])} answer more alike than {short(far['first'])} and {short(far['second'])}"


def profiles_title(_: Record, findings: Record) -> str:
    levels: dict[str, list[Record]] = {}
    for one in findings["profiles"]:
        if one["control"] is None and one["share"]["value"] is not None:
            levels.setdefault(one["level"], []).append(one)
    if not levels:
        return "Nobody chose anything"
    looked_at = sum(map(len, levels.values()))
    found = [(level, ends) for level, rows in levels.items() if (ends := told_apart(rows, _share_of, among=looked_at))]
    if not found:
        return "Personas are not told apart by how often they choose the first option"
    level, (low, high) = max(found, key=lambda one: one[1][1]["share"]["value"] - one[1][0]["share"]["value"])
    return f"“{short(level, 36)}” divides them: {short(low['persona_id'])} {interval(low['share'])}, {short(high['persona_id'])} {interval(high['share'])}"


def _share_of(one: Record) -> Record:
    return one["share"]  # type: ignore[no-any-return]


def shares_title(_: Record, findings: Record) -> str:
    found = findings["shares"]
    ends = told_apart(found["slices"], _share_of)
    if ends is None:
        several = "; no slice of it is told from another" if len(found["slices"]) > 1 else ""
        return f"Option {found['option']} is chosen {interval(found['overall'])} of the time{several}"
    low, high = ends
    return f"Option {found['option']}: {interval(low['share'])} for {_cell(low)}, {interval(high['share'])} for {_cell(high)}"


def _cell(one: Record) -> str:
    return ", ".join(short(name, 22) for name in (one["row"], one["column"]) if name)


def gaps_title(_: Record, findings: Record) -> str:
    found = group_change(findings)
    assert found is not None
    return f"Changing only the {short(found['coordinate'])} changes {interval(found['flips'])} of answers"


def position_title(_: Record, findings: Record) -> str:
    bias = findings["position_bias"]
    said = (
        f"Position bias is {interval(bias['position_bias'], told=signed)}, where people have {signed(bias['people'])}"
    )
    ends = told_apart(bias["by_persona"], lambda one: one["position_bias"])
    if ends is None:
        return said
    most = max(ends, key=lambda one: abs(one["position_bias"]["value"]))
    return f"{said}; {_persona(most)} has {interval(most['position_bias'], told=signed)}"


def position_items_title(_: Record, findings: Record) -> str:
    bias = findings["position_bias"]
    named = bias["outlying_items"]
    if not named:
        return "No item by itself has a position bias beyond chance"
    most = named[0]
    return f"Item {short(most['item_id'], 30)} has a position bias of {interval(most['position_bias'], told=signed)}"


def _persona(one: Record) -> str:
    return "without a persona" if one["control"] == "none" else short(one["persona_id"])


def control_title(_: Record, findings: Record) -> str:
    effects = [one for one in findings["controls"] if one["control"] == "none"] or findings["controls"]
    known = [one for one in effects if one["differs"]["value"] is not None]
    if len(known) == 1:
        return f"{short(known[0]['persona_id'])} changes {interval(known[0]['differs'])} of answers"
    ends = told_apart(known, lambda one: one["differs"])
    if ends is None:
        return "No persona changes more answers than another beyond chance"
    least, most = ends
    return f"{short(most['persona_id'])} changes {interval(most['differs'])} of answers, {short(least['persona_id'])} {interval(least['differs'])}"


def map_title(_: Record, findings: Record) -> str:
    both = sum((findings.get("placement") or findings)["map"]["explained"])
    return f"Two directions hold {percent(both)} of what divides the personas"


def nearness_title(_: Record, findings: Record) -> str:
    whole = [
        one for one in findings["placement"]["nearness"] if not one["coordinate"] and one["kappa"]["value"] is not None
    ]
    people = [one for one in whole if one["target"] != findings["placement"]["majority"]]
    if not people:
        return "No model answered what a persona answered"
    near = max(people, key=lambda one: one["kappa"]["value"])
    rest = [one for one in people if one is not near]
    said = f"{short(near['model'])} and {short(near['target'])} have kappa {interval(near['kappa'], told=decimal)}"
    if not rest or near["kappa"]["low"] is None:
        return said
    wide = widening(len(people))
    beyond = all(
        one["kappa"]["low"] is not None and upper(one["kappa"], wide) < lower(near["kappa"], wide) for one in rest
    )
    return (
        f"{short(near['model'])} stands nearest to {short(near['target'])}: kappa {interval(near['kappa'], told=decimal)}"
        if beyond
        else said
    )


def nonresponse_title(_: Record, findings: Record) -> str:
    found = nonresponse_line(findings)
    return found.sentence.removesuffix(".") if found else "Every judgment chose an option"
