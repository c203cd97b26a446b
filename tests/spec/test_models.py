"""Settings of models: a server's own switches, and what is refused before anything is sent."""

from __future__ import annotations

import json
from datetime import date

import pytest
from pydantic import ValidationError

from prefgen.spec.models import OpenAIModel


@pytest.mark.parametrize(
    "extra",
    [
        {"chat_template_kwargs": {"enable_thinking": False}},
        {"reasoning": {"effort": "none"}},
        {"thinking": {"type": "disabled"}},
        {"provider": {"order": ["a", "b"]}},
        {"stop": ["\n"]},
        {"logit_bias": {32: 5}},
        {"stream": False},
        {"reasoning": None},
    ],
)
def test_a_servers_own_switches_may_be_nested_and_are_part_of_the_identity(extra):
    model = OpenAIModel(engine="openai", model="m", extra_body=extra)
    assert json.loads(json.dumps(model.extra_body)) == model.extra_body
    assert model.identity not in (None, OpenAIModel(engine="openai", model="m", extra_body={"other": extra}).identity)


@pytest.mark.parametrize(
    "extra",
    [
        {"messages": []},
        {"messages": [1]},
        {"model": "n"},
        {"stream": True},
        {"a": {"b": [float("nan")]}},
        {"a": 2**70},
        {"a": date(2026, 1, 1)},
    ],
)
def test_what_cannot_be_sent_or_would_say_something_else_is_refused(extra):
    with pytest.raises(ValidationError, match="fix: "):
        OpenAIModel(engine="openai", model="m", extra_body=extra)


@pytest.mark.parametrize("url", ["http://h/v1?key=sk-secret123456", "http://h/v1#sk-secret123456"])
def test_an_address_holds_no_key(url):
    with pytest.raises(ValidationError) as refused:
        OpenAIModel(engine="openai", model="m", base_url=url)
    assert "api_key_env" in refused.value.errors()[0]["msg"]
    assert "secret" not in refused.value.errors()[0]["msg"]


def test_json_and_a_begun_answer_exclude_each_other():
    with pytest.raises(ValidationError, match="exclude each other"):
        OpenAIModel(engine="openai", model="m", prefill=True, constrain="json_schema")
