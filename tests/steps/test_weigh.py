from __future__ import annotations

import math
from fractions import Fraction
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import distance

from prefgen.errors import SpecError
from prefgen.flow.pipeline import load
from prefgen.flow.plan import make_plan
from prefgen.flow.run import run
from prefgen.steps.weigh import _choices, _where_enough_answered, divergences, margins, tier_weights, tiers, votes
from tests.analysis.planted import plant
from tests.faults.pipelines import write_pipeline
from tests.test_run import Nobody

# Three personas, four items; `ada` agrees with both on i1, with one on i2 and i3, with nobody on i4.
ANSWERS = {"ada": "AABA", "bea": "AABB", "cyd": "ABAB"}


def chosen(answers=ANSWERS, weights=None, p=0.9) -> pl.DataFrame:
    rows = [
        (name, f"i{n}", letter, (weights or {}).get(name, 1.0), *(p if o == letter else (1 - p) / 2 for o in "ABC"))
        for name, letters in answers.items()
        for n, letter in enumerate(letters, 1)
        if letter != "-"
    ]
    names = ["persona_id", "item_id", "choice", "persona_weight", "p_A", "p_B", "p_C"]
    return pl.DataFrame(rows, schema=names, orient="row")


def of(frame: pl.DataFrame, persona: str, column: str) -> list:
    return frame.filter(pl.col("persona_id") == persona).sort("item_id")[column].to_list()


def independent_tier(answers: dict[str, str], name: str, n: int) -> int:
    others = [letters[n] for other, letters in answers.items() if other != name and letters[n] != "-"]
    if not others:
        return 1
    apart = sum(letter != answers[name][n] for letter in others)
    return 1 + math.floor(Fraction(apart, len(others)) * (len(answers) - 1) + Fraction(1, 2))


def test_a_tier_counts_the_others_that_choose_otherwise():
    assert of(tiers(chosen(), 3), "ada", "tier") == [1, 2, 2, 3]
    assert of(tiers(chosen(), 3), "cyd", "tier") == [1, 3, 3, 2]


def test_a_persona_without_an_answer_does_not_choose_otherwise():
    # of the two others one answered, and otherwise: all who answered choose otherwise
    assert of(tiers(chosen({"ada": "A", "bea": "-", "cyd": "B"}), 3), "ada", "tier") == [3]
    assert of(tiers(chosen({"ada": "A", "bea": "-", "cyd": "A"}), 3), "ada", "tier") == [1]


def test_tier_weights_by_hand():
    # ada: N_1 = 1, N_2 = 2, N_3 = 1; raw: 1/3 x 1, 2/3 x 1/2, 3/3 x 1 = 1/3, 1/3, 1; their sum over the tiers is 5/3
    weighed = tier_weights(tiers(chosen(), 3), 3, alpha=1, beta=1)
    assert of(weighed, "ada", "tier_weight") == pytest.approx([0.2, 0.2, 0.2, 0.6])
    # mean over the four rows is .3
    assert of(weighed, "ada", "weight") == pytest.approx([2 / 3, 2 / 3, 2 / 3, 2.0])
    # alpha 2, beta 0: raw 1/9, 4/9, 1; sum 14/9
    again = tier_weights(tiers(chosen(), 3), 3, alpha=2, beta=0)
    assert of(again, "ada", "tier_weight") == pytest.approx([1 / 14, 4 / 14, 4 / 14, 9 / 14])


@given(st.integers(0, 10_000), st.floats(0, 3), st.floats(0, 3))
@settings(max_examples=40)
def test_tier_weights_follow_the_formula_over_a_whole_table(seed, alpha, beta):
    rng = np.random.default_rng(seed)
    answers = {f"p{k}": "".join(rng.choice(list("ABC-"), 30, p=[0.5, 0.3, 0.1, 0.1])) for k in range(5)}
    weighed = tier_weights(tiers(chosen(answers), 5), 5, alpha=alpha, beta=beta)
    for name, mine in answers.items():
        tier = [independent_tier(answers, name, n) for n in range(30) if mine[n] != "-"]
        size = {t: tier.count(t) for t in set(tier)}
        raw = {t: (t / 5) ** alpha * (1 / size[t]) ** beta for t in size}
        expected = [raw[t] / sum(raw.values()) for t in tier]
        rows = weighed.filter(pl.col("persona_id") == name)
        assert rows["tier_weight"].to_list() == pytest.approx(expected)
        assert rows["weight"].mean() == pytest.approx(1.0)


def test_without_alpha_and_beta_everything_weighs_the_same():
    weighed = tier_weights(tiers(chosen(), 3), 3, alpha=0, beta=0)
    assert weighed["weight"].to_list() == pytest.approx([1.0] * 12)


def test_divergence_is_the_tier_where_every_answer_is_certain():
    certain = chosen(p=1.0)
    assert divergences(certain, 3)["divergence"].to_list() == pytest.approx(tiers(certain, 3)["tier"].to_list())


def test_divergence_is_the_sum_of_scipys():
    frame = chosen({"ada": "AB", "bea": "BB", "cyd": "CA"}, p=0.7)
    p = {"A": [0.7, 0.15, 0.15], "B": [0.15, 0.7, 0.15], "C": [0.15, 0.15, 0.7]}
    one = distance.jensenshannon(p["A"], p["B"], base=2) ** 2
    assert of(divergences(frame, 3), "ada", "divergence") == pytest.approx([1 + 2 * one, 1 + one])


def test_a_vote_is_weighed_by_the_people_behind_it():
    frame = chosen({"ada": "A", "bea": "A", "cyd": "B"}, weights={"ada": 1.0, "bea": 2.0, "cyd": 1.0})
    assert frame.select("persona_id").hstack(votes(frame, 3).select("vote"))["vote"].to_list() == [0.75, 0.75, 0.25]


def test_a_margin_is_what_parts_the_choice_from_the_runner_up():
    assert margins(chosen(p=0.8), 3)["margin"].to_list() == pytest.approx([0.7] * 12)


def test_only_kept_choices_of_drawn_persons_are_weighed():
    planted = plant()
    rows = _choices(planted.judgments.lazy())
    assert "none" not in rows["persona_id"]
    assert (
        rows.height
        == planted.judgments.filter(
            pl.col("control").is_null() & pl.col("reject_reason").is_null() & pl.col("item_choice").is_not_null()
        )
        .select("persona_id", "item_id")
        .n_unique()
    )
    assert rows["choice"].null_count() == 0


@pytest.mark.parametrize("dropped", ["", "bcd", "bcde", "bcdef"])
def test_a_sole_dissenter_is_in_the_highest_tier_whoever_a_filter_dropped(dropped):
    answers = {name: "-" if name in dropped else "B" if name == "a" else "A" for name in "abcdefg"}
    frame = chosen(answers, p=1.0)
    assert of(tiers(frame, 7), "a", "tier") == [7]
    assert of(divergences(frame, 7), "a", "divergence") == pytest.approx([7.0])


def test_where_too_few_answered_there_is_no_tier_and_no_weight():
    answers = {"a": "BA", "b": "AA", "c": "-A", "d": "-A", "e": "-B"}
    frame = chosen(answers)
    measured = _where_enough_answered(tiers(frame, 5), frame, "tier", 2)
    assert of(measured, "a", "n_others") == [1, 4]
    assert of(measured, "a", "tier") == [None, 2]
    weighed = tier_weights(measured, 5, alpha=1, beta=1)
    assert of(weighed, "a", "weight") == [0.0, 1.0]
    assert of(weighed, "a", "tier_weight") == [None, 1.0]


def test_a_tie_and_what_does_not_apply_compete():
    frame = (
        chosen({"ada": "A", "bea": "B"}, p=0.6)
        .with_columns(p_C=None, p_tie=0.3, p_na=0.1)
        .with_columns(
            p_A=pl.when(pl.col("choice") == "A").then(0.6).otherwise(0.0),
            p_B=pl.when(pl.col("choice") == "B").then(0.6).otherwise(0.0),
        )
    )
    assert margins(frame, 2)["margin"].to_list() == pytest.approx([0.3, 0.3])
    p, q = [0.6, 0, 0.3, 0.1], [0, 0.6, 0.3, 0.1]
    assert divergences(frame, 2)["divergence"].to_list() == pytest.approx(
        [1 + distance.jensenshannon(p, q, base=2) ** 2] * 2
    )


def test_the_same_answers_in_any_order_give_the_same_bits():
    rng = np.random.default_rng(3)
    answers = {f"p{k}": "".join(rng.choice(list("ABC"), 40)) for k in range(7)}
    measured = tiers(chosen(answers), 7)
    weights = [
        tier_weights(rows, 7, alpha=1, beta=1).sort("persona_id", "item_id")["weight"].to_list()
        for rows in (
            measured,
            measured.reverse(),
            *(measured.sample(fraction=1, shuffle=True, seed=s) for s in range(8)),
        )
    ]
    assert len({tuple(each) for each in weights[2:]} | {tuple(weights[0])}) == 1


def weighed_run(folder: Path, base_url: str, **weigh: object) -> Path:
    """A run of five people and twelve items with three options, weighed in one way; its folder."""
    steps = {
        "kept": {"keep": "answers", "where": "order_agreement"},
        "weights": {"from": "kept", **weigh},
        "pairs": {"pair": "chosen_vs_other", "from": "kept", "items": "items", "weight": "weights"},
    }
    path = write_pipeline(folder, base_url, personas=5, items=12, options=3, steps=steps)
    run(load(path), folder / "run", Nobody(), report=False)
    return folder / "run"


def read(folder: Path, table: str) -> pl.DataFrame:
    return pl.read_parquet(folder / "tables" / table / "*.parquet")


@pytest.mark.parametrize("measure", ["tier", "divergence"])
def test_a_run_with_a_target_weighs_its_preferences_alone_and_the_weights_reach_the_pairs(measure, tmp_path, endpoint):
    server = endpoint()
    everybody = weighed_run(tmp_path / "each", server.base_url, weigh=measure)
    personas = read(everybody, "personas")["persona_id"].to_list()
    target = personas[1]
    one = weighed_run(tmp_path / "one", server.base_url, weigh=measure, target=target)
    weights, free = read(one, "weights"), read(everybody, "weights")
    own = pl.col("persona_id") == target
    assert weights.drop("weight").equals(free.drop("weight"))
    assert weights.filter(own).equals(free.filter(own))
    assert weights.filter(own)["weight"].mean() == pytest.approx(1.0)
    assert set(weights.filter(~own)["weight"]) == {0.0}
    pairs = read(one, "pairs")
    assert set(pairs.filter(~own)["weight"]) == {0.0}
    joined = pairs.filter(own).join(weights, on=["persona_id", "item_id"], suffix="_own")
    assert joined.height == pairs.filter(own).height > 0
    assert joined["weight"].to_list() == pytest.approx(joined["weight_own"].to_list())  # people weigh 1 here
    exported = pl.read_parquet(one / "data" / "dpo" / "*.parquet")
    assert sorted(exported["weight"].to_list()) == pytest.approx(sorted(pairs["weight"].to_list()))


def test_a_run_weighs_by_divergence_as_scipy_does(tmp_path, endpoint):
    made = weighed_run(tmp_path, endpoint().base_url, weigh="divergence", alpha=2)
    rows = _choices(read(made, "kept").lazy())
    assert rows["p_A"].null_count() == 0
    p = {(row["persona_id"], row["item_id"]): [row[f"p_{x}"] for x in "ABC"] for row in rows.iter_rows(named=True)}
    for row in read(made, "weights").iter_rows(named=True):
        mine = p[row["persona_id"], row["item_id"]]
        others = [q for (who, item), q in p.items() if item == row["item_id"] and who != row["persona_id"]]
        apart = [distance.jensenshannon(mine, other, base=2) ** 2 for other in others]
        wanted = 1 + 4 * sum(apart) / len(apart)
        assert row["divergence"] == pytest.approx(wanted, abs=1e-6)
    one = read(made, "weights").filter(pl.col("persona_id") == rows["persona_id"][0])
    squares = [value**2 for value in one["divergence"]]
    assert one["weight"].to_list() == pytest.approx([each * len(squares) / sum(squares) for each in squares])


def test_a_target_that_nobody_is_is_named_with_those_who_are_before_anybody_is_asked(tmp_path):
    path = write_pipeline(
        tmp_path,
        "http://127.0.0.1:9/v1",
        personas=2,
        items=2,
        steps={"weights": {"weigh": "tier", "from": "answers", "target": "nobody"}},
    )
    with pytest.raises(SpecError, match=r"weights.target: there is no persona 'nobody'\n  fix: name one of 'town-"):
        make_plan(load(path))
