"""What to know of answers to the same question, asked in another form, of another portrait, with longer options."""

from __future__ import annotations

from prefgen.publish.report.headline import Headline
from prefgen.publish.report.words import Record, interval, percent, short


def wording(findings: Record) -> Headline | None:
    main = findings["matrix"]["main"].get("form")
    found = next((one for one in findings["counterfactuals"] if one["coordinate"] == main), None)
    if found is None or found["flips"]["value"] is None or not found["by_chance"]:
        return None
    sentence = f"Asked in another {short(main)}, the same persona answers differently in {interval(found['flips'])} of cases, where {percent(found['by_chance'])} is chance."
    if found["flips"]["high"] >= found["by_chance"]:
        return Headline(
            "wording",
            "grave",
            sentence,
            "An answer in one form says nothing about the other: what is measured hangs on the wording.",
        )
    steady = found["flips"]["value"] < found["by_chance"] / 2
    return Headline(
        "wording",
        "good" if steady else "plain",
        sentence,
        "The nearer to 0, the steadier an opinion is against its wording.",
    )


def wordings(findings: Record) -> Headline | None:
    found = findings.get("wordings")
    if not found or found["differs"]["value"] is None:
        return None
    differs, order = found["differs"], found["changes_mind"]
    sentence = f"Portrayed in other words, the same people change {interval(differs)} of their answers"
    if order["value"] is None:
        return Headline(
            "wordings", "plain", sentence + ".", "What a persona answers depends that much on how it is told."
        )
    sentence += f"; another order of the options changes {interval(order)}."
    if differs["low"] <= (order["high"] or 0.0):
        return Headline("wordings", "plain", sentence, "The wording changes no more than the judge changes by itself.")
    return Headline(
        "wordings",
        "grave",
        sentence,
        "The wording of a persona matters more than the judge's own inconsistency: report it, or ask in several.",
    )


def length(findings: Record) -> Headline | None:
    found = findings["length"]
    if found is None or found["chance"] is None or found["longest"]["low"] is None:
        return None
    if found["longest"]["low"] <= found["chance"] <= found["longest"]["high"]:
        return None
    sentence = f"The longest option is chosen {interval(found['longest'])} of the time, where {percent(found['chance'])} is chance."
    return Headline(
        "length",
        "plain",
        sentence,
        "Length and content come together in most items: read this as a warning, not as a cause.",
    )
