"""The judge step: everyone sees everything in every order, and what they said ends in the right row."""

import math

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from prefgen.errors import SpecError
from prefgen.judging.pairs import pairs
from prefgen.records import Request, Response
from prefgen.steps import judge
from prefgen.store.table import Table
from tests.judging.made import ITEMS
from tests.steps.asking import PEOPLE, Answering, context, summary_of

TABLES = {"people": Table.of("people", [PEOPLE]), "items": Table.of("items", [ITEMS])}


def spec(**facts: object) -> judge.Judge:
    return judge.Judge.model_validate(
        {"judge": "pick", "items": "items", "as": "people", "model": "m", "readout": "text", **facts}
    )


def slot_of(request: Request, words: str) -> str:
    page = request.messages[-1][1]
    return next(line[0] for line in page.splitlines() if line.endswith(words))


def test_a_judge_who_likes_an_option_prefers_it_in_either_slot() -> None:
    here = context(lambda request: slot_of(request, " that" if "What?" in request.messages[-1][1] else " she"))
    rows = pl.concat(spec().make(TABLES, here))
    assert rows.height == 3 * 2 * 3
    assert set(rows.filter(item_id="i")["choice"]) == {"B"}
    assert set(rows.filter(item_id="j")["choice"]) == {"A"}
    assert rows["order_agreement"].all()
    assert summary_of(spec(), TABLES, here)["position_bias"]["value"] == pytest.approx(0.0)


def test_a_judge_who_sees_only_slots_shows_as_position_bias() -> None:
    here = context(lambda _: "A")
    rows = pl.concat(spec().make(TABLES, here))
    assert not rows["order_agreement"].any()
    summary = summary_of(spec(), TABLES, here)
    assert summary["position_bias"]["value"] == 1.0
    assert summary["first_slot"]["value"] == 1.0


def test_no_persona_gets_the_answer_of_another() -> None:
    def by_name(request: Request) -> str:
        return "A" if any("Ann" in text for _, text in request.messages) else "B"

    rows = pl.concat(spec(orders=["given"]).make(TABLES, context(by_name)))
    assert dict(rows.select("persona_id", "choice").iter_rows()) == {"ann": "A", "bob": "B", "none": "B"}


def test_the_no_persona_control_has_no_system_message() -> None:
    here = context()
    list(spec().make(TABLES, here))
    assert isinstance(here.ask, Answering)
    systems = [request for request in here.ask.asked if request.messages[0][0] == "system"]
    assert len(here.ask.asked) - len(systems) == 2 * 3
    assert all("You are" in request.messages[0][1] for request in systems)


def test_every_repeat_is_asked_for_itself() -> None:
    here = context()
    rows = pl.concat(spec(repeats=3).make(TABLES, here))
    assert rows["request_id"].n_unique() == rows.height == 3 * 2 * 3 * 3
    assert rows["judgment_id"].n_unique() == rows.height


@pytest.mark.parametrize(
    ("said", "status", "choice", "reason"),
    [
        ("I cannot choose.", "refusal", None, "refusal"),
        ("I would not choose A.", "refusal", None, "refusal"),
        ("Not A.", "unparsed", None, "unparsed"),
        ("whatever", "unparsed", None, "unparsed"),
        ("They are equally good", "tie", None, None),
        (Response("", failure="HTTP 400: no"), "failed", None, "failed"),
    ],
)
def test_non_answers_end_as_rows_that_say_what_they_are(
    said: str | Response, status: str, choice: str | None, reason: str | None
) -> None:
    rows = pl.concat(spec().make(TABLES, context(lambda _: said)))
    assert rows.height == 18
    assert set(rows["status"]) == {status}
    assert set(rows["choice"]) == {choice}
    assert set(rows["reject_reason"]) == {reason}


def test_the_option_marked_neither_is_na_in_any_slot() -> None:
    rows = pl.concat(spec().make(TABLES, context(lambda request: slot_of(request, " neither"))))
    assert set(rows.select("status", "choice", "reject_reason").iter_rows()) == {("na", "C", None)}
    assert set(rows["slot"]) == {"A", "B", "C"}


def test_the_failed_row_keeps_the_servers_words() -> None:
    rows = pl.concat(spec().make(TABLES, context(lambda _: Response("", failure="HTTP 400: too rude"))))
    assert set(rows["failure"]) == {"HTTP 400: too rude"}


@settings(max_examples=25, deadline=None)
@given(
    orders=st.lists(st.sampled_from(["given", "swapped", "cyclic", "balanced"]), min_size=1, max_size=3)
    | st.sampled_from(["balanced", {"prior": 0.5}]),
    repeats=st.integers(1, 3),
    readout=st.sampled_from(["logprobs", "text", "certainty", "reason"]),
)
def test_a_forecast_is_exactly_what_is_then_made_and_asked(orders: object, repeats: int, readout: str) -> None:
    here = context(lambda _: "Answer: A")
    asked = spec(orders=orders, repeats=repeats, readout=readout)
    estimate = asked.estimate(TABLES, here)
    frames = list(asked.make(TABLES, here))
    assert isinstance(here.ask, Answering)
    assert estimate.rows == sum(frame.height for frame in frames)
    assert estimate.requests == len({request.request_id for request in here.ask.asked})
    assert estimate.empty.schema == frames[0].schema


def test_people_who_are_the_same_are_asked_once() -> None:
    twins = {**TABLES, "people": Table.of("people", [PEOPLE.with_columns(text=pl.lit("You are a twin."))])}
    assert spec().estimate(twins, context()).requests == 6


def test_ones_own_page_may_use_the_items_columns_and_nothing_else(tmp_path: object) -> None:
    from pathlib import Path

    page = Path(str(tmp_path)) / "page.jinja"
    page.write_text("{{ item.prompt }} {% for slot, text in options %}[{{ slot }}] {{ text }} {% endfor %}")
    here = context()
    list(spec(template=str(page)).make(TABLES, here))
    assert isinstance(here.ask, Answering)
    assert here.ask.asked[0].messages[1][1] == "What? [A] this [B] that [C] neither"
    for wrong in ("{{ item.secret }}", "{{ ''.__class__.__mro__ }}", "{% if %}", "{{ 1 / 0 }}"):
        page.write_text(wrong)
        with pytest.raises(SpecError, match=r"steps\.s\.template"):
            spec(template=str(page)).estimate(TABLES, context())


def test_a_limit_draws_evenly_and_a_smaller_one_takes_some_of_the_same() -> None:
    assert spec().estimate(TABLES, context(limit=1)).rows == 3 * 3
    ids = [f"i{n}" for n in range(1000)]
    some, more = (context(limit=limit).preview(ids) for limit in (50, 200))
    assert len(some) == 50
    assert some == sorted(some)
    assert set(some) < set(more)
    assert 300 < sum(more) / 200 < 700
    assert context(limit=5000).preview(ids) == [*range(len(ids))]


def test_parts_never_cut_through_one_persona_and_item(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judge, "PART_ROWS", 3)
    frames = list(spec().make(TABLES, context()))
    assert len(frames) > 1
    groups = [set(frame.select("persona_id", "item_id").iter_rows()) for frame in frames]
    assert sum(map(len, groups)) == len(set.union(*groups)) == 6
    assert all(frame["n_presentations"].eq(3).all() for frame in frames)


def by_utility(utility: dict[str, float], bias: list[float], *, mass: float = 0.9) -> object:
    """A judge softmax(utility + slot bias), by log-probabilities; the choices hold `mass` of them."""

    def answer(request: Request) -> Response:
        page = next(text for role, text in request.messages if role == "user")
        slots = {line[0]: line[3:] for line in page.splitlines() if line[1:3] == ") "}
        odds = {slot: math.exp(utility[text] + bias[at]) for at, (slot, text) in enumerate(slots.items())}
        logs = {slot: math.log(mass * one / sum(odds.values())) for slot, one in odds.items()}
        best = max(logs, key=lambda slot: logs[slot])
        alternatives = (*sorted(logs.items(), key=lambda one: -one[1]), ("The", math.log(1 - mass)))
        return Response(request.request_id, best, alternatives, method="logprobs", chosen=best)

    return answer


def many_items(n: int, k: int) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "item_id": [f"i{number}" for number in range(n)],
            "prompt": [f"What about {number}?" for number in range(n)],
            "options": [[f"{number}-{option}" for option in range(k)] for number in range(n)],
            "neither": [None] * n,
        },
        schema_overrides={"neither": pl.Int64},
    )


@pytest.mark.parametrize("k", [2, 3, 4])
def test_a_slot_prior_gives_what_all_rotations_give_for_less(k: int) -> None:
    rng = np.random.default_rng(k)
    items = many_items(120, k)
    utility = {text: float(rng.normal(0, 1)) for options in items["options"] for text in options}
    bias = [3.0, *[0.5] * (k - 2), -1.0]
    tables = {**TABLES, "items": Table.of("items", [items])}
    here = context(by_utility(utility, bias))
    cheap = spec(readout="logprobs", orders={"prior": 0.25})
    rows = pl.concat(cheap.make(tables, here))
    assert rows.height < 0.5 * 3 * 120 * k + 3 * 120
    assert rows["debiased"].all()
    assert set(rows["p_read"].round(6)) == {0.9}
    for row in rows.unique(["persona_id", "item_id"]).iter_rows(named=True):
        options = items.filter(item_id=row["item_id"])["options"][0]
        odds = np.exp([utility[text] for text in options])
        assert [row[f"p_{letter}"] for letter in "ABCD"[:k]] == pytest.approx(odds / odds.sum(), abs=0.01)


def test_one_unread_order_leaves_no_probability_and_no_pair() -> None:
    def one_refusal(request: Request) -> str:
        page = next(text for role, text in request.messages if role == "user")
        return (
            "I cannot choose."
            if page.splitlines()[2].endswith("that")
            else slot_of(request, " this" if "What?" in page else " she")
        )

    rows = pl.concat(spec().make(TABLES, context(one_refusal)))
    assert rows.filter(item_id="i")["p_choice"].null_count() == 9
    assert rows.filter(item_id="i")["item_choice"].null_count() == 9
    assert pairs(rows, ITEMS).filter(item_id="i").is_empty()
    assert not pairs(rows, ITEMS).filter(item_id="j").is_empty()


def test_reasons_and_the_words_beside_a_certainty_are_kept() -> None:
    rows = pl.concat(spec(readout="reason").make(TABLES, context(lambda _: "It is kinder.\nAnswer: A")))
    assert set(rows["reason"]) == {"It is kinder."}
    rows = pl.concat(spec(readout="certainty").make(TABLES, context(lambda _: "A 70\nI know such people.")))
    assert set(rows.select("reason", "certainty").iter_rows()) == {("I know such people.", 70)}


@pytest.mark.parametrize(
    ("facts", "note"),
    [
        ({"repeats": 2}, "2 repeats at temperature 0"),
        ({"orders": ["given", "swapped"]}, "do not show every one of 3 options"),
        ({"orders": {"prior": 0.5}}, "the slot prior rests on"),
        ({}, None),
    ],
)
def test_what_a_plan_should_say_is_said(facts: dict[str, object], note: str | None) -> None:
    notes = spec(**facts).estimate(TABLES, context()).notes
    assert (len(notes) == 1 and note in notes[0]) if note else not notes


@pytest.mark.parametrize("orders", ["both", ["given", "shuffled"], [], 3, {"prior": 0}, {"prior": 2}, {"share": 0.5}])
def test_orders_that_there_are_not_are_refused(orders: object) -> None:
    with pytest.raises(ValidationError):
        spec(orders=orders)


def test_slot_priors_of_a_sparse_design_rest_on_what_was_asked() -> None:
    items = pl.DataFrame(
        {
            "item_id": [f"i{n}" for n in range(40)],
            "prompt": [f"What {n}?" for n in range(40)],
            "options": [["this", "that"]] * 40,
            "neither": pl.Series([None] * 40, dtype=pl.Int64),
        }
    )
    sparse = spec(orders={"prior": 0.5}, per_persona=7, readout="logprobs")
    here = context(lambda _: "A")  # who is asked for what it was never sent raises KeyError
    rows = pl.concat(sparse.make({**TABLES, "items": Table.of("items", [items])}, here))
    assert rows.filter(pl.col("persona_id") != "none").group_by("persona_id").agg(pl.col("item_id").n_unique())[
        "item_id"
    ].to_list() == [7, 7]
