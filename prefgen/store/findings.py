"""What report and card count on finding in RUN/report.json, placement.json and calibration.json."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from prefgen.store.fitting import ANY, SHARE, Within, misfit

_NONE = type(None)
_TEXT = (str, _NONE)
_NUMBER = Within(-1e9, 1e9)
_MEASURE = (_NUMBER, _NONE)
_ESTIMATE = {"value": _MEASURE, "low": _MEASURE, "high": _MEASURE, "n": int}

_MATRIX = {
    "personas": int,
    "controls": int,
    "items": int,
    "drawn_from": [int, int],
    "options": [str],
    "coordinates": {ANY: int},
    "main": {"dimension": _TEXT, "group": _TEXT, "group_type": _TEXT, "category": _TEXT, "form": _TEXT},
    "sampled": [str],
    "units": int,
    "twins": int,
}
_AGREEMENT = {
    "alpha": _ESTIMATE,
    "unanimous": _ESTIMATE,
    "blocs": [{"personas": int, "items": int, "share": _ESTIMATE}],
    "compared": [str],
    "pairs": [
        {
            "first": str,
            "second": str,
            "same": _ESTIMATE,
            "kappa": _ESTIMATE,
            "divergence": _ESTIMATE,
            "overall": _MEASURE,
        }
    ],
}
_POSITION_BIAS = {
    "position_bias": _ESTIMATE,
    "people": _NUMBER,
    "first_slot": _ESTIMATE,
    "fair_first_slot": _MEASURE,
    "changes": _ESTIMATE,
    "noise": _MEASURE,
    "by_persona": [
        {
            "persona_id": str,
            "control": _TEXT,
            "position_bias": _ESTIMATE,
            "first_slot": _ESTIMATE,
            "changes": _ESTIMATE,
            "noise": _MEASURE,
        }
    ],
    "items_by_bias": [int],
    "items_by_chance": [_NUMBER],
    "outlying_items": [{"item_id": str, "position_bias": _ESTIMATE}],
}
_COUNTERFACTUAL = {
    "coordinate": str,
    "held": [str],
    "contexts": int,
    "levels": int,
    "flips": _ESTIMATE,
    "by_chance": _MEASURE,
    "option": str,
    "compared": int,
    "significant": int,
    "gaps": [{"first": str, "second": str, "difference": _ESTIMATE}],
    "deviations": [{"level": str, "difference": _ESTIMATE}],
}
_WORDINGS = {
    "wordings": [str],
    "differs": _ESTIMATE,
    "changes_mind": _ESTIMATE,
    "pairs": [
        {
            "first": str,
            "second": str,
            "people": int,
            "differs": _ESTIMATE,
            "by_chance": _MEASURE,
            "divergence": _MEASURE,
        }
    ],
}
_CONTROL = {
    "persona_id": str,
    "control": str,
    "control_id": str,
    "differs": _ESTIMATE,
    "divergence": _ESTIMATE,
    "overall": _MEASURE,
    "halves": _MEASURE,
    "changes_mind": _ESTIMATE,
}
_MAP = {
    "points": [
        {
            "name": str,
            "kind": frozenset({"persona", "control", "majority", "model"}),
            "region": _TEXT,
            "x": _NUMBER,
            "y": _NUMBER,
        }
    ],
    "explained": [_NUMBER, _NUMBER],
    "widest": _NUMBER,
    "items": int,
}
_CELL = (str, int, _NUMBER, _NONE, _ESTIMATE)
_ANALYSES = [
    {
        "kind": str,
        "name": str,
        "step": str,
        "said": [str],
        "tables": [{"title": str, "columns": [str], "rows": [[_CELL]]}],
    }
]
_FINDINGS: dict[str, Any] = {
    "analyses?": _ANALYSES,
    "matrix": _MATRIX,
    "agreement": (_AGREEMENT, _NONE),
    "kept": ({"preferences": int, "of": Within(1, 2**62), "alpha": _ESTIMATE}, _NONE),
    "position_bias": _POSITION_BIAS,
    "shares": (
        {
            "option": str,
            "rows": str,
            "columns": _TEXT,
            "overall": _ESTIMATE,
            "slices": [{"row": str, "column": str, "share": _ESTIMATE}],
        },
        _NONE,
    ),
    "profiles": ([{"persona_id": str, "control": _TEXT, "level": str, "share": _ESTIMATE}], _NONE),
    "counterfactuals": [_COUNTERFACTUAL],
    "forms": [{"persona_id": str, "control": _TEXT, "same": _ESTIMATE, "by_chance": _MEASURE}],
    "wordings": (_WORDINGS, _NONE),
    "length": ({"longest": _ESTIMATE, "chance": _MEASURE, "steps": [[_NUMBER, _NUMBER, _ESTIMATE]]}, _NONE),
    "nonresponse": [{"coordinate": str, "level": str, "judgments": int, "statuses": {ANY: int}, "share": _ESTIMATE}],
    "controls": [_CONTROL],
    "map": (_MAP, _NONE),
}

_PLACEMENT = {
    "judgments": _TEXT,
    "models": [{"name": str, "region": _TEXT}],
    "majority": str,
    "nearness": [
        {
            "model": str,
            "target": str,
            "coordinate": str,
            "level": str,
            "same": _ESTIMATE,
            "kappa": _ESTIMATE,
            "divergence": _ESTIMATE,
        }
    ],
    "map": (_MAP, _NONE),
}

_BAND = {"floor_total_variation": SHARE, "floor_low": SHARE, "floor_high": SHARE}
_FIGURES = dict.fromkeys(
    ("total_variation", "floor", "excess", "gain", "gain_over_no_persona", "spread_floor", "coherence_floor"), _ESTIMATE
)
_CALIBRATION = {
    "judgments": _TEXT,
    "cells": [
        {
            "item_id": str,
            "attribute": str,
            "level": str,
            "source": str,
            "n_survey": int,
            "total_variation": SHARE,
            "jensen_shannon": _MEASURE,
            "rank_distance": _MEASURE,
            "survey_shares": [SHARE],
            "shares": [SHARE],
            **_BAND,
        }
    ],
    "summary": [
        {
            "source": str,
            "attribute": str,
            "n_items": int,
            "total_variation": SHARE,
            "share_distance": _MEASURE,
            "jensen_shannon": _MEASURE,
            "rank_distance?": _MEASURE,
            "gain": _MEASURE,
            **_BAND,
        }
    ],
    "subgroups": [{"attribute": str, "level": str, "total_variation": SHARE, **_BAND}],
    "certainty": [
        {
            "measure": str,
            "attribute": str,
            "threshold": _NUMBER,
            "coverage": SHARE,
            "n": int,
            "agreement": (SHARE, _NONE),
            "modal": (SHARE, _NONE),
        }
    ],
    "figures": _FIGURES | {"spread": _MEASURE, "coherence": _MEASURE, "verdict": _TEXT, "said": [str]},
    "poststratification": {
        "personas": int,
        "effective_n": _NUMBER,
        "largest": _NUMBER,
        "share_distance": _MEASURE,
        "reweighted": _MEASURE,
    },
    "notes": [str],
}

_WANTED = {"report.json": _FINDINGS, "placement.json": _PLACEMENT, "calibration.json": _CALIBRATION}


def odd_findings(name: str, content: dict[str, Any]) -> str | None:
    """Place and problem of what no analysis would have written into a file of that name; None where there is nothing."""
    if name == "report.json" and content.get("matrix", "") is None:  # no persona chose among options
        return misfit(content, {"analyses?": _ANALYSES})
    odd = misfit(content, _WANTED[name])
    return odd or next(_odd_pairs(content.get("agreement") or {}), None)


def _odd_pairs(agreement: dict[str, Any]) -> Iterator[str]:
    """Of personas that are compared and are not among those that were."""
    for place, pair in enumerate(agreement.get("pairs", ())):
        for side in ("first", "second"):
            if pair[side] not in agreement["compared"]:
                yield f"agreement.pairs[{place}].{side} is {pair[side]!r:.60}, not one of those compared"
