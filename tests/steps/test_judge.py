"""The judge step: everyone sees everything in every order, and what they said ends in the right row."""

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prefgen.errors import SpecError
from prefgen.records import Request, Response
from prefgen.steps import judge
from prefgen.store.table import Table
from tests.judging.made import ITEMS
from tests.steps.asking import PEOPLE, Answering, context

TABLES = {"people": Table.of("people", [PEOPLE]), "items": Table.of("items", [ITEMS])}


def spec(**facts: object) -> judge.Spec:
    return judge.Spec.model_validate(
        {"judge": "pick", "items": "items", "as": "people", "model": "m", "readout": "text", **facts}
    )


def slot_of(request: Request, words: str) -> str:
    page = request.messages[-2][1]
    return next(line[0] for line in page.splitlines() if line.endswith(words))


def test_a_judge_who_likes_an_option_prefers_it_in_either_slot() -> None:
    here = context(lambda request: slot_of(request, " that" if "What?" in request.messages[-2][1] else " she"))
    rows = pl.concat(judge.make(spec(), TABLES, here))
    assert rows.height == 3 * 2 * 2
    assert set(rows.filter(item_id="i")["choice"]) == {"B"}
    assert set(rows.filter(item_id="j")["choice"]) == {"A"}
    assert rows["order_agreement"].all()
    assert here.summary["position_bias"] == 0.0


def test_a_judge_who_sees_only_slots_shows_as_position_bias() -> None:
    here = context(lambda _: "A")
    rows = pl.concat(judge.make(spec(), TABLES, here))
    assert not rows["order_agreement"].any()
    assert here.summary["position_bias"] == 1.0
    assert here.summary["first_slot_share"] == 1.0


def test_no_persona_gets_the_answer_of_another() -> None:
    def by_name(request: Request) -> str:
        return "A" if any("Ann" in text for _, text in request.messages) else "B"

    rows = pl.concat(judge.make(spec(orders=["given"]), TABLES, context(by_name)))
    assert dict(rows.select("persona_id", "choice").iter_rows()) == {"ann": "A", "bob": "B", "none": "B"}


def test_the_no_persona_control_has_no_system_message() -> None:
    here = context()
    list(judge.make(spec(), TABLES, here))
    assert isinstance(here.ask, Answering)
    systems = [request for request in here.ask.asked if request.messages[0][0] == "system"]
    assert len(here.ask.asked) - len(systems) == 2 * 2
    assert all("You are" in request.messages[0][1] for request in systems)


def test_every_repeat_is_asked_for_itself() -> None:
    here = context()
    rows = pl.concat(judge.make(spec(repeats=3), TABLES, here))
    assert rows["request_id"].n_unique() == rows.height == 3 * 2 * 2 * 3
    assert rows["judgment_id"].n_unique() == rows.height


@pytest.mark.parametrize(
    ("said", "status", "choice", "reason"),
    [
        ("C", "na", "C", None),
        ("I cannot choose.", "refusal", None, "refusal"),
        ("whatever", "unparsed", None, "unparsed"),
        ("They are equally good", "tie", None, None),
        (Response("", failure="HTTP 400: no"), "failed", None, "failed"),
    ],
)
def test_non_answers_end_as_rows_that_say_what_they_are(
    said: str | Response, status: str, choice: str | None, reason: str | None
) -> None:
    rows = pl.concat(judge.make(spec(), TABLES, context(lambda _: said)))
    assert rows.height == 12
    assert set(rows["status"]) == {status}
    assert set(rows["choice"]) == {choice}
    assert set(rows["reject_reason"]) == {reason}


def test_the_failed_row_keeps_the_servers_words() -> None:
    rows = pl.concat(judge.make(spec(), TABLES, context(lambda _: Response("", failure="HTTP 400: too rude"))))
    assert set(rows["failure"]) == {"HTTP 400: too rude"}


@settings(max_examples=25, deadline=None)
@given(
    orders=st.lists(st.sampled_from(["given", "swapped", "cyclic"]), min_size=1, max_size=3),
    repeats=st.integers(1, 3),
    readout=st.sampled_from(["logprobs", "text", "certainty", "reason"]),
)
def test_a_forecast_is_exactly_what_is_then_made_and_asked(orders: list[str], repeats: int, readout: str) -> None:
    here = context(lambda _: "Answer: A")
    asked = spec(orders=orders, repeats=repeats, readout=readout)
    forecast = judge.foresee(asked, TABLES, here)
    frames = list(judge.make(asked, TABLES, here))
    assert isinstance(here.ask, Answering)
    assert forecast.rows == sum(frame.height for frame in frames)
    assert forecast.requests == len({request.request_id for request in here.ask.asked})
    assert forecast.empty.schema == frames[0].schema


def test_people_who_are_the_same_are_asked_once() -> None:
    twins = {**TABLES, "people": Table.of("people", [PEOPLE.with_columns(text=pl.lit("You are a twin."))])}
    assert judge.foresee(spec(), twins, context()).requests == 4


def test_ones_own_page_may_use_the_items_columns_and_nothing_else(tmp_path: object) -> None:
    from pathlib import Path

    page = Path(str(tmp_path)) / "page.jinja"
    page.write_text("{{ item.prompt }} {% for slot, text in options %}[{{ slot }}] {{ text }} {% endfor %}")
    here = context()
    list(judge.make(spec(template=str(page)), TABLES, here))
    assert isinstance(here.ask, Answering)
    assert here.ask.asked[0].messages[1][1] == "What? [A] this [B] that [C] neither"
    for wrong in ("{{ item.secret }}", "{{ ''.__class__.__mro__ }}", "{% if %}", "{{ 1 / 0 }}"):
        page.write_text(wrong)
        with pytest.raises(SpecError, match=r"steps\.s\.template"):
            judge.foresee(spec(template=str(page)), TABLES, context())


def test_a_limit_draws_evenly_and_a_smaller_one_takes_some_of_the_same() -> None:
    assert judge.foresee(spec(), TABLES, context(limit=1)).rows == 3 * 2
    items = pl.DataFrame({"item_id": [f"i{n}" for n in range(1000)], "n": range(1000)})
    some, more = (context(limit=limit).preview(items)["n"].to_list() for limit in (50, 200))
    assert len(some) == 50
    assert some == sorted(some)
    assert set(some) < set(more)
    assert 300 < sum(more) / 200 < 700
    assert context(limit=5000).preview(items).equals(items)


def test_parts_never_cut_through_one_persona_and_item(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judge, "PART_ROWS", 3)
    frames = list(judge.make(spec(), TABLES, context()))
    assert len(frames) > 1
    groups = [set(frame.select("persona_id", "item_id").iter_rows()) for frame in frames]
    assert sum(map(len, groups)) == len(set.union(*groups)) == 6
    assert all(frame["n_presentations"].eq(2).all() for frame in frames)
