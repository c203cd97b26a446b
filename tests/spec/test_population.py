"""Persona specs: what is read, and the letter a user gets for what cannot be."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from prefgen.errors import SpecError
from prefgen.personas.draw import draw
from prefgen.spec.attribute import level_name, parse_bin
from prefgen.spec.population import read_population

SPECS = Path(__file__).parents[2] / "persona_specs"


def written(folder: Path, text: str) -> Path:
    path = folder / "people.yaml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("path", sorted(SPECS.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_shipped_spec_is_right_and_names_its_source(path):
    population = read_population(path)
    assert population.source
    assert population.population


def test_the_seven_portraits_speak_to_you_at_a_readable_length():
    population = read_population(SPECS / "britain_seven.yaml")
    assert [portrait.share for portrait in population.portraits] == [0.13, 0.13, 0.12, 0.12, 0.17, 0.18, 0.15]
    for portrait in population.portraits:
        assert 60 <= len((portrait.text or "").split()) <= 110
        assert "You " in portrait.text
    assert "check them" in " ".join(population.source)


GOOD = "population: town\nattributes:\n  age: {young: 0.5, old: 0.5}\ntext: You are {{ age }}.\n"

WRONG = {
    "shares": (
        GOOD.replace("0.5}", "0.47}"),
        r":3: attributes\.age: shares sum to 0\.97, must sum to 1\n  fix: correct the shares or set `normalize: true`",
    ),
    "negative": (
        GOOD.replace("young: 0.5, old: 0.5", "young: 1.5, old: -0.5"),
        r":3: attributes\.age: a share is negative",
    ),
    "zero": (GOOD.replace("0.5", "0"), r":3: attributes\.age: all shares are zero"),
    "type": (GOOD.replace("young: 0.5", "young: many"), r":3: attributes\.age\.young: 'many'"),
    "template": (
        GOOD.replace("{{ age }}", "{{ agee }}"),
        r":4: text: the template names 'agee', which is no attribute\n  fix: use one of 'age'",
    ),
    "syntax": (GOOD.replace("{{ age }}", "{% if age"), r":4: text: not a template"),
    "unknown key": (GOOD + "shares: 1\n", r":5: shares: unknown key"),
    "reserved": (GOOD.replace("age", "weight"), r":3: attributes\.weight: 'weight' cannot be an attribute"),
    "table": (GOOD + "tables:\n  - {of: [age, vote], shares: {}}\n", r":6: tables\[0\]\.of: no attribute named 'vote'"),
    "no file": (GOOD + "tables:\n  - {of: [age], file: no.csv}\n", r":6: tables\[0\]\.file: no such file"),
    "two contents": (
        GOOD + "tables:\n  - {of: [age], file: no.csv, shares: {}}\n",
        r":6: tables\[0\]: a table has one content",
    ),
    "open bin": (
        GOOD.replace("{young: 0.5, old: 0.5}", "{bins: {18-64: 0.5, 65+: 0.5}}"),
        r":3: attributes\.age\.bins: '65\+' is not a range",
    ),
    "bins overlap": (
        GOOD.replace("{young: 0.5, old: 0.5}", "{bins: {18-40: 0.5, 40-90: 0.5}}"),
        r"bins must rise and not overlap",
    ),
    "nobody": ("population: town\n", r":1: a population has portraits, or attributes"),
    "no text": ("population: town\nattributes: {a: {x: 1}}\n", r"text: missing"),
    "portrait id": (
        "population: p\nportraits:\n - {id: a, share: 0.5, text: x}\n - {id: a, share: 0.5, text: y}\n",
        r":4: portraits\[1\]\.id: another portrait",
    ),
    "control id": (
        "population: p\nportraits:\n - {id: none, share: 1, text: x}\n",
        r":3: portraits\[0\]\.id: 'none' is the name of a control",
    ),
    "portrait text": (
        "population: p\nportraits:\n - {id: a, share: 1}\n",
        r":3: portraits\[0\]: this portrait has no text",
    ),
    "portrait template": (
        "population: p\nportraits:\n - {id: a, share: 1, text: '{{ job }}'}\n",
        r":3: portraits\[0\]\.text: the template names 'job'",
    ),
    "list": ("- a\n", r":1: a persona spec is a mapping"),
    "inner key": (GOOD + "document: x\n", r":5: document: unknown key"),
    "circle": (
        "population: p\ncombine: [{file: people.yaml, share: 1}]\n",
        r":2: combine\[0\]\.file: the populations combine each other in a circle",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_said_with_line_key_and_fix(case, tmp_path):
    text, sentence = WRONG[case]
    with pytest.raises(SpecError, match=sentence) as raised:
        read_population(written(tmp_path, text))
    assert all(complaint.fix for complaint in raised.value.complaints)


def test_everything_wrong_is_said_at_once(tmp_path):
    text = GOOD.replace("0.5}", "0.4}").replace("{{ age }}", "{{ x }}")
    with pytest.raises(SpecError) as raised:
        read_population(written(tmp_path, text))
    assert [complaint.line for complaint in raised.value.complaints] == [3, 4]


def test_levels_keep_the_names_that_were_written(tmp_path):
    path = written(
        tmp_path,
        "population: p\nattributes:\n  a: {18-34: 0.5, no: 0.5}\n  b: [1, 2.0, true, x]\nmicrodata: {file: people.yaml, columns: [b]}\ntext: x\n",
    )
    attributes = read_population(path).attributes
    assert attributes["a"].names == ("18-34", "no")
    assert attributes["b"].names == ("1", "2.0", "true", "x")
    assert attributes["b"].shares is None


@pytest.mark.parametrize(
    ("label", "low", "high"), [("18-29", 18, 29), ("-5 - 5", -5, 5), ("0.5 to 2", 0.5, 2), ("0-0", 0, 0)]
)
def test_a_bin_is_the_range_it_says(label, low, high):
    assert (parse_bin(label).low, parse_bin(label).high) == (low, high)


def test_level_names_are_what_yaml_would_show():
    assert [level_name(level) for level in (False, 7, 7.5, "seven")] == ["false", "7", "7.5", "seven"]


scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["18-29", "age", "{{ age }}", "{% for %}", "people.yaml", "pairs", "1e400"])
)
keys = st.sampled_from(
    [
        "population",
        "source",
        "portraits",
        "attributes",
        "tables",
        "microdata",
        "combine",
        "impossible",
        "text",
        "keep",
        "oversample",
        "normalize",
        "exact_margins",
        "id",
        "share",
        "of",
        "given",
        "file",
        "shares",
        "counts",
        "columns",
        "weight",
        "missing",
        "levels",
        "bins",
        "normal",
        "lognormal",
        "uniform",
        "mean",
        "sd",
        "min",
        "max",
        "ordered",
        "by",
        "age",
        "vote",
        "18-29",
        "document",
        "parts",
    ]
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys | st.text(max_size=4), inner, max_size=4),
    max_leaves=25,
)


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(st.dictionaries(keys, values, max_size=7), st.booleans())
def test_no_yaml_gives_a_traceback(tmp_path, data, plausible):
    if plausible:
        data = {"population": "p", "attributes": {"age": {"18-29": 0.5, "vote": 0.5}}, "text": "{{ age }}", **data}
    path = written(tmp_path, yaml.safe_dump(data, allow_unicode=True))
    try:
        draw(read_population(path), n=3, seed=1)
    except SpecError as error:
        assert str(path) in str(error)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=300) | st.text(max_size=300).map(lambda text: (GOOD + text).encode("utf-8", "replace")))
def test_no_bytes_give_a_traceback(tmp_path, content):
    path = tmp_path / "people.yaml"
    path.write_bytes(content)
    try:
        read_population(path)
    except SpecError as error:
        assert str(path) in str(error)
