"""What a manifest says of a step, and above all its summary, as card, report and screen count on finding it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from prefgen.store.fitting import ANY, SHARE, Within, misfit

_NONE = type(None)
_COUNTS = {ANY: int}
_MEASURE = (Within(-1e6, 1e6), _NONE)
_ESTIMATE = (*_MEASURE, {"value": _MEASURE, "low": _MEASURE, "high": _MEASURE, "n": int})
_SHARED = {"answer": str, "value": _MEASURE, "low": _MEASURE, "high": _MEASURE, "n": int}
_RATING = {
    "criterion": str,
    "rows": int,
    "read": _ESTIMATE[-1],
    "answers": [_SHARED],
    "mean": (_NONE, _ESTIMATE[-1]),
    "repeats_agree": (_NONE, _ESTIMATE[-1]),
}
_AGREE = {"models": [str], "both": int, "value": _MEASURE, "low": _MEASURE, "high": _MEASURE, "n": int}
_RANKINGS = {
    "rows": int,
    "read": _ESTIMATE[-1],
    **dict.fromkeys(("order_agreement", "repeat_agreement", "position_bias"), (_NONE, _ESTIMATE[-1])),
}
_SUMMARY: Mapping[str, Any] = {
    "choices?": [_SHARED],
    "ratings?": [_RATING],
    "rankings?": _RANKINGS,
    "models_agree?": [_AGREE],
    "notes?": [str],
    "statuses?": _COUNTS,
    "readouts?": _COUNTS,
    "position_bias?": _ESTIMATE,
    "first_slot?": _ESTIMATE,
    "order_agreement?": _MEASURE,
    "repeat_agreement?": _MEASURE,
    "p_read?": _MEASURE,
    "certainty_mean?": _MEASURE,
    "example?": (_NONE, [[str, str]]),
    "near_duplicates?": (SHARE, _NONE),
    "near_questions?": int,
    "questions_held_out?": int,
    "population?": str,
    "source?": (str, [str], _NONE),
    "n?": int,
    "effective_n?": float,
    "audit?": [{"table": str, "cells": int, "total_variation": SHARE, "largest_count_error": Within(0, 1e15)}],
}
"""Of any step: what is read of a summary, where it is there."""

_FIT = {
    "method": str,
    "residual": (SHARE, _NONE),
    "converged": (bool, _NONE),
    "disagreements": [str],
    "repaired": int,
    "short": int,
    "notes": [str],
    "levels?": [str],
}
_PRIVACY = {
    "respondents": int,
    "smallest_cell": int,
    "min_cell?": int,
    "merged": int,
    "holdout_share": (SHARE, _NONE),
    "holdout_n": int,
}
_AUDIT: dict[str, Any] = {
    "population": str,
    "n": Within(1, 2**62),
    "effective_n": Within(0, 2**62),
    "audit": _SUMMARY["audit?"],
    "margins": [{"attribute": str, "levels": [str], "target": [SHARE], "realised": [SHARE]}],
    "associations": [{"first": str, "second": str, "target": SHARE, "realised": SHARE, "kept?": _MEASURE}],
    "v_difference_mean": _MEASURE,
    "v_difference_max": _MEASURE,
    "association_kept?": _MEASURE,
    "fit": (_FIT, _NONE),
    "privacy": (_PRIVACY, _NONE),
}
_AUDIT["parts?"] = [_AUDIT]

ACCOUNT: Mapping[str, Any] = {
    "name": str,
    "kind": str,
    "grain": str,
    "model": (str, _NONE),
    "rows_in": int,
    "rows": int,
    "kept": int,
    "dropped": _COUNTS,
    "seconds": float,
    "summary": _SUMMARY,
    "reads?": [[str, str]],
    "requests?": _COUNTS,
    "tokens?": _COUNTS,
    "cost_usd?": (float, _NONE),
    "notes?": [str],
    "nonresponse?": [str],
}
"""What is written down of one step."""


def odd_summary(account: Mapping[str, Any]) -> str | None:
    """Place and problem of what no step would have written into its summary; None where there is nothing.

    account    fits `ACCOUNT`
    """
    summary = account["summary"]
    if account["kind"] == "draw" and ("margins" in summary or "parts" in summary):
        said = misfit(summary, _AUDIT)
        if said is not None:
            return said
        return next(_odd_audits(summary, ""), None)
    if summary.get("near_duplicates") is not None:
        return misfit(summary, {"near_questions": int, "questions_held_out": int})
    return None


def _odd_audits(audit: Mapping[str, Any], at: str) -> Iterator[str]:
    """Of a draw, and of those that were drawn together: lists that should be as long as each other, a miss untold."""
    for place, one in enumerate(audit["margins"]):
        lengths = {key: len(one[key]) for key in ("levels", "target", "realised")}
        if len(set(lengths.values())) != 1 or not one["levels"]:
            found = ", ".join(f"{n} {key}" for key, n in lengths.items())
            yield f"{at}margins[{place}] is of {found}, not of as many each"
    pairs, mean = audit["associations"], audit["v_difference_mean"]
    if pairs and (mean is None or audit["v_difference_max"] is None):
        yield f"{at}v_difference_mean is {mean!r}, not a number"
    fit = audit["fit"]
    if fit is not None and not fit["converged"] and fit["residual"] is None:
        yield f"{at}fit.residual is None, not a number from 0 to 1"
    for place, part in enumerate(audit.get("parts", ())):
        yield from _odd_audits(part, f"{at}parts[{place}].")
