"""Raking reproduces every table it was given, keeps zeros zero, and says when that cannot be."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from prefgen.errors import SpecError
from prefgen.personas.cells import tabulate
from prefgen.personas.draw import draw, draw_audited
from prefgen.personas.fit import fitted
from prefgen.personas.targets import targets_of
from prefgen.screen.audit import audit_lines
from tests.personas.specs import AGE_BY_VOTE, AGES, VOTES, population, share

LEVELS = {"a": ["a0", "a1", "a2"], "b": ["b0", "b1"], "c": ["c0", "c1", "c2", "c3"]}


def nested(names, share):
    """An array of shares as the nested mapping of a spec."""
    if not names:
        return float(share)
    return {level: nested(names[1:], inner) for level, inner in zip(LEVELS[names[0]], share, strict=True)}


def pairs_of(joint):
    return [
        {"of": ["a", "b"], "counts": nested(["a", "b"], joint.sum(axis=2))},
        {"of": ["b", "c"], "counts": nested(["b", "c"], joint.sum(axis=0))},
        {"of": ["a", "c"], "counts": nested(["a", "c"], joint.sum(axis=1))},
    ]


joints = st.lists(st.integers(0, 50), min_size=24, max_size=24).map(
    lambda cells: np.array(cells, float).reshape(3, 2, 4)
)
in_folder = settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@in_folder
@given(joint=joints)
def test_every_pair_table_is_reproduced_and_empty_cells_stay_empty(tmp_path, joint):
    joint[0, 0, :] += 1  # every level of c, and one of a and b, has somebody
    joint[:, 1, 0] += 1
    spec = population(tmp_path, attributes=LEVELS, tables=pairs_of(joint))
    targets = targets_of(spec)
    fit = fitted(spec, targets)
    assert fit.cells.share.sum() == pytest.approx(1)
    for target in targets.tables:
        found = tabulate(fit.cells.axes, fit.cells.codes, target.names, fit.cells.share)
        assert np.abs(found - target.share).sum() / 2 < (1e-5 if fit.converged else 0.02)
        assert np.all(found[target.share == 0] == 0)


def test_raking_agrees_with_textbook_raking_of_the_whole_array(tmp_path):
    joint = np.random.default_rng(0).integers(1, 40, (3, 2, 4)).astype(float)
    spec = population(tmp_path, attributes=LEVELS, tables=pairs_of(joint))
    fit = fitted(spec, targets_of(spec))
    found = tabulate(fit.cells.axes, fit.cells.codes, ("a", "b", "c"), fit.cells.share)
    wanted, oracle = joint / joint.sum(), np.ones((3, 2, 4))
    for _ in range(300):
        for axis in range(3):
            oracle *= wanted.sum(axis=axis, keepdims=True) / oracle.sum(axis=axis, keepdims=True)
    np.testing.assert_allclose(found, oracle, atol=2e-5)


def test_a_conditional_table_rules_whatever_the_marginals_are(tmp_path):
    given_age = {
        "18-34": {"left": 0.6, "right": 0.2, "none": 0.2},
        "35-64": {"left": 0.4, "right": 0.4, "none": 0.2},
        "65-90": {"left": 0.2, "right": 0.7, "none": 0.1},
    }
    spec = population(
        tmp_path,
        attributes={"age": AGES, "vote": list(VOTES)},
        tables=[{"of": ["vote"], "given": ["age"], "shares": given_age}],
    )
    people = draw(spec, n=10_000, seed=1)
    for age, wanted in AGES.items():
        assert share(people, age=age) == pytest.approx(wanted, abs=2e-4)
        assert share(people, age=age, vote="right") / wanted == pytest.approx(given_age[age]["right"], abs=1e-3)


def test_impossible_combinations_are_nobody(tmp_path):
    spec = population(
        tmp_path,
        attributes={"age": AGES, "vote": VOTES, "home": {"rents": 0.5, "owns": 0.5}},
        impossible=[{"age": "18-34", "home": "owns"}, {"vote": ["left", "right"], "age": "65-90", "home": "rents"}],
    )
    people = draw(spec, n=3000, seed=1)
    assert people.filter(age="18-34", home="owns").is_empty()
    assert (
        people.filter(age="65-90", home="rents")
        .filter(people.filter(age="65-90", home="rents")["vote"] != "none")
        .is_empty()
    )
    for age, wanted in AGES.items():
        assert share(people, age=age) == pytest.approx(wanted, abs=1e-3)


def test_exact_margins_are_exact_and_respect_the_impossible(tmp_path):
    keys = {
        "attributes": {
            "age": AGES,
            "vote": VOTES,
            "home": {"rents": 0.5, "owns": 0.5},
            "work": {f"w{i}": 1 / 7 for i in range(7)},
        },
        "impossible": [{"age": "18-34", "home": "owns"}, {"work": ["w0", "w1"], "age": "65-90"}],
    }
    spec = population(tmp_path, exact_margins=True, **keys)
    for n in (7, 50, 333):
        drawn = draw_audited(spec, n=n, seed=n)
        assert drawn.audit.fit.short == 0
        assert drawn.people.filter(age="18-34", home="owns").is_empty()
        assert drawn.people.filter(age="65-90", work="w0").is_empty()
        for name, shares in keys["attributes"].items():
            for level, wanted in shares.items():
                assert abs(drawn.people.filter(**{name: level}).height - wanted * n) < 1 + 1e-9


def test_two_tables_that_disagree_are_named_with_by_how_much(tmp_path):
    votes = {"left": 0.30, "right": 0.50, "none": 0.20}
    spec = population(
        tmp_path, attributes={"age": AGES, "vote": votes}, tables=[{"of": ["age", "vote"], "shares": AGE_BY_VOTE}]
    )
    with pytest.raises(SpecError, match=r"vote and age x vote disagree about vote by 0\.15"):
        draw(spec, n=10, seed=1)
    loose = population(
        tmp_path,
        attributes={"age": AGES, "vote": votes},
        tables=[{"of": ["age", "vote"], "shares": AGE_BY_VOTE}],
        max_disagreement=0.3,
    )
    audit = draw_audited(loose, n=10, seed=1).audit
    assert audit.fit.disagreements == ("vote and age x vote disagree about vote by 0.1500",)
    assert not audit.fit.converged
    assert any("disagree about vote" in line for line in audit_lines(audit.to_json()))


def test_a_table_that_asks_for_the_impossible_is_refused(tmp_path):
    spec = population(
        tmp_path,
        attributes={"age": AGES, "vote": VOTES},
        tables=[{"of": ["age", "vote"], "shares": AGE_BY_VOTE}],
        impossible=[{"age": "18-34", "vote": "none"}],
    )
    with pytest.raises(
        SpecError, match=r"tables\[0\]\.shares: age x vote gives 0\.07 of the people age '18-34', vote 'none', which"
    ):
        draw(spec, n=10, seed=1)


def test_tables_without_a_common_population_are_refused(tmp_path):
    """Each pair of a, b, c is always unequal: with two levels each that cannot be."""
    two = {"a": ["0", "1"], "b": ["0", "1"], "c": ["0", "1"]}
    unequal = {"0": {"0": 0.01, "1": 0.49}, "1": {"0": 0.49, "1": 0.01}}
    tables = [{"of": list(pair), "shares": unequal} for pair in ("ab", "bc", "ac")]
    with pytest.raises(SpecError, match=r"no population has all these tables: .* misses by 0\.\d+, .* by 0\.\d+"):
        draw(population(tmp_path, attributes=two, tables=tables), n=10, seed=1)


TABLES = {
    "negative": ({"counts": {"18-34": {"left": -1}}}, r"counts\.18-34\.left: -1 cannot be a share or a count"),
    "text": ({"counts": {"18-34": {"left": "many"}}}, r"'many' is not a number"),
    "zero": ({"counts": {age: dict.fromkeys(VOTES, 0) for age in AGES}}, r"all shares are zero"),
    "sum": ({"shares": {age: dict.fromkeys(VOTES, 0.1) for age in AGES}}, r"shares sum to 0\.9, must sum to 1"),
    "level": ({"counts": {"18-35": {"left": 1}}}, r"tables\[0\]\.counts\.18-35: 'age' has no level '18-35'"),
    "flat": ({"counts": {"18-34": 1}}, r"levels of 'vote' are wanted here"),
    "absent": ({"counts": {"18-34": dict.fromkeys(VOTES, 1)}}, r"no cell for age '35-64', '65-90'"),
    "given": (
        {
            "given": ["age"],
            "of": ["vote"],
            "shares": {**dict.fromkeys(AGES, VOTES), "18-34": dict.fromkeys(VOTES, 0.3)},
        },
        r"given age '18-34': shares sum to 0\.9",
    ),
    "given zero": (
        {"given": ["age"], "of": ["vote"], "counts": {**dict.fromkeys(AGES, VOTES), "18-34": dict.fromkeys(VOTES, 0)}},
        r"given age '18-34': all shares are zero",
    ),
}


@pytest.mark.parametrize("case", TABLES)
def test_a_table_that_cannot_be_is_refused_with_its_place(case, tmp_path):
    table, sentence = TABLES[case]
    spec = population(tmp_path, attributes={"age": AGES, "vote": VOTES}, tables=[{"of": ["age", "vote"], **table}])
    with pytest.raises(SpecError, match=sentence):
        draw(spec, n=10, seed=1)


FILES = {
    "counts": (
        "age,vote,count\n" + "".join(f"{a},{v},{s * 100}\n" for a, r in AGE_BY_VOTE.items() for v, s in r.items()),
        None,
    ),
    "column": ("age,vtoe,count\n1,2,3\n", r"no column 'vote'"),
    "no value": ("age,vote,n\n1,2,3\n", r"no column 'share' or 'count'"),
    "line": (
        "age,vote,count\n18-34,left,1\n18-34,green,1\n",
        r"tables\[0\]\.file: table.csv line 3: 'vote' has no level 'green'",
    ),
    "twice": ("age,vote,count\n18-34,left,1\n18-34,left,1\n", r"line 3: 18-34 x left stands twice"),
    "number": ("age,vote,count\n18-34,left,x\n", r"line 2: 'x' is not a number"),
    "garbage": ("\x00\x01", r"table.csv:1: a header, but no row"),
    "empty": ("", r"table.csv:1: the file is empty"),
}


@pytest.mark.parametrize("case", FILES)
def test_a_table_in_a_file(case, tmp_path):
    content, sentence = FILES[case]
    (tmp_path / "table.csv").write_text(content)
    spec = population(
        tmp_path, attributes={"age": AGES, "vote": list(VOTES)}, tables=[{"of": ["age", "vote"], "file": "table.csv"}]
    )
    assert spec.inputs()[1].name == "table.csv"
    if sentence is None:
        assert share(draw(spec, n=1000, seed=1), age="18-34", vote="left") == pytest.approx(0.18, abs=0.001)
        return
    with pytest.raises(SpecError, match=sentence):
        draw(spec, n=10, seed=1)


def test_an_attribute_that_no_table_explains_is_refused(tmp_path):
    with pytest.raises(SpecError, match=r"attributes\.vote: it has levels, but no shares"):
        draw(population(tmp_path, attributes={"age": AGES, "vote": list(VOTES)}), n=10, seed=1)


@pytest.mark.parametrize("seed", range(12))
def test_tables_of_few_respondents_are_met_though_their_solution_has_more_empty_cells_than_they_say(seed, tmp_path):
    """All pairs of a small survey; the shares are those of plain fitting on the dense array, run for very long."""
    rng = np.random.default_rng(seed)
    rows, n_levels = int(rng.integers(8, 60)), int(rng.integers(2, 5))
    hidden = rng.integers(0, n_levels, rows)
    codes = [np.where(rng.random(rows) < 0.6, hidden, rng.integers(0, n_levels, rows)) for _ in range(4)]
    frame = pl.DataFrame({name: [f"l{code}" for code in column] for name, column in zip("abcd", codes, strict=True)})
    frame.write_parquet(tmp_path / "survey.parquet")
    spec = population(tmp_path, microdata={"file": "survey.parquet", "columns": list("abcd")})
    fit = fitted(spec, targets_of(spec))
    assert fit.converged
    by_name = {axis.name: (axis, code) for axis, code in zip(fit.cells.axes, fit.cells.codes, strict=True)}
    sizes = [len(by_name[name][0].levels) for name in "abcd"]
    mine = np.zeros(sizes)
    mine[tuple(by_name[name][1] for name in "abcd")] = fit.cells.share
    place = [[by_name[name][0].levels.index(level) for level in frame[name]] for name in "abcd"]
    plain = np.ones(sizes)
    pairs = list(combinations(range(4), 2))
    wanted = {
        pair: np.histogram2d(place[pair[0]], place[pair[1]], [np.arange(sizes[at] + 1) - 0.5 for at in pair])[0] / rows
        for pair in pairs
    }
    for _ in range(4000):
        for pair in pairs:
            others = tuple(at for at in range(4) if at not in pair)
            found = plain.sum(axis=others)
            factor = np.divide(wanted[pair], found, out=np.zeros_like(found), where=found > 0)
            plain *= np.expand_dims(factor, others)
    for pair in pairs:
        others = tuple(at for at in range(4) if at not in pair)
        assert np.abs(mine.sum(axis=others) - wanted[pair]).sum() / 2 < 1.1e-5
    assert np.abs(mine - plain).sum() / 2 < 0.01


def test_levels_that_nobody_has_are_fitted_and_stay_empty(tmp_path):
    spec = population(
        tmp_path,
        attributes={"a": {"x": 0.5, "y": 0.5, "z": 0.0}, "b": {"u": 1.0, "v": 0.0}},
        tables=[
            {"of": ["a", "b"], "shares": {"x": {"u": 0.5, "v": 0}, "y": {"u": 0.5, "v": 0}, "z": {"u": 0, "v": 0}}}
        ],
    )
    fit = fitted(spec, targets_of(spec))
    assert fit.converged
    people = draw(spec, n=11, seed=1)
    assert set(people["a"]) == {"x", "y"}
    assert set(people["b"]) == {"u"}


@pytest.mark.parametrize(
    ("column", "kind"), [("vote", pl.List(pl.String)), ("share", pl.Struct({"x": pl.Int64})), ("age_band", pl.Binary)]
)
def test_a_table_in_a_file_whose_columns_hold_no_levels_is_refused(tmp_path, column, kind):
    rows = pl.DataFrame({"age_band": ["18-34", "65-90"], "vote": ["left", "right"], "share": [0.5, 0.5]})
    rows.with_columns(pl.lit(None, kind).alias(column)).write_parquet(tmp_path / "t.parquet")
    attributes = {"age_band": list(AGES), "vote": list(VOTES)}
    with pytest.raises(SpecError, match=rf"column '{column}' of t\.parquet holds .*, not levels or numbers"):
        draw(
            population(tmp_path, attributes=attributes, tables=[{"of": ["age_band", "vote"], "file": "t.parquet"}]),
            n=5,
            seed=1,
        )
