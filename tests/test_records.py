"""The identity of a request, which stored answers are found by."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

from hypothesis import given
from hypothesis import strategies as st

from prefgen.records import Request

ASKED = Request("m", "v1", (("user", "A or B?"),), "logprobs", ("A", "B"), 0.0, 1.0, 16, None, 0)


def test_a_new_field_with_a_default_leaves_every_id_as_it_was():
    @dataclass(frozen=True, slots=True)
    class Later(Request):
        tools: tuple[str, ...] = ()
        image: str | None = None

    old = {each.name: getattr(ASKED, each.name) for each in fields(Request) if each.init}
    assert Later(**old).request_id == ASKED.request_id
    assert Later(**old, image="cat").request_id != ASKED.request_id


def test_the_id_is_the_same_on_every_machine_and_in_every_version():
    assert ASKED.request_id == "req-1dec1396acbdf9397d3959e6"


def test_every_field_is_part_of_the_id():
    others = {
        "model": "n",
        "revision": None,
        "messages": (("user", "B or A?"),),
        "readout": "text",
        "choices": ("B", "A"),
        "temperature": 0.5,
        "top_p": 0.9,
        "max_tokens": 17,
        "seed": 1,
        "repeat": 1,
        "schema": "{}",
    }
    assert set(others) == {each.name for each in fields(Request) if each.init}
    ids = {replace(ASKED, **{name: value}).request_id for name, value in others.items()}
    assert len(ids | {ASKED.request_id}) == len(others) + 1


@given(st.text(max_size=9), st.text(max_size=9))
def test_what_is_said_by_whom_cannot_be_mistaken(one, other):
    apart = {
        replace(ASKED, messages=messages).request_id
        for messages in ((("user", one), ("user", other)), (("user", one + other),), (("system", one), ("user", other)))
    }
    assert len(apart) == 3


def test_the_id_is_computed_once_and_an_equal_request_is_equal():
    asked = replace(ASKED)
    assert asked.request_id is asked.request_id
    assert asked == ASKED
    assert hash(asked) == hash(ASKED)
    assert (asked.begun, replace(asked, messages=(("user", "?"), ("assistant", "Answer:"))).begun) == ("", "Answer:")
