"""Survey files as they come: codes keep their zeros, missing values are nobody, odd rows are said."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefgen.errors import SpecError
from prefgen.personas.draw import draw, draw_audited
from prefgen.personas.levels import MISSING_MARKS, missing_codes, number_of, oddities
from prefgen.screen.audit import audit_lines
from prefgen.spec.population import read_population
from tests.personas.specs import population


def town(folder, text, *, columns=("region", "vote"), attributes=None, tables=None, **microdata):
    (folder / "survey.csv").write_bytes(text.encode() if isinstance(text, str) else text)
    keys = {"attributes": attributes} if attributes else {}
    data = {"file": "survey.csv", "columns": list(columns), **microdata}
    return population(folder, microdata=data, **keys)


def levels(spec, name, n=60):
    return set(draw(spec, n=n, seed=1)[name].to_list())


CODES = "region,vote\n01,TRUE\n1,true\n1e3,yes\n1000,yes\n007,no\n"


def test_values_stay_what_was_written(tmp_path):
    spec = town(tmp_path, CODES)
    assert levels(spec, "region") == {"01", "1", "1e3", "1000", "007"}
    assert levels(spec, "vote") == {"TRUE", "true", "yes", "no"}


def test_a_level_has_one_name_in_list_table_and_survey(tmp_path):
    (tmp_path / "t.csv").write_text("region,share\n01,0.5\n02,0.3\n1e3,0.2\n")
    (tmp_path / "people.yaml").write_text(
        "population: town\nattributes: {region: [01, 02, 1e3], flag: {levels: [TRUE, .5]}}\n"
        "tables: [{of: [region], file: t.csv}, {of: [flag], shares: {TRUE: 0.4, .5: 0.6}}]\n"
        "impossible: [{region: 01, flag: TRUE}]\ntext: x\n"
    )
    spec = read_population(tmp_path / "people.yaml")
    assert spec.impossible_levels(0) == {"region": ("01",), "flag": ("TRUE",)}
    people = draw(spec, n=100, seed=1)
    assert set(people["region"]) == {"01", "02", "1e3"}
    assert people.filter(region="01", flag="TRUE").is_empty()


def test_numbers_are_ordered_and_codes_with_zeros_are_not(tmp_path):
    spec = town(tmp_path, "region,vote\n" + "10,03\n9,11\n2,03\n" * 4)
    people = draw_audited(spec, n=12, seed=1)
    by = {margin.attribute: margin.levels for margin in people.audit.margins}
    assert by["region"] == ("2", "9", "10")
    assert by["vote"] == ("03", "11")


MARKS = sorted(MISSING_MARKS - {""})


@pytest.mark.parametrize("mark", [*MARKS, *map(str.upper, MARKS), "", " "])
def test_a_missing_value_is_nobody(tmp_path, mark):
    text = f'region,vote\nnorth,left\nnorth,"{mark}"\nsouth,right\n'
    with pytest.raises(SpecError, match=r"column 'vote' has 1 missing values of 3 .*line 3") as found:
        draw(town(tmp_path, text), n=9, seed=1)
    assert "missing: drop" in str(found.value)
    assert levels(town(tmp_path, text, missing="drop"), "vote") == {"left", "right"}
    assert levels(town(tmp_path, text, missing="level"), "vote") == {"left", "right", "missing"}


def test_a_level_that_the_spec_names_is_no_missing_value_and_is_said(tmp_path):
    text = "region,vote\nNA,left\nZA,right\nZA,left\n"
    drawn = draw_audited(town(tmp_path, text, attributes={"region": ["NA", "ZA"]}), n=30, seed=1)
    assert set(drawn.people["region"]) == {"NA", "ZA"}
    assert any("'NA' looks like a missing value" in note for note in drawn.audit.fit.notes)


def test_codes_of_missing_values_are_declared_for_all_or_by_attribute(tmp_path):
    text = "region,vote\n1,-99\n2,5\n98,4\n3,refused\n1,4\n"
    wide = town(tmp_path, text, na=[-99, 98, "refused"], missing="drop")
    assert levels(wide, "region") == {1, 2}
    assert levels(wide, "vote") == {4, 5}
    narrow = town(tmp_path, text, na={"vote": [-99, "refused"]}, missing="drop")
    assert levels(narrow, "region") == {1, 2, 98}
    with pytest.raises(SpecError, match=r"microdata\.na\.party: no column named 'party'"):
        town(tmp_path, text, na={"party": [1]})


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ((34, 51, -99), "-99"),
        ((34, 51, -9), "-9"),
        ((1200, 900, 99999), "99999"),
        ((34, 51, 999), "999"),
        ((34, 51, -7), "-7"),
    ],
)
def test_an_undeclared_code_is_refused_with_the_key_that_declares_it(tmp_path, values, code):
    text = "region,vote\n" + "".join(f"{value},left\n" for value in values)
    with pytest.raises(SpecError, match=rf"(?s)'region' has '{code}'.*na: \[{code}\]"):
        draw(town(tmp_path, text), n=9, seed=1)


@given(st.lists(st.integers(-1, 120).map(str), min_size=1, max_size=20, unique=True))
def test_ages_and_scales_are_no_codes(values):
    assert missing_codes(values) == []


def test_codes_get_their_labels(tmp_path):
    text = "region,vote\n1,01\n2,02\n3,01\n1,02\n"
    labels = {"region": {"1": "north", "2": "south", "3": "south"}}
    spec = town(tmp_path, text, labels=labels)
    assert levels(spec, "region") == {"north", "south"}
    with pytest.raises(SpecError, match=r"microdata\.labels\.region: no label for '3' \(line 4 of survey\.csv\)"):
        draw(town(tmp_path, text, labels={"region": {"1": "north", "2": "south"}}), n=9, seed=1)
    with pytest.raises(SpecError, match=r"microdata\.labels\.party: no column named 'party'"):
        town(tmp_path, text, labels={"party": {"1": "x"}})


def test_rows_of_a_survey_platform_are_refused(tmp_path):
    text = 'region,vote\nWhere do you live?,How did you vote?\n"{""ImportId"":""QID1""}","{""ImportId"":""QID2""}"\nnorth,left\n'
    with pytest.raises(SpecError, match=r"survey\.csv:3: region: a row of the survey platform") as found:
        draw(town(tmp_path, text), n=9, seed=1)
    assert "question texts" in str(found.value)


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("Total,left", "a row of totals"),
        ("(years),left", "a row of units"),
        ("Where do you live?,left", "the text of a question"),
        ("don't know,left", "a missing value"),
    ],
)
def test_levels_that_look_unlike_the_others_are_said_with_their_line(tmp_path, row, words):
    text = "region,vote\n" + "north,left\nsouth,right\n" * 5 + row + "\n"
    drawn = draw_audited(town(tmp_path, text), n=22, seed=1).audit
    assert any(words in note and "line 12" in note for note in drawn.fit.notes)
    assert any(words in line for line in audit_lines(drawn.to_json()))


def test_levels_found_are_told_the_rarest_first(tmp_path):
    text = "region,vote\n" + "north,left\n" * 5 + "south,right\n" * 2 + "isle,left\n"
    lines = list(audit_lines(draw_audited(town(tmp_path, text), n=8, seed=1).audit.to_json()))
    assert "levels of region (respondents): 'isle' 1, 'south' 2, 'north' 5" in lines


def test_a_word_among_numbers_and_a_code_above_them_are_odd():
    assert dict(oddities({"34": 5, "51": 4, "63": 3, "pensioner": 1})) == {"pensioner": "no number, as the others are"}
    assert dict(oddities({"1": 5, "2": 4, "9": 3})) == {"9": "a code of a missing value"}
    assert dict(oddities({"34": 5, "51": 4, "99": 1})) == {}
    assert dict(oddities({"-1": 5, "0": 4, "1": 3})) == {}


@pytest.mark.parametrize(
    ("weight", "fix"),
    [
        ("", "give every row a number"),
        ("NA", "give every row a number"),
        ('"0,8"', "decimal point: 0.8"),
        (" 0.8", "spaces"),
        ('"1,204.5"', "thousands"),
        ("inf", "plain number"),
        ("1_000", "plain number"),
        ("heavy", "plain number"),
    ],
)
def test_a_weight_that_is_no_number_is_refused_with_its_line(tmp_path, weight, fix):
    text = f"region,vote,w\nnorth,left,1\nsouth,right,{weight}\n"
    with pytest.raises(SpecError, match=r"survey\.csv:3: w: .* is no number") as found:
        draw(town(tmp_path, text, weight="w"), n=9, seed=1)
    assert fix in str(found.value)


@pytest.mark.parametrize(
    ("weights", "left"),
    [
        ((0, 1, 2, 0), 33),
        ((0, 0, 2, 1), 0),
        ((1e-320,) * 2 + (1e-320,) * 2, 50),
        (("1.2E+03", 0, "8.0E+02", 0), 60),
    ],
)
def test_weights_as_surveys_ship_them(tmp_path, weights, left):
    people = zip(("left", "left", "right", "right"), ("young", "old", "young", "old"), weights, strict=True)
    text = "vote,region,w\n" + "".join(f"{vote},{region},{weight}\n" for vote, region, weight in people)
    drawn = draw(town(tmp_path, text, weight="w"), n=100, seed=0)
    assert drawn.filter(vote="left").height == left


@pytest.mark.parametrize("weights", [("0", "0"), ("-0.2", "1.2"), ("1e308", "1e308")])
def test_weights_that_cannot_be_are_refused(tmp_path, weights):
    text = "vote,region,w\n" + "".join(f"left,north,{weight}\n" for weight in weights)
    with pytest.raises(SpecError, match=r"microdata\.weight: column 'w' has"):
        draw(town(tmp_path, text, weight="w"), n=9, seed=0)


@pytest.mark.parametrize(
    "content",
    [
        "region;vote\nnorth;left\nsouth;right\n",
        "region\tvote\nnorth\tleft\nsouth\tright\n",
        "region, vote\nnorth, left\nsouth, right\n",
        "\ufeffregion,vote\r\nnorth,left\r\nsouth,right\r\n\r\n",
        "region\tvote\nnorth\tleft\nsouth\tright\n".encode("utf-16"),
        "region ,vote\n north,left \nsouth,right\n",
    ],
)
def test_dialects_of_survey_files_are_read_right(tmp_path, content):
    spec = town(tmp_path, content)
    assert levels(spec, "region") == {"north", "south"}
    assert levels(spec, "vote") == {"left", "right"}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("Region,Vote\nnorth,left\n", "has no column 'region'.*'Region'"),
        ("region,vote\nnorth,left,x\n", "survey.csv:2: 3 fields"),
        ("region,vote,vote\nnorth,left,right\n", "survey.csv:1: columns 2, 3 are all called 'vote'"),
        ("region,vote\n", "a header, but no row"),
        ("", "the file is empty"),
        ("region,vote\nS\xe3o,left\n".encode("latin-1"), "not UTF-8"),
    ],
)
def test_files_that_cannot_be_read_right_are_refused(tmp_path, content, words):
    with pytest.raises(SpecError) as found:
        draw(town(tmp_path, content), n=9, seed=0)
    assert re.search(words, str(found.value), re.DOTALL)


def test_numbers_are_read_strictly():
    assert [number_of(text) for text in ("1", "-0.5", ".5", "1e3", "1.", "+2")] == [1, -0.5, 0.5, 1000, 1, 2]
    assert [number_of(text) for text in ("", "1_000", "nan", "inf", "0x10", "1,5", " 1", "١")] == [None] * 8
