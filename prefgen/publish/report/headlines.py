"""What the numbers say, in sentences: titles of figures, and what to know before using the data."""

from __future__ import annotations

from collections.abc import Callable

from prefgen.publish.report import asked_otherwise
from prefgen.publish.report.claims import lower, told_apart, widening
from prefgen.publish.report.drawn import audits_of
from prefgen.publish.report.headline import Headline
from prefgen.publish.report.words import (
    Record,
    count,
    decimal,
    interval,
    listed,
    number,
    percent,
    points,
    short,
    signed,
)
from prefgen.store.finished import Lineage, answered_by, are_models

_LEAKS = 0.55
"""Share of people closer to the fitted half of a survey from which single respondents show; a bootstrap of rows has .62."""


def headlines(manifest: Record, findings: Record) -> list[Headline]:
    """What to know first, the gravest first."""
    speakers: list[Callable[[Record], Headline | None]] = [
        _position,
        _control,
        _agreement,
        _counterfactual,
        nonresponse_line,
        asked_otherwise.wording,
        asked_otherwise.wordings,
        asked_otherwise.length,
    ]
    said = [_dropped(manifest), _gates(manifest), _leaks(manifest), _drawn(manifest), _calibration(findings)]
    if findings.get("matrix"):
        # Only a page has slots, and only where a model plays somebody is there something that the persona adds.
        asked = answered_by(manifest) not in ("people", "utility")
        mute = (_position, _control) if not asked else (_control,) if are_models(manifest) else ()
        said += [speaker(findings) for speaker in speakers if speaker not in mute]
    order = {"grave": 0, "plain": 1, "good": 2}
    return sorted((one for one in said if one is not None), key=lambda one: order[one.weight])


def judged(manifest: Record) -> Record | None:
    """The account of the step whose judgments speak for the run: what the filters left."""
    step = Lineage.of_manifest(manifest).judgments
    return next((one for one in manifest["steps"] if one["name"] == step), None)


def kept_line(manifest: Record) -> Headline | None:
    """What the filters left."""
    step = judged(manifest)
    if step is None or not step["rows"]:
        return None
    kept, dropped = step["kept"] / step["rows"], step["dropped"]
    why = max(dropped, key=lambda reason: dropped[reason]) if dropped else None
    sentence = f"{percent(kept)} of {count(step['rows'])} judgments are kept"
    if why is not None:
        sentence += f"; most of the rest were dropped for {short(why, 40)} ({count(dropped[why])})"
    meaning = "Dropped rows are in the run's tables, each with its reason."
    return Headline("flow", "grave" if kept < 0.25 else "plain", sentence + ".", meaning)


def _dropped(manifest: Record) -> Headline | None:
    """What the filters left, where they took something."""
    step = judged(manifest)
    return kept_line(manifest) if step is not None and step["kept"] < step["rows"] else None


def _gates(manifest: Record) -> Headline | None:
    missed = [gate for gate in manifest.get("gates", []) if not gate["passed"]]
    if not missed:
        return None
    names = listed(
        f"{gate['step']}: {gate['gate']} {number(gate['found'])} where {number(gate['wanted'])} was wanted"
        for gate in missed
    )
    return Headline(
        "gates",
        "grave",
        f"The run misses a gate: {names}.",
        "The data was made and does not reach what its pipeline asks for.",
    )


def _leaks(manifest: Record) -> Headline | None:
    """Whether exported texts say what is hidden, where something is."""
    searched = [config for config in manifest.get("configs", []) if "leaks" in config]
    if not searched:
        return None
    found = {config["name"]: config["leaks"]["rows"] for config in searched if config["leaks"]["rows"]}
    names = listed(manifest["publish"].get("hidden", []))
    if not found:
        return Headline("leaks", "good", f"No text that leaves says a value of {names}.", "All exports were searched.")
    where = listed(f"{count(rows)} rows of {name}" for name, rows in found.items())
    return Headline(
        "leaks", "grave", f"What is hidden ({names}) stands in {where}.", "Drop those rows, or say it otherwise."
    )


def _drawn(manifest: Record) -> Headline | None:
    """What is wrong with the people themselves, where something is."""
    for audit in audits_of(manifest):
        name, fit, privacy = short(audit["population"]), audit["fit"], audit["privacy"]
        if privacy and (privacy["holdout_share"] or 0.0) > _LEAKS:
            share = percent(privacy["holdout_share"])
            return Headline(
                "drawn",
                "grave",
                f"People of {name} are closer to the respondents they were fitted to than to others like them ({share}, where 50 % is wanted).",
                "Single respondents show through. Use fewer attributes, broader levels, or a floor (`min_cell`) before publishing.",
            )
        if fit and fit["method"] == "joint" and not fit["converged"]:
            return Headline(
                "drawn",
                "plain",
                f"No population has all tables of {name} at once: the one that fits worst misses by {decimal(fit['residual'], 4)} (total variation).",
                "The tables contradict each other a little; the draw stands between them.",
            )
    return None


def _calibration(findings: Record) -> Headline | None:
    found = findings.get("calibration")
    if not found or not found.get("figures"):
        return None
    figures = found["figures"]
    if figures.get("verdict") is None:
        return None
    distance, floor, gain = (interval(figures[name], told=decimal) for name in ("total_variation", "floor", "gain"))
    sentence = f"Held against a survey, personas are {distance} from people of their kind (total variation), where as many real people are {floor}: {figures['verdict']}."
    _, meaning, *others = figures["said"]
    ends = figures["gain"]
    worse = figures["verdict"] == "above the floor" and ends["high"] is not None and ends["high"] <= 0
    if worse:
        meaning = "The survey as a whole would have told more about each group. These answers are not those of the people played"
    gains = figures["verdict"] == "on the floor" and ends["low"] is not None and ends["low"] > 0
    least = figures["coherence_floor"]["low"]
    good = gains and (least is None or figures["coherence"] >= least)
    told = ". ".join([meaning, *(others if not worse else [f"Its gain is {gain}"])])
    return Headline("calibration", "grave" if worse else "good" if good else "plain", sentence, f"{told}.")


_HABIT = 0.15
"""Position bias from which on a habit weighs on the data."""


def _position(findings: Record) -> Headline | None:
    found = findings["position_bias"]
    bias, low, high = (found["position_bias"][end] for end in ("value", "low", "high"))
    if bias is None:
        return Headline(
            "position",
            "plain",
            "Position bias is unknown: no persona and item was read in orders that balance.",
            "Ask with `orders: balanced` to measure it, and to take it out.",
        )
    sentence = f"Position bias is {interval(found['position_bias'], told=signed)}: 0 is a judge without a habit, people have {signed(found['people'])}"
    if found["changes"]["value"] is not None:
        sentence += f"; with the order {percent(found['changes']['value'])} of answers change, {percent(found['noise'])} without leaning to a slot, as noise would"
    if low is None:
        return Headline("position", "plain", sentence + ".", "One item cannot say more.")
    if low > _HABIT or high < -_HABIT:
        mostly = "These verdicts are mostly about where an option stood. Do not train on them unfiltered."
        some = "Keep only judgments whose orders agree, or use the order-debiased probabilities."
        return Headline("position", "grave", sentence + ".", mostly if low > 0.5 or high < -0.5 else some)
    if low >= -_HABIT and high <= _HABIT:
        return Headline("position", "good", sentence + ".", "Slots weigh little on the answers.")
    return Headline("position", "plain", sentence + ".", "Too few items to say whether slots weigh on the answers.")


def _control(findings: Record) -> Headline | None:
    asked = [one for one in findings["controls"] if one["control"] == "none"]
    if not asked:
        return Headline(
            "control",
            "plain",
            "What the personas add is unknown: no control without a persona was asked.",
            "Add `controls: [none]` to the draw step.",
        )
    effects = [one for one in asked if one["differs"]["value"] is not None]
    if not effects:
        return Headline(
            "control",
            "grave",
            "What the personas add is unknown: the control without a persona was asked, and on no item do it and a persona both have a choice.",
            "Their answers change with the order, tie, or are not read: see position bias and the statuses.",
        )
    shares = sorted(one["differs"]["value"] for one in effects)
    ends = told_apart(effects, lambda one: one["differs"])
    middle = shares[len(shares) // 2]
    span = (
        f"{percent(shares[0])} to {percent(shares[-1])}"
        if ends
        else f"{'about ' if len(shares) > 1 else ''}{percent(middle)}"
    )
    sentence = f"A persona changes {span} of the answers that the same judge gives without one"
    felt = [one for one in effects if (one["differs"]["low"] or 0.0) > (one["changes_mind"]["high"] or 0.0)]
    noisy = [one for one in effects if one["differs"]["value"] <= (one["changes_mind"]["high"] or 0.0)]
    if len(noisy) * 2 > len(effects):
        meaning = "For most personas that is no more than the judge changes by itself when the order changes: the persona is not felt."
        return Headline("control", "grave", sentence + ".", meaning)
    if len(felt) * 2 > len(effects):
        meaning = "More than the judge changes by itself for most personas."
        return Headline("control", "good" if middle > 0.1 else "plain", sentence + ".", meaning)
    return Headline(
        "control",
        "plain",
        sentence + ".",
        "Too few items to say whether that is more than the judge changes by itself.",
    )


def _agreement(findings: Record) -> Headline | None:
    found = findings["agreement"]
    if found is None or found["alpha"]["value"] is None:
        return None
    sentence = f"Between personas, Krippendorff's alpha is {interval(found['alpha'], told=decimal)}"
    unanimous = found["unanimous"]
    sentence += f"; all agree on {interval(unanimous)} of items." if unanimous["value"] is not None else "."
    if (found["alpha"]["low"] or 0.0) > 0.9:
        meaning = "The personas hardly differ; there is little that is personal in these preferences."
        return Headline("agreement", "grave", sentence, meaning)
    return Headline("agreement", "plain", sentence, "1 is one voice, 0 is chance. Low is not bad here: people differ.")


def _counterfactual(findings: Record) -> Headline | None:
    found = group_change(findings)
    if found is None or not found["gaps"]:
        return None
    gap = found["gaps"][0]
    difference = gap["difference"]
    sentence = f"Changing only the {short(found['coordinate'])} changes {interval(found['flips'])} of answers, where {percent(found['by_chance'])} is chance"
    if difference["low"] is None:
        return Headline(
            "gaps", "plain", sentence + ".", "Too few items differ in nothing else to say which gaps are real."
        )
    if difference["low"] <= 0:
        return Headline(
            "gaps",
            "plain",
            sentence + "; no gap between two of them is beyond chance.",
            "The intervals hold for all gaps of all coordinates together.",
        )
    sentence += f"; the widest gap is {short(gap['first'])} over {short(gap['second'])}, {points(difference['value'])} points ({points(difference['low'])} to {points(difference['high'])})."
    return Headline(
        "gaps",
        "plain",
        sentence,
        f"Option {found['option']}, everything else held. {found['significant']} of {found['compared']} gaps are beyond chance.",
    )


def group_change(findings: Record) -> Record | None:
    """The counterfactual along the coordinate that names groups, else along the first there is."""
    by_name = {one["coordinate"]: one for one in findings.get("counterfactuals") or []}
    main = (findings.get("matrix") or {}).get("main", {})
    for role in ("group", "group_type", "category"):
        if main.get(role) in by_name:
            return by_name[main[role]]  # type: ignore[no-any-return]
    return None


def nonresponse_line(findings: Record) -> Headline | None:
    """Who got no answer."""
    personas = [one for one in findings["nonresponse"] if one["coordinate"] == "persona_id"]
    total = sum(one["judgments"] for one in personas)
    silent = total - sum(one["statuses"].get(status, 0) for one in personas for status in ("ok", "na"))
    if not total or not silent:
        return None
    rest = [
        one for one in findings["nonresponse"] if one["coordinate"] != "persona_id" and one["share"]["low"] is not None
    ]
    sentence = f"{percent(silent / total)} of judgments chose no option"
    most = max(rest, key=lambda one: one["share"]["low"], default=None)
    if most is not None and lower(most["share"], widening(len(rest))) > 1.5 * silent / total:
        sentence += f"; with {short(most['coordinate'])} {short(most['level'])} it is {interval(most['share'])}"
    grave = silent / total > 0.1
    return Headline(
        "nonresponse",
        "grave" if grave else "plain",
        sentence + ".",
        "They are rows with a status, never guessed into an option.",
    )
