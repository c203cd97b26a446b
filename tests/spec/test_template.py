"""Templates: the facts and nothing else, the same every time, and an end to whatever they do."""

from __future__ import annotations

import resource
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jinja2 import TemplateError, TemplateSyntaxError

from prefgen.errors import SpecError
from prefgen.judging.prompts import Blank, sandbox
from prefgen.publish.exports.chat import chat_template
from prefgen.spec.template import blank_of, in_words

WORDS = ["range", "dict", "cycler", "joiner", "lipsum", "namespace", "self", "loop", "items", "copy", "get"]


@pytest.mark.parametrize("name", [word for word in WORDS if word not in ("self", "loop")])
def test_a_fact_may_have_any_name(name: str) -> None:
    assert blank_of(f"You like {{{{ {name} }}}}.").filled({name: "tea"}) == "You like tea."


@pytest.mark.parametrize("name", WORDS)
def test_a_column_of_an_item_may_have_any_name(name: str) -> None:
    page = Blank(sandbox().from_string(f"{{{{ item.{name} }}}} {{{{ item['{name}'] }}}}"))
    assert page.filled({"item": {name: "tea"}}) == "tea tea"


def test_an_attribute_named_range_is_what_a_portrait_says(tmp_path: Path) -> None:
    from prefgen.personas.draw import draw
    from prefgen.spec.population import read_population

    (tmp_path / "p.yaml").write_text(
        "population: p\nsource: x\nattributes:\n  range: {wide: 0.5, narrow: 0.5}\n  dict: {yes: 1.0}\n"
        "text: You have a {{ range }} view. {{ dict }} {% for i in [1, 2] %}{{ i }}{% endfor %}\n"
    )
    texts = draw(read_population(tmp_path / "p.yaml"), n=4, seed=1)["text"].to_list()
    assert set(texts) == {"You have a wide view. yes 12", "You have a narrow view. yes 12"}


FINE = [
    ("{% for i in range(3) %}{{ i }},{% endfor %}", "0,1,2,"),
    ("{% for x in xs if x != 'b' %}{{ loop.index }}{{ x }}{{ '' if loop.last else '-' }}{% endfor %}", "1a-2c"),
    ("{% for x in xs | map('upper') %}{{ loop.length }}{{ x }}{% endfor %}", "3A3B3C"),
    ("{{ xs | map('upper') | join(' ') }} {{ xs | length }} {{ xs[0] ~ n }}", "A B C 3 a7"),
    ("{{ '%.2f %s' % (0.5, n) }} {{ '%05.1f' | format(2.25) }} {{ '{:>4}'.format(n) }}", "0.50 7 002.2    7"),
    ("{{ 'ab' * 3 }} {{ n ** 2 }} {{ n % 4 }} {{ [1] + [2] }} {{ -n }}", "ababab 49 3 [1, 2] -7"),
    (
        "{% macro m(x) %}<{{ x }}{{ caller() if caller is defined }}>{% endmacro %}{{ m(n) }}{% call m(1) %}!{% endcall %}",
        "<7><1!>",
    ),
    ("{% set s %}{{ n }}!{% endset %}{{ s }}{% filter upper %}a{{ s }}{% endfilter %}", "7!A7!"),
    ("{{ text | replace('e', 'E') | truncate(20) | wordwrap(8) }}", "asEntEncE"),
    ("{{ {'k': n}['k'] }} {{ (n, 'x') | list }} {{ none is none }} {{ missing is defined }}", "7 [7, 'x'] True False"),
    (
        "{{ xs | batch(2) | list }} {{ xs | reverse | list }} {{ xs | sum(start=0) if false }}",
        "[['a', 'b'], ['c']] ['c', 'b', 'a'] ",
    ),
    (
        "{{ 2.5 | round(1) }} {{ text | indent(2) }} {{ 'a' | center(5) }}|{{ {'a': 1} | tojson }}",
        '2.5 a sentence   a  |{"a": 1}',
    ),
    (
        "{% if n in (7, 8) %}yes{% endif %} {{ 'a' in xs }} {{ xs | first }} {{ text.split() | last }}",
        "yes True a sentence",
    ),
]
FACTS: dict[str, Any] = {"xs": ["a", "b", "c"], "n": 7, "text": "a sentence", "big": "x" * 100_000}


@pytest.mark.parametrize(("template", "text"), FINE)
def test_what_people_write_works(template: str, text: str) -> None:
    assert blank_of(template).filled(FACTS).replace("\n", "") == text


ENDLESS = [
    "{% for i in range(10**9) %}x{% endfor %}",
    "{% for i in range(100000) %}{% for j in range(100000) %}{% endfor %}{% endfor %}",
    "{% for i in range(100000) %}{% for j in range(100000) if false %}{% endfor %}{% endfor %}",
    "{% for i in range(99999) %}" + "y" * 100_000 + "{% endfor %}",
    "{% for i in range(99999) %}{{ 'abc' | center(999) }}{% endfor %}" * 2,
    "{% for i in range(99999) %}{{ big }}{% endfor %}",
    "{{ 'x' * 10**10 }}",
    "{{ [0] * 10**9 }}",
    "{{ 10**9 * 'x' }}",
    "{{ big * 1000 }}",
    "{{ 9 ** 999999999 }}",
    "{{ 9 ** 9 ** 9 ** 9 ** 9 ** 9 }}",
    "{{ '%1000000000d' % 1 }}",
    "{{ '%*d' % (1000000000, 1) }}",
    "{{ '%.1000000000f' % 1 }}",
    "{{ '%(a)999999999d' % {'a': 1} }}",
    "{{ '%1000000000d' | format(1) }}",
    "{{ '{:>1000000000}'.format(1) }}",
    "{{ '{:>{w}}'.format(1, w=10**9) }}",
    "{{ '{x:1000000000}'.format_map({'x': 1}) }}",
    "{{ 'x' | center(10**9) }}",
    "{{ 'x' | indent(10**9, true) }}",
    "{{ 'x'.ljust(10**9) }}",
    "{{ 'x'.zfill(10**9) }}",
    "{{ 'x'.center(10**9) }}",
    "{{ 'x'.expandtabs(10**9) }}",
    "{{ (5).to_bytes(10**9, 'big') }}",
    "{{ big.replace('x', big) }}",
    "{{ big | replace('', big) }}",
    "{{ big.join(big) }}",
    "{{ big | join(big) }}",
    "{{ big | list | batch(10**9, 'x') | list }}",
    "{{ big | slice(10**9) | list }}",
    "{{ 2.5 | round(10**9, 'ceil') }}",
    "{{ big | wordwrap(1, wrapstring=big) }}",
    "{{ [1] | tojson(indent=10**9) }}",
    "{{ [[1]] * 1000 | sum(start=[]) }}",
    "{% set s = 'ab' %}" + "{% set s = s ~ s %}" * 60 + "{{ s }}",
    "{% set s = 'ab' %}" + "{% set s = s + s %}" * 60 + "{{ s }}",
    "{% set s = 'ab' %}" + "{% set s = [s, s] %}" * 60 + "{{ s }}",
    "{% set s = 'ab' %}" + "{% set s = {'a': s, 'b': s} %}" * 60 + "{{ s }}",
    "{% set s = 'ab' %}" + "{% set s %}{{ s }}{{ s }}{% endset %}" * 60 + "{{ s }}",
    "{% set n = 99 %}" + "{% set n = n * n %}" * 60 + "{{ n }}",
    "{% macro m(n) %}{% if n %}{{ m(n - 1) }}{{ m(n - 1) }}{% endif %}{% endmacro %}{{ m(60) }}",
    "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
    "{% macro m(n) %}" + "z" * 50_000 + "{% if n %}{{ m(n - 1) }}{{ m(n - 1) }}{% endif %}{% endmacro %}{{ m(60) }}",
    "{% block a %}{{ self.a() }}{% endblock %}",
    "{% for x in [[1]] recursive %}{{ loop([[1]]) }}{% endfor %}",
]


@pytest.mark.parametrize("number", range(len(ENDLESS)))
def test_no_template_goes_on_for_ever_or_fills_the_memory(number: int) -> None:
    begun, before = time.monotonic(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises((TemplateError, RecursionError, OverflowError, TypeError, ValueError)) as caught:
        blank_of(ENDLESS[number]).filled(FACTS)
    assert len(in_words(caught.value)) < 300
    assert time.monotonic() - begun < 10
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 600_000  # kB


@pytest.mark.parametrize(
    "template",
    [
        "{{ lipsum() }}",
        "{{ [1, 2] | random }}",
        "{{ cycler(1) }}",
        "{{ dict(a=1) }}",
        "{{ text.upper }}",
        "{{ range }}",
        "{{ xs.append(1) }}",
        "{{ text.__class__ }}",
        "{{ xs.pop }}",
        "{% include 'persona.jinja' %}",
    ],
)
def test_nothing_but_the_facts_and_range_is_there(template: str) -> None:
    with pytest.raises(Exception) as caught:  # noqa: PT011 - Jinja has many
        blank_of(template).filled(FACTS)
    assert "0x" not in in_words(caught.value)


@pytest.mark.parametrize(
    "template",
    [
        "{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}",
        "{{ " + "[" * 400 + "]" * 400 + " }}",
        "{{ " + "9" * 9000 + " }}",
        "{% if 1 %}" * 400 + "{% endif %}" * 400,
        "{% for i in [1] %}" * 40 + "{% endfor %}" * 40,
        "{{ " + "not " * 3000 + "1 }}",
        "{{ a" + ".b" * 9000 + " }}",
        "{{ 1" + " + 1" * 9000 + " }}",
        "{{",
        "{% bogus %}",
        "{{ x | nosuch }}",
        "x" * 300_000,
    ],
    ids=range(12),
)
def test_what_does_not_compile_is_a_syntax_error(template: str) -> None:
    with pytest.raises(TemplateSyntaxError):
        blank_of(template)


def test_the_next_filling_begins_anew() -> None:
    blank = blank_of("{% for x in xs %}{{ x }}{% endfor %}")
    for _ in range(30):
        assert len(blank.filled({"xs": ["y"] * 100_000})) == 100_000


def test_a_chat_template_has_what_tokenizers_give_it(tmp_path: Path) -> None:
    (tmp_path / "t.jinja").write_text(
        "{% set ns = namespace(n=0) %}{% for m in messages %}{% set ns.n = ns.n + 1 %}{% if ns.n > 9 %}{% break %}{% endif %}"
        "{{ m['role'] }}:{{ m.content | trim }};{% endfor %}{{ bos_token }}{% if not messages %}{{ raise_exception('none') }}{% endif %}"
    )
    render = chat_template(str(tmp_path / "t.jinja"))
    assert render([{"role": "user", "content": " hi "}] * 2, False) == "user:hi;user:hi;"
    with pytest.raises(Exception, match="none"):
        render([], False)


PIECES = [
    "{{",
    "}}",
    "{%",
    "%}",
    " for ",
    " in ",
    "x",
    "xs",
    "range",
    "(",
    ")",
    "9",
    "*",
    "**",
    "~",
    "+",
    "|",
    "join",
    "center",
    "'a'",
    ",",
    " if ",
    "endif",
    "endfor",
    " set ",
    "=",
    "macro m()",
    "endmacro",
    "m()",
    ".",
    "format",
    "[",
    "]",
    "%",
    "'%9999d'",
    "text",
]


@settings(max_examples=300, deadline=None)
@given(pieces=st.lists(st.sampled_from(PIECES), max_size=25))
def test_whatever_is_written_ends(pieces: list[str]) -> None:
    begun = time.monotonic()
    try:
        blank_of("{{ " + " ".join(pieces)).filled(FACTS)
    except Exception as error:
        assert len(in_words(error)) < 300
    assert time.monotonic() - begun < 5


def test_a_template_that_does_not_end_is_a_complaint_at_its_line(tmp_path: Path) -> None:
    from prefgen.flow.pipeline import load
    from prefgen.flow.plan import make_plan

    (tmp_path / "p.yaml").write_text(
        "name: t\nmodels: {j: {engine: embedded}}\nsteps:\n  t:\n    table: [{a: 1}, {a: 2}]\n    set:\n"
        '      b: "{% for i in range(10**9) %}x{% endfor %}"\n'
    )
    with pytest.raises(SpecError, match=r"p\.yaml:7: steps\.t\.set\.b: ") as caught:
        make_plan(load(tmp_path / "p.yaml"))
    assert "fix: " in str(caught.value)
