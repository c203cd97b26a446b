"""`judge: rank`: orders of candidates against planted utilities, a judge with a habit, and replies that are no order."""

from __future__ import annotations

import json
import re
from itertools import combinations, permutations
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import kendalltau

import prefgen
from prefgen.errors import SpecError
from prefgen.judging.rankings import Ranked, measured, ranks_of, tau
from prefgen.schemas import LETTERS
from tests.language.conftest import Done, Run

HEATS = {"cold": 0.0, "cool": 1.0, "warm": 2.0, "hot": 3.0}
ANSWERS = [
    {"item_id": item, "prompt": f"{item}?", "response": f"{item} {word}", "heat": heat}
    for item in ("tea", "jam", "soup")
    for word, heat in HEATS.items()
]
PEOPLE = [{"persona_id": name, "wants": wants} for name, wants in (("ann", 1), ("bo", -1))]


def slots_of(page: str) -> dict[str, str]:
    return dict(re.findall(r"^([A-Z])\) (.+)$", page, re.M))


def said(slots: list[str]) -> str:
    names = ["first", *(f"place_{place}" for place in range(2, len(slots) + 1))]
    return json.dumps(dict(zip(names, slots, strict=True)))


def by_heat(system: str, page: str) -> str:
    """Ann wants heat, bo cold; whoever is nobody the warm ones first."""
    sign = 1 if "like 1" in system else -1
    return said(sorted(slots_of(page), key=lambda slot: -sign * HEATS[slots_of(page)[slot].split()[1]]))


def ranked(whole: Run, rule: Any = by_heat, exports: Any = ("dpo",), **step: Any) -> Done:
    steps = {
        "answers": {"table": ANSWERS},
        "rows": {"table": PEOPLE},
        "crowd": {"people": "rows", "text": "You like {{ wants }}."},
        "ranked": {"judge": "rank", "items": "answers", "show": "all", "as": "crowd", "model": "m"} | step,
        "pairs": {"pair": "best_vs_worst", "from": "ranked"},
        "all": {"pair": "chosen_vs_other", "from": "ranked"},
        "strengths": {"weigh": "rank", "from": "all", "of": "heat", "by": ["persona_id"]},
    }
    return whole({"models": {"m": {}}, "steps": steps, "publish": {"exports": [{"dpo": {"from": "pairs"}}]}}, rule)


def test_the_order_that_utilities_make_comes_back(whole: Run) -> None:
    done = ranked(whole)
    table, items = done.table("ranked"), done.table("ranked_shown")
    assert table.height == 2 * 3 * 4  # every slot once for every option
    heats = dict(items.select("item_id", "option_heat").iter_rows())
    for row in table.iter_rows(named=True):
        sign = -1 if row["persona_id"] == "ann" else 1
        order = sorted(range(4), key=lambda place: sign * heats[row["item_id"]][place])
        assert row["ranking"] == "".join(LETTERS[place] for place in order)
        assert row["best"] == row["ranking"][0]
        assert [row["mean_ranks"][place] for place in order] == [1.0, 2.0, 3.0, 4.0]
        assert (row["order_agreement"], row["position_bias"], row["repeat_agreement"]) == (1.0, 0.0, None)
    pairs = done.table("pairs")
    assert set(pairs.select("persona_id", "chosen_heat", "rejected_heat").iter_rows()) == {
        ("ann", 3.0, 0.0),
        ("bo", 0.0, 3.0),
    }
    assert set(pairs.select("p_chosen", "p_margin").iter_rows()) == {(1.0, 1.0)}
    assert done.table("all").height == 2 * 3 * 3
    assert done.data("dpo").height == 6


def test_a_judge_that_goes_by_the_slots_has_no_order_and_a_bias(whole: Run) -> None:
    done = ranked(whole, lambda _, page: said(sorted(slots_of(page))))
    table = done.table("ranked")
    assert set(table["position_bias"]) == {1.0}
    assert table["best"].null_count() == table.height  # every option stood in every place once
    assert set(table["mean_ranks"].list.n_unique()) == {1}
    assert done.table("pairs").height == 0
    assert "position bias 100" in (done.folder / "README.md").read_text()


@pytest.mark.parametrize(
    "reply",
    [
        said(["A", "A", "B", "C"]),
        said(["A", "B", "C"]),
        said(["A", "B", "C", "E"]),
        "A > B > C > D",
        '["A", "B", "C", "D"]',
        "",
    ],
)
def test_what_is_no_order_is_not_read(whole: Run, reply: str) -> None:
    table = ranked(whole, lambda system, page: reply if "tea?" in page else by_heat(system, page)).table("ranked")
    tea = table.filter(pl.col("prompt_id") == "tea")
    assert set(tea["status"]) == {"unparsed"}
    assert tea["ranking"].null_count() == tea["mean_ranks"].null_count() == tea.height
    assert table.filter(pl.col("prompt_id") != "tea")["reject_reason"].null_count() == 16


def test_a_lost_order_makes_no_pair(whole: Run) -> None:
    def rule(system: str, page: str) -> str:
        return "No." if "tea?" in page and "A) tea cold" in page else by_heat(system, page)

    done = ranked(whole, rule)
    assert set(done.table("pairs")["prompt_id"]) == {"jam", "soup"}


def test_repeats_and_models_as_themselves(whole: Run) -> None:
    done = ranked(whole, **{"as": "", "repeats": 2, "orders": ["given"]})
    table = done.table("ranked")
    assert table.height == 3 * 2
    assert set(table["repeat_agreement"]) == {1.0}
    assert table["order_agreement"].null_count() == 6
    assert set(table["persona_id"]) == {"m"}


def test_a_plan_is_what_is_asked(whole: Run) -> None:
    done = ranked(whole)
    (plan,) = [
        step for step in prefgen.plan(prefgen.load(done.folder / "pipeline.yaml")).steps if step.name == "ranked"
    ]
    assert done.served is not None
    assert (plan.rows, plan.requests) == (24, len(done.served.asked)) == (24, 24)
    held = done.served.asked[0]["response_format"]["json_schema"]["schema"]
    assert held["required"] == ["first", "place_2", "place_3", "place_4"]
    assert {tuple(one["enum"]) for one in held["properties"].values()} == {("A", "B", "C", "D")}


def test_columns_that_rankings_need_travel_under_others(whole: Run) -> None:
    items = [{"prompt": "Tea?", "options": ["a", "b"], "best": "x", "ranking": "y"}]
    step = {"judge": "rank", "items": "items", "model": "m"}
    steps = {"items": {"table": items}, "ranked": step}
    done = whole(
        {"models": {"m": {}}, "steps": steps, "publish": {"exports": []}}, lambda _, page: said(sorted(slots_of(page)))
    )
    assert done.table("ranked").select("item_best", "item_ranking").unique().rows() == [("x", "y")]


@pytest.mark.parametrize(
    ("step", "words"),
    [
        ({"orders": {"prior": 0.5}}, "a slot prior is taken out of probabilities"),
        ({"readout": "logprobs"}, "readout: unknown key"),
        ({"model": ["m", "m"]}, "a model stands twice"),
        ({"items": "rows"}, "'rows' has no candidates"),
    ],
)
def test_what_cannot_be_ranked_is_told(whole: Run, step: dict[str, Any], words: str) -> None:
    with pytest.raises(SpecError, match=words):
        ranked(whole, **step)


@given(st.permutations(range(5)), st.permutations(range(5)))
def test_tau_is_that_of_scipy(one: list[int], other: list[int]) -> None:
    assert tau(one, other) == pytest.approx(kendalltau(one, other).statistic)


@given(st.lists(st.sampled_from([1.0, 2.0, 3.0]), min_size=4, max_size=4), st.permutations([1, 2, 3, 4]))
def test_tau_with_ties_is_that_of_scipy(one: list[float], other: list[int]) -> None:
    expected = kendalltau(one, other).statistic
    assert tau(one, other) == pytest.approx(0.0 if np.isnan(expected) else expected)


@pytest.mark.parametrize("order", ["given", "swapped", "turn-1", "turn-2"])
def test_ranks_are_the_options_whatever_the_slots(order: str) -> None:
    from prefgen.judging.presentations import shown

    for slots in permutations("ABC"):
        found = ranks_of(slots, order, None)
        assert found is not None
        texts = [shown(order, 3, None)[LETTERS.index(slot)] for slot in slots]
        assert [found[1][option] for option in texts] == [1, 2, 3]
        assert found[0] == "".join(LETTERS[option] for option in texts)


def test_measures_against_brute_force() -> None:
    orders = [
        ("given", (1, 2, 3)),
        ("given", (1, 3, 2)),
        ("turn-1", (2, 1, 3)),
        ("turn-1", (1, 2, 3)),
        ("turn-2", (3, 1, 2)),
    ]
    told = measured(
        [Ranked(order, ranks, first) for (order, ranks), first in zip(orders, [1, 0, 1, 0, 0], strict=True)], 3, None
    )
    means = [
        np.mean([ranks for name, ranks in orders if name == order], axis=0) for order in ("given", "turn-1", "turn-2")
    ]
    assert told["mean_ranks"] == pytest.approx(np.mean(means, axis=0))
    assert told["order_agreement"] == pytest.approx(
        np.mean([kendalltau(*two).statistic for two in combinations(means, 2)])
    )
    within = [kendalltau(*two).statistic for two in ((orders[0][1], orders[1][1]), (orders[2][1], orders[3][1]))]
    assert told["repeat_agreement"] == pytest.approx(np.mean(within))
    assert told["position_bias"] == pytest.approx((np.mean([0.5, 0.5, 0.0]) - 1 / 3) / (2 / 3))
