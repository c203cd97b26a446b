"""Hand-sized matrices, whose every number can be worked out on paper."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from prefgen.analysis.agreement import estimate_agreement, far_apart, largest_blocs
from prefgen.analysis.bias import estimate_position_bias
from prefgen.analysis.control import estimate_control_effects
from prefgen.analysis.findings import describe
from prefgen.analysis.gaps import coordinates_held, estimate_counterfactual
from prefgen.analysis.response_matrix import matrix_of
from prefgen.analysis.slices import count_nonresponse, estimate_length_sensitivity, estimate_profiles, estimate_shares
from prefgen.crossing import Crossing
from prefgen.judging.aggregate import measured
from prefgen.judging.item_facts import item_facts
from prefgen.judging.units import Units
from prefgen.publish.report.headlines import headlines
from prefgen.publish.report.limits import limits_of
from prefgen.seeds import rng_for
from tests.analysis.planted import plant, two_slots

ITEMS = pl.DataFrame(
    {
        "item_id": ["w1", "m1", "w2", "m2"],
        "prompt": ["?"] * 4,
        "options": [["short", "rather longer", "neither"]] * 2 + [["a long option", "brief", "neither"]] * 2,
        "neither": [2] * 4,
        "group": ["women", "men", "women", "men"],
        "topic": ["food", "food", "tax", "tax"],
        "sort": ["good", "good", "burden", "burden"],
    }
)

# For every persona: the option chosen on w1, m1, w2, m2, in the given and in the swapped order; R is a refusal.
SAID = {"ada": ("ABAA", "ABAA"), "bea": ("ABBA", "ABAA"), "none": ("AACR", "BBCR")}


def matrix(said=SAID, items=ITEMS, weights=None, told=None, people=None):
    rows = []
    for name, orders in said.items():
        for n, item in enumerate(items["item_id"]):
            for order, letters in zip(("given", "swapped"), orders, strict=True):
                letter = letters[n]
                slot = letter if order == "given" else {"A": "B", "B": "A"}.get(letter, letter)
                p = {o: 0.8 if o == letter else 0.1 for o in "ABC"}
                answer = (
                    (None, "refusal", None, None)
                    if letter == "R"
                    else (letter, "na" if letter == "C" else "ok", slot, p)
                )
                rows.append((name, item, order, 0, *answer))
    kinds = pl.Struct({"A": pl.Float64, "B": pl.Float64, "C": pl.Float64})
    names = ["persona_id", "item_id", "order", "repeat", "choice", "status", "slot", "p"]
    frame = pl.DataFrame(rows, schema=dict.fromkeys(names, pl.String) | {"repeat": pl.Int64, "p": kinds}, orient="row")
    people = (
        people
        if people is not None
        else pl.DataFrame(
            {
                "persona_id": list(said),
                "control": [None if name != "none" else "none" for name in said],
                "control_of": pl.Series([None] * len(said), dtype=pl.String),
                "weight": [(weights or {}).get(name, 1.0) for name in said],
            }
        )
    )
    if told is not None:
        person, wording = ([told[name][n] for name in said] for n in (0, 1))
        people = people.with_columns(
            person=pl.Series(person, dtype=pl.String), wording=pl.Series(wording, dtype=pl.String)
        )
    return matrix_of(
        [two_slots(measured(frame.with_columns(neither=pl.lit("C"), readout=pl.lit("text"))))],
        item_facts(items.lazy()),
        people,
    )


def test_position_bias_by_hand():
    found = estimate_position_bias(matrix(), rng=rng_for(0, "t"))
    by = {one.persona_id: one for one in found.by_persona}
    # ada never changes; bea names slot B in both orders on w2; the control names slot A in both on w1 and m1
    assert [by[name].position_bias.value for name in ("ada", "bea", "none")] == pytest.approx([0.0, -1 / 4, 1.0])
    assert found.position_bias.value == pytest.approx((-1 + 1 + 1) / 10)
    assert [by[name].changes.value for name in ("ada", "bea", "none")] == pytest.approx([0.0, 1 / 4, 2 / 3])
    assert found.changes.value == pytest.approx(3 / 11)
    assert (by["bea"].noise, by["none"].noise) == (0.0, 0.0)
    # the control names the first slot in four of its six verdicts, two of which are for the option marked neither
    assert by["none"].first_slot.value == pytest.approx(2 / 3)
    assert by["ada"].first_slot.value == 0.5
    assert found.fair_first_slot == pytest.approx(1 / 3)
    assert found.people == 0.01
    # two or three personas on each of four items: nothing is beyond chance
    assert found.outlying_items == ()
    assert sum(found.items_by_bias) == 4


def test_the_first_slot_is_counted_over_every_judgment_also_of_personas_and_items_left_out():
    planted = plant()
    facts = item_facts(planted.items.lazy())
    small = matrix_of([planted.judgments], facts, planted.personas, most_personas=2, most_cells=150)
    assert (len(small.people), small.items.height) == (2, 50)
    found = estimate_position_bias(small, rng=rng_for(0, "t"))
    heard = planted.judgments.drop_nulls("slot")
    assert found.first_slot.value == pytest.approx((heard["slot"] == "A").mean())
    once = planted.judgments.unique(["persona_id", "item_id"])["position_bias"].drop_nulls()
    assert found.position_bias.value == pytest.approx(once.mean())


def test_personas_with_one_portrait_are_one_respondent():
    said = {"ada": ("ABAA",) * 2, "twin": ("ABAA",) * 2, "bea": ("BBBA",) * 2, "none": ("AABB",) * 2}
    alone, twice = matrix({name: said[name] for name in ("ada", "bea", "none")}), matrix(said)
    people = pl.DataFrame(
        {
            "persona_id": list(said),
            "control": [None, None, None, "none"],
            "control_of": pl.Series([None] * 4, dtype=pl.String),
            "portrait": [7, 7, 8, 0],
        }
    )
    told = matrix(said, people=people)
    assert (told.personas, told.twins, twice.twins) == (alone.personas, 1, 0)
    assert told.weights.tolist() == [2.0, 1.0, 1.0]
    at = [estimate_agreement(one, rng=rng_for(0, "t"), draws=20) for one in (alone, told, twice)]
    assert at[0].alpha == at[1].alpha
    assert at[2].alpha.value > at[0].alpha.value


def test_what_is_on_tie_or_na_is_on_no_option():
    planted = plant()
    some = planted.judgments.with_columns(
        pl.lit(0.3).alias("p_tie"),
        *((pl.col(f"p_{letter}") * 0.6).alias(f"p_{letter}") for letter in "ABC"),
        pl.lit(0.1).alias("p_na"),
    )
    found = matrix_of([some], item_facts(planted.items.lazy()), planted.personas)
    known = ~np.isnan(found.p).any(axis=2)
    assert found.p.shape[2] == len(found.options) + 1
    assert found.p[known][:, -1] == pytest.approx(0.4)
    assert found.p[known].sum(axis=1) == pytest.approx(1.0, abs=1e-5)


def test_agreement_by_hand():
    found = estimate_agreement(
        matrix(dict.fromkeys(("x", "y"), SAID["ada"]) | {"z": ("BBAA", "BBAA")}), rng=rng_for(0, "t"), draws=50
    )
    assert [(bloc.personas, bloc.items) for bloc in found.blocs] == [(1, 0), (2, 1), (3, 3)]
    assert found.unanimous.value == 0.75
    by = {(pair.first, pair.second): pair for pair in found.pairs}
    assert by["x", "y"].kappa.value == 1.0
    # x: A B A A, z: B B A A; observed 3/4, chance 3/4 x 1/2 + 1/4 x 1/2 = 1/2
    assert by["x", "z"].kappa.value == pytest.approx(0.5)
    # x chooses A in 3 of 4, z in 2 of 4
    assert by["x", "z"].overall == pytest.approx(0.0487949, abs=1e-6)


def test_blocs_count_only_items_that_all_answered():
    counts, units = np.array([[3, 0], [2, 1], [1, 1]]), Units(np.arange(3), Crossing())
    assert [(bloc.personas, bloc.items) for bloc in largest_blocs(counts, units, 3)] == [(2, 1), (3, 1)]
    assert largest_blocs(counts, units, 1) == ()


def test_shares_are_weighted_by_the_people():
    weighted = matrix({"ada": ("AAAA", "AAAA"), "bea": ("BBBB", "BBBB")}, weights={"ada": 1.5, "bea": 0.5})
    found = estimate_shares(weighted, option="A", rows="topic", columns="group")
    assert found.overall.value == pytest.approx(0.75)
    assert {(one.row, one.column, round(one.share.value, 9)) for one in found.slices} == {
        (topic, group, 0.75) for topic in ("food", "tax") for group in ("women", "men")
    }


def test_profiles_are_of_every_persona():
    found = {
        (one.persona_id, one.level): one.share.value
        for one in estimate_profiles(matrix(), option="A", coordinate="topic")
    }
    assert found["ada", "food"] == 0.5
    assert found["ada", "tax"] == 1.0
    assert found["none", "tax"] == 0.0


def test_what_cannot_stay_while_another_changes_is_not_held():
    assert coordinates_held(ITEMS, ("group", "topic", "sort"), "group") == ("topic",)
    assert coordinates_held(ITEMS, ("group", "topic", "sort"), "topic") == ("group",)


def test_a_gap_is_a_persona_against_itself_within_a_context():
    found = estimate_counterfactual(matrix(), "group")
    assert (found.contexts, found.levels, found.compared) == (2, 2, 1)
    # food: women A, men B for both personas (+1); tax: all A, for bea's w2 too, whose two orders tie: no choice
    gap = found.gaps[0]
    assert (gap.first, gap.second, gap.difference.value) == ("women", "men", 0.5)
    assert found.flips.value == pytest.approx(2 / 3)  # ada 1 of 2, bea 1 of 1


def test_length_is_measured_where_one_option_is_longest():
    found = estimate_length_sensitivity(matrix({"ada": ("AABB", "AABB")}))
    assert (found.longest.value, found.chance) == (0.0, 0.5)
    same = ITEMS.with_columns(options=pl.lit(["equal", "alike", "neither"]))
    assert estimate_length_sensitivity(matrix(items=same)) is None


def test_length_is_not_told_from_the_option_where_the_same_one_is_always_longest():
    always = ITEMS.with_columns(options=pl.lit(["brief", "a long option", "neither"]))
    assert estimate_length_sensitivity(matrix(items=always)) is None


def test_nonresponse_is_counted_by_status():
    found = {(one.coordinate, one.level): one for one in count_nonresponse(matrix(), ["group"])}
    assert found["group", "men"].statuses == {"ok": 10, "refusal": 2}
    assert found["group", "women"].statuses == {"ok": 10, "na": 2}
    assert found["persona_id", "none"].share.value == 0.25


def test_a_control_differs_where_both_chose():
    found = {one.persona_id: one for one in estimate_control_effects(matrix(), rng=rng_for(0, "t"))}
    # the control chose on w2 alone (C): its w1 and m1 tie between the orders, m2 is refused
    assert (found["ada"].differs.value, found["ada"].differs.n) == (1.0, 1)
    assert found["bea"].differs.n == 0


def test_a_control_of_one_persona_is_nobody_elses():
    planted = plant()
    wrong = planted.personas.with_columns(
        control=pl.when(pl.col("persona_id") == "eve").then(pl.lit("wrong")).otherwise("control"),
        control_of=pl.when(pl.col("persona_id") == "eve").then(pl.lit("ada")),
    )
    found = matrix_of([planted.judgments], item_facts(planted.items.lazy()), wrong)
    effects = estimate_control_effects(found, rng=rng_for(0, "t"))
    assert [one.persona_id for one in effects if one.control == "wrong"] == ["ada"]


def test_a_run_too_large_is_seen_through_a_seeded_draw():
    planted = plant()
    facts = item_facts(planted.items.lazy())
    small = [
        matrix_of([planted.judgments], facts, planted.personas, seed=5, most_personas=3, most_cells=400)
        for _ in range(2)
    ]
    assert small[0].personas == small[1].personas
    assert len(small[0].people) == 3
    assert small[0].items.height == 100
    assert small[0].drawn_from == (6, 288)
    assert small[0].items["item_id"].to_list() == small[1].items["item_id"].to_list()
    # what is left is as it was
    whole = matrix_of([planted.judgments], facts, planted.personas)
    at = [whole.items["item_id"].to_list().index(name) for name in small[0].items["item_id"]]
    row, of = small[0].personas.index(small[0].personas[0]), whole.personas.index(small[0].personas[0])
    assert small[0].choice[row].tolist() == whole.choice[of, at].tolist()


def test_items_that_nobody_was_asked_are_no_part_of_it():
    planted = plant()
    some = planted.items["item_id"].head(40).implode()
    rows = planted.judgments.filter(pl.col("item_id").is_in(some))
    found = matrix_of([rows], item_facts(planted.items.lazy()), planted.personas)
    assert (found.items.height, found.drawn_from) == (40, (6, 40))


def test_the_personas_compared_are_far_from_each_other():
    found = matrix({"a": ("AAAA",) * 2, "b": ("AAAA",) * 2, "c": ("BBBB",) * 2, "d": ("CCCC",) * 2})
    assert [found.personas[row] for row in far_apart(found, found.people, 3)] == ["a", "c", "d"]


def test_the_forms_of_one_question_are_one_unit():
    planted = plant()
    mixed = planted.items.sample(fraction=1.0, shuffle=True, seed=1)
    found = matrix_of([planted.judgments], item_facts(mixed.lazy()), planted.personas)
    assert found.units.of.tolist() == [n // 2 for n in range(288)]
    forms = (
        found.items.with_columns(unit=pl.Series(found.units.of))
        .group_by("unit")
        .agg(pl.col("form").n_unique(), pl.struct("topic", "group", "dimension").n_unique().alias("questions"))
    )
    assert forms["form"].unique().to_list() == [2]
    assert forms["questions"].unique().to_list() == [1]
    # whoever stands where, the answers are still those of the same items
    at = found.items["item_id"].to_list()
    given = matrix_of([planted.judgments], item_facts(planted.items.lazy()), planted.personas)
    assert (
        found.choice[0].tolist()
        == given.choice[0, [given.items["item_id"].to_list().index(name) for name in at]].tolist()
    )


def test_questions_that_share_their_coordinates_are_not_forms_of_each_other():
    planted = plant()
    few = planted.items.drop("topic", "dimension")
    found = matrix_of([planted.judgments], item_facts(few.lazy()), planted.personas)
    assert found.units.of.tolist() == list(range(288))


def test_a_control_that_was_asked_is_not_reported_as_not_asked():
    # A judge that always names slot A: whatever it is asked, the two orders of an item tie, and nothing has a choice.
    found = describe(matrix(dict.fromkeys(("ada", "none"), ("AAAA", "BBBB"))), seed=0, draws=20)
    assert all(one["differs"]["value"] is None for one in found["controls"])
    said = {one.key: one for one in headlines({"steps": []}, found)}
    assert "was asked" in said["control"].sentence
    assert said["control"].weight == "grave"
    assert said["position"].sentence.startswith("Position bias is +100 %")
    assert not any("No control" in line for line in limits_of(found))
    without = describe(matrix({"ada": ("AAAA", "BBBB")}), seed=0, draws=20)
    assert any("No control persona was asked" in line for line in limits_of(without))
    assert (
        "no control without a persona was asked"
        in {one.key: one for one in headlines({"steps": []}, without)}["control"].sentence
    )


def test_what_intervals_generalise_over_is_said():
    planted = plant()
    whole = matrix_of([planted.judgments], item_facts(planted.items.lazy()), planted.personas)
    assert whole.sampled == ("topic", "group")
    said = next(line for line in limits_of(describe(whole, seed=0, draws=5)) if line.startswith("Intervals"))
    assert "over questions and over the levels of topic and group" in said
    assert "Of theme, group type, dimension and form they speak of just the levels that were asked" in said
