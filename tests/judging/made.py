"""Judgments made from plain facts, for tests of what is done with them."""

from collections.abc import Sequence

import polars as pl

from prefgen.judging.aggregate import measured
from prefgen.judging.presentations import shown
from prefgen.schemas import LETTERS

Asked = tuple[str, str, str, int, dict[str, float] | None]  # persona, item, order, repeat, p by option


def judgments(
    asked: Sequence[Asked],
    *,
    k: int = 3,
    neither: str | None = "C",
    control: str | None = None,
    readout: str = "text",
    also: Sequence[str] = (),
) -> pl.DataFrame:
    """A judgments table with measures; `p` None = nothing was read."""
    names = (*LETTERS[:k], *also)
    rows = []
    for persona, item, order, repeat, p in asked:
        said = max(p, key=lambda name: p[name]) if p else None
        choice = said if said in set(LETTERS[:k]) else None
        place = shown(order, k, LETTERS.index(neither) if neither else None)
        rows.append(
            {
                "judgment_id": f"{persona}/{item}/{order}/{repeat}",
                "persona_id": persona,
                "item_id": item,
                "order": order,
                "repeat": repeat,
                "choice": choice,
                "status": "unparsed" if said is None else said if said in also else "na" if choice == neither else "ok",
                "slot": None if choice is None else LETTERS[place.index(LETTERS.index(choice))],
                "p": None if p is None else {name: p.get(name, 0.0) for name in names},
                "p_read": None,
                "certainty": None,
                "reason": None,
                "readout": readout,
                "model": "m",
                "request_id": "r",
                "failure": None,
                "control": control,
                "weight": 1.0,
                "neither": neither,
                "topic": "bread",
                "reject_reason": "unparsed" if said is None else None,
            }
        )
    schema = {
        **dict.fromkeys(("judgment_id", "persona_id", "item_id", "order"), pl.String),
        "repeat": pl.Int64,
        **dict.fromkeys(("choice", "status", "slot"), pl.String),
        "p": pl.Struct(dict.fromkeys(names, pl.Float64)),
        "p_read": pl.Float64,
        "certainty": pl.Int64,
        "reason": pl.String,
        **dict.fromkeys(("readout", "model", "request_id", "failure", "control"), pl.String),
        "weight": pl.Float64,
        **dict.fromkeys(("neither", "topic", "reject_reason"), pl.String),
    }
    return measured(pl.DataFrame(rows, schema=schema))


ITEMS = pl.DataFrame(
    {
        "item_id": ["i", "j"],
        "prompt": ["What?", "Who?"],
        "options": [["this", "that", "neither"], ["she", "he", "neither"]],
        "neither": [2, 2],
    }
)
