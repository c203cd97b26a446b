"""Templates filled many times say what they say filled once."""

from __future__ import annotations

import pytest
from jinja2 import UndefinedError
from jinja2.exceptions import SecurityError

from prefgen.judging.prompts import Blank, as_sent, sandbox

TEMPLATES = [
    "plain",
    "{{ a }} and {{ b | upper }}",
    "{% set c = a ~ b %}{{ c }}{% if a == 'x' %}{% set d = 1 %}{% endif %}{{ d is defined }}",
    "{% for i in range(2) %}{{ loop.index }}{{ a }}{% endfor %}",
    "{% macro m(z) %}[{{ z }}]{% endmacro %}{{ m(a) }}{{ m(b) }}",
    "{% block one %}{{ a }}{% endblock %}{{ self.one() }}",
]
FACTS = [{"a": "x", "b": "y"}, {"a": "y", "b": "<é>"}, {"a": "x", "b": "z"}]


@pytest.mark.parametrize("text", TEMPLATES)
def test_a_blank_filled_again_says_what_a_fresh_one_says(text):
    blank = Blank(sandbox().from_string(text))
    for facts in FACTS:
        assert blank.filled(facts) == Blank(sandbox().from_string(text)).filled(facts)
        assert blank.filled(facts) == sandbox().from_string(text, globals={"range": range}).render(facts)


def test_nothing_of_an_earlier_filling_is_left():
    blank = Blank(sandbox().from_string("{% if a %}{% set b = a %}{% endif %}{{ b }}"))
    assert blank.filled({"a": "x", "b": "y"}) == "x"
    assert blank.filled({"a": "", "b": "y"}) == "y"
    with pytest.raises(UndefinedError):
        blank.filled({"a": ""})


def test_a_template_reaches_nothing_but_its_facts():
    with pytest.raises(SecurityError):
        Blank(sandbox().from_string("{{ a.__class__.__mro__ }}")).filled({"a": "x"})


@pytest.mark.parametrize("system", [(), (("system", "You are Ann."),)])
@pytest.mark.parametrize("begun", [(), (("assistant", "Answer:"),)])
@pytest.mark.parametrize("prefill", [True, False])
@pytest.mark.parametrize("system_role", [True, False])
def test_what_a_model_is_sent_is_what_it_takes_and_loses_no_word(system, begun, prefill, system_role):
    sent = as_sent((*system, ("user", "A or B?"), *begun), prefill=prefill, system_role=system_role)
    roles = [role for role, _ in sent]
    assert roles == ["system"] * (bool(system) and system_role) + ["user"] + ["assistant"] * (bool(begun) and prefill)
    words = "\n\n".join(text for role, text in sent if role != "assistant")
    assert words == "\n\n".join(text for _, text in (*system, ("user", "A or B?")))
