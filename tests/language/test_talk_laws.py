"""Laws of conversations: conditions that are remembered, distances of texts, and that the bytes follow from the answers alone."""

from __future__ import annotations

import json
import random
from typing import Any

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from prefgen.dialogues import Call, Dialogue
from prefgen.records import Response
from prefgen.steps.talk import Talk
from prefgen.steps.talk.conditions import LiveCondition
from prefgen.steps.write.measures import edits
from prefgen.store.table import Table
from tests.steps.asking import context

COLUMNS = pl.Schema(
    {
        "want": pl.String(),
        "tags": pl.List(pl.String()),
        "person": pl.Struct({"say": pl.String(), "score": pl.Int64()}),
        "assistant": pl.Struct({"say": pl.String(), "final": pl.Boolean()}),
        "turn": pl.Int64(),
    }
)
CONDITIONS = [
    "person.score = 3",
    "assistant.final",
    "not assistant.final and turn >= 2",
    "person.score > turn or want = 'tea'",
    "strpos(person.say, want) > 0",
    "array_contains(tags, 'a')",
    "person.score is null",
    '"person".score = 1',
    "true",
]
FACTS = st.fixed_dictionaries(
    {
        "want": st.sampled_from(["tea", "jam"]) | st.none(),
        "tags": st.lists(st.sampled_from("ab"), max_size=2),
        "person": st.fixed_dictionaries(
            {"say": st.sampled_from(["tea", "no"]) | st.none(), "score": st.integers(0, 3) | st.none()}
        ),
        "assistant": st.fixed_dictionaries({"say": st.just("x"), "final": st.booleans() | st.none()}),
        "turn": st.integers(1, 3),
    }
)


@given(st.sampled_from(CONDITIONS), st.lists(FACTS, min_size=1, max_size=12))
@settings(max_examples=120, deadline=None)
def test_a_remembered_answer_is_the_one_that_sql_gives(sql: str, rows: list[dict[str, Any]]) -> None:
    condition = LiveCondition.over(sql, COLUMNS)
    said = [condition.holds(row) for row in rows]
    frame = pl.DataFrame(rows, schema=COLUMNS)
    assert said == frame.select(pl.sql_expr(sql).fill_null(value=False).alias("x").cast(pl.Boolean))["x"].to_list() * (
        len(rows) if sql == "true" else 1
    )


@given(st.lists(st.sampled_from("abc"), max_size=9), st.lists(st.sampled_from("abcd"), max_size=9))
def test_edits_are_those_of_the_textbook(one: list[str], other: list[str]) -> None:
    row = list(range(len(other) + 1))
    for place, word in enumerate(one, 1):
        before, row = row, [place]
        row += [0] * len(other)
        for at, wanted in enumerate(other, 1):
            row[at] = min(before[at] + 1, row[at - 1] + 1, before[at - 1] + (word != wanted))
    assert edits(" ".join(one), " ".join(other)) == row[-1]


STEP = {
    "talk": 3,
    "for": "rows",
    "opens": "person",
    "memory": {"by": ["group"], "see": "person.score", "last": 2},
    "sides": {
        "person": {
            "model": "m",
            "system": "{{ n }} {{ memory }}",
            "first": "Hi.",
            "reply": {"say": "text", "score": "0..9"},
        },
        "assistant": {"model": "m", "when": "turn < 3 or person.score > 4"},
    },
    "until": "person.score = 7",
}


class Shuffled:
    """Holds dialogues one call at a time, whichever comes first by chance, and answers by a rule."""

    def __init__(self, seed: int) -> None:
        self._chance = random.Random(seed)
        self.answers: dict[str, Response] = {}

    def spec(self, _: str) -> Any:
        return context().ask.spec("m")

    def drive(self, models: Any, dialogues: Any, *, planned: int) -> None:
        waiting: list[tuple[Dialogue[Any], list[Call]]] = [(one, list(next(one))) for one in dialogues]
        while waiting:
            dialogue, calls = waiting.pop(self._chance.randrange(len(waiting)))
            told = [self._answer(call) for call in calls]
            try:
                waiting.append((dialogue, list(dialogue.send(told))))
            except StopIteration:
                continue

    def _answer(self, call: Call) -> Response:
        request = call.request
        number = sum(map(ord, request.request_id)) % 10
        text = json.dumps({"say": f"S{number}", "score": number}) if request.schema else f"A{number}"
        return self.answers.setdefault(request.request_id, Response(request.request_id, text=text))

    def read(self, ids: Any) -> list[Response]:
        return [self.answers[one] for one in ids]


@given(st.integers(1, 6), st.integers(0, 1000))
@settings(max_examples=25, deadline=None)
def test_the_table_does_not_depend_on_who_answers_first(n: int, seed: int) -> None:
    rows = Table.of("rows", [pl.DataFrame({"n": list(range(n)), "group": ["ab"[k % 2] for k in range(n)]})])

    def made(seed: int) -> pl.DataFrame:
        here = context()
        object.__setattr__(here, "ask", Shuffled(seed))
        return pl.concat(Talk.model_validate(STEP).make({"rows": rows}, here))

    assert made(seed).equals(made(seed + 1))


def test_a_side_with_nothing_to_open_with_is_asked() -> None:
    step = Talk.model_validate(
        STEP
        | {
            "memory": None,
            "talk": 1,
            "sides": {**STEP["sides"], "person": {"model": "m", "first": "{{ x }}"}},
            "until": None,
        }
    )  # type: ignore[dict-item]
    step = step.model_copy(
        update={
            "sides": {
                "person": step.sides["person"],
                "assistant": step.sides["assistant"].model_copy(update={"when": None}),
            }
        }
    )
    rows = Table.of("rows", [pl.DataFrame({"x": ["Hi.", " "]})])
    made = pl.concat(step.make({"rows": rows}, context(lambda request: request.messages[-1][1].upper())))
    assert [[turn["content"] for turn in turns] for turns in made["turns"]] == [
        ["Hi.", "HI."],
        ["BEGIN THE CONVERSATION.", "BEGIN THE CONVERSATION."],
    ]
