"""`analyse:`: ranks against evalica, loops against networkx, slices and accuracy against counting, planted groups come back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from itertools import combinations
from typing import Any

import networkx as nx
import numpy as np
import polars as pl
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

import prefgen
from prefgen.analysis.asked.loops import triples
from prefgen.analysis.asked.ranks import strengths
from prefgen.analysis.asked.segments import k_means, silhouette
from prefgen.analysis.asked.slicing import largest_gap, mean_of
from prefgen.analysis.findings import find
from prefgen.errors import SpecError
from prefgen.store.findings import odd_findings
from prefgen.store.folder import RunFolder


def pairs_of(strength: Mapping[str, float], n: int, seed: int) -> pl.DataFrame:
    """Pairs whose winners are drawn by these strengths."""
    rng = np.random.default_rng(seed)
    names = list(strength)
    rows = []
    for k in range(n):
        a, b = rng.choice(names, 2, replace=False)
        wins = rng.random() < 1 / (1 + np.exp(strength[b] - strength[a]))
        rows.append({"item_id": f"q{k // 3}", "chosen_w": a if wins else b, "rejected_w": b if wins else a})
    return pl.DataFrame(rows)


def test_strengths_are_those_of_evalica() -> None:
    evalica = pytest.importorskip("evalica")
    pairs = pairs_of({"a": 1.0, "b": 0.4, "c": 0.0, "d": -1.2}, 4000, 3)
    n = pairs.height
    scores = evalica.bradley_terry(
        pairs["chosen_w"].to_list(), pairs["rejected_w"].to_list(), [evalica.Winner.X] * n
    ).scores
    theirs = {name: float(np.log(scores[name])) for name in "abcd"}
    mean = np.mean(list(theirs.values()))
    for one in strengths(pairs, "w"):
        assert one.strength.value == pytest.approx(theirs[one.value] - mean, abs=2e-3)


def test_intervals_of_strengths_hold_the_truth_and_questions_are_what_is_counted() -> None:
    truth = {"a": 0.8, "b": 0.0, "c": -0.8}
    held = [
        one.strength.low <= truth[one.value] <= one.strength.high  # type: ignore[operator]
        for seed in range(60)
        for one in strengths(pairs_of(truth, 300, seed), "w")
    ]
    assert 0.9 <= np.mean(held) <= 0.99
    once = pairs_of(truth, 300, 1)
    doubled = strengths(pl.concat([once, once]), "w")[0].strength
    single = strengths(once, "w")[0].strength
    assert doubled.high - doubled.low == pytest.approx(single.high - single.low, rel=0.01)  # type: ignore[operator]


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from("abcdef"), st.sampled_from("abcdef")).filter(lambda p: p[0] != p[1]),
        min_size=1,
        max_size=30,
    )
)
def test_loops_are_those_of_networkx(pairs: list[tuple[str, str]]) -> None:
    found = triples(pl.DataFrame(pairs, schema=["chosen_w", "rejected_w"], orient="row"), "w")
    graph = nx.DiGraph()
    for a, b in combinations("abcdef", 2):
        net = pairs.count((a, b)) - pairs.count((b, a))
        if net:
            graph.add_edge(*((a, b) if net > 0 else (b, a)))
    cycles = [one for one in nx.simple_cycles(graph, length_bound=3) if len(one) == 3]
    complete = [
        three
        for three in combinations(graph, 3)
        if all(graph.has_edge(a, b) or graph.has_edge(b, a) for a, b in combinations(three, 2))
    ]
    assert (found.cyclic, found.complete) == (len(cycles), len(complete))
    if found.example:
        a, b, c, _ = found.example.split(" > ")
        assert graph.has_edge(a, b)
        assert graph.has_edge(b, c)
        assert graph.has_edge(c, a)


def test_planted_groups_come_back() -> None:
    rng = np.random.default_rng(5)
    centres = np.array([[0, 0], [8, 0], [0, 8]])
    truth = rng.integers(3, size=90)
    points = centres[truth] + rng.normal(size=(90, 2))
    group = k_means(points, 3, np.random.default_rng(1))
    assert all(len(set(group[truth == k])) == 1 for k in range(3))
    sklearn = pytest.importorskip("sklearn.metrics")
    assert silhouette(points, group) == pytest.approx(sklearn.silhouette_score(points, group))


def test_a_gap_that_is_there_is_found_and_one_that_is_not_is_called_chance() -> None:
    rng = np.random.default_rng(2)
    rows = pl.DataFrame({"who": ["x", "y", "z"] * 200, "_unit": np.repeat(np.arange(200), 3)})
    chance = pl.Series(rng.random(600) < np.tile([0.5, 0.5, 0.8], 200))
    gap = largest_gap(rows.with_columns(_value=chance), "who", ["x", "y", "z"])
    assert gap is not None
    high, low, difference = gap
    assert high == "z"
    assert low in ("x", "y")
    assert difference.low > 0.1  # type: ignore[operator]
    assert mean_of(rows.with_columns(_value=chance).filter(who="z")).value == pytest.approx(
        chance.gather_every(3, 2).mean()
    )
    called = 0
    for seed in range(60):
        same = pl.Series(np.random.default_rng(seed).random(600) < 0.5)
        _, _, none = largest_gap(rows.with_columns(_value=same), "who", ["x", "y", "z"])  # type: ignore[misc]
        called += none.low > 0  # type: ignore[operator]
    assert called <= 7  # of 60, at 5 % 3 are expected


PEOPLE = {
    "population": "town",
    "attributes": {"age": {"young": 0.5, "old": 0.5}},
    "weights": {"dirichlet": 0.3, "over": ["brief", "kind"]},
    "text": "You are {{ age }}.",
}
ANSWERS = [
    {
        "prompt": f"Question {q}?",
        "response": f"{writer} on {q} says thing {(q * 7) % 5}",
        "writer": writer,
        "brief": brief + q % 2,
        "kind": kind,
    }
    for q in range(12)
    for writer, brief, kind in (("short", 4, 1), ("warm", 1, 4), ("dull", 0, 0))
]
STEPS: dict[str, Any] = {
    "people": {"draw": "people.yaml", "n": 20},
    "answers": {"table": "answers.jsonl"},
    "picks": {"judge": "pick", "items": "answers", "show": 2, "as": "people", "utility": "weights", "noise": 0.5},
    "clear": {
        "judge": "pick",
        "items": "picks_shown",
        "as": "people",
        "utility": "people.brief * items.brief + 0.55 * items.kind",
    },
    "pairs": {"pair": "chosen_vs_other", "from": "picks"},
    "lists": {"pack": "answers", "by": ["writer"]},
}
ANALYSES = [
    {"rank": {"from": "picks", "of": "writer", "by": ["age"]}},
    {"rank": {"name": "of pairs", "from": "pairs", "of": "writer"}},
    {"calibrate": {"from": "picks", "against": "clear"}},
    {"slices": {"from": "picks", "of": "choice = 'A'", "by": ["age"]}},
    {"slices": {"name": "how brief", "from": "answers", "of": "brief", "by": ["writer"]}},
    {"spread": {"from": "answers", "of": "response", "within": ["item_id"]}},
    {"spread": {"name": "writers", "from": "answers", "of": "writer"}},
    {"loops": {"from": "pairs", "of": "writer", "by": ["persona_id"]}},
    {"segments": {"from": "people", "over": ["brief", "kind"], "n": 2}},
]


def whole(folder: Any, analyse: Any = ANALYSES, steps: Any = STEPS) -> RunFolder:
    (folder / "people.yaml").write_text(yaml.safe_dump(PEOPLE))
    pl.DataFrame(ANSWERS).write_ndjson(folder / "answers.jsonl")
    path = folder / "p.yaml"
    said = {"name": "town", "seed": 2, "steps": steps, "analyse": analyse, "publish": {"exports": ["judgments"]}}
    path.write_text(yaml.safe_dump(said, sort_keys=False))
    prefgen.run(prefgen.load(path), folder / "run")
    return RunFolder(folder / "run")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    return whole(tmp_path_factory.mktemp("asked"))


@pytest.fixture(scope="module")
def analyses(run: RunFolder) -> dict[str, Any]:
    content = json.loads(run.findings_path.read_text())
    assert odd_findings("report.json", content) is None
    return {one["name"]: one for one in content["analyses"]}


def test_all_of_them_stand_in_the_findings_and_on_the_page(run: RunFolder, analyses: dict[str, Any]) -> None:
    assert len(analyses) == len(ANALYSES)
    assert all(one["tables"] for one in analyses.values())
    page = run.report_path.read_text()
    assert 'id="analyses"' in page
    assert all(name in page for name in analyses)
    card = run.card_path.read_text()
    assert all(f"**{name}**" in card for name, one in analyses.items() if one["said"])
    again = json.loads(json.dumps(find(run)["analyses"]))
    assert again == json.loads(run.findings_path.read_text())["analyses"]


def test_a_rank_of_judgments_is_that_of_their_pairs_and_by_attribute_that_of_some(
    run: RunFolder, analyses: dict[str, Any]
) -> None:
    overall, by_age = analyses["rank of picks"]["tables"]
    assert overall["rows"] == analyses["of pairs"]["tables"][0]["rows"]
    assert overall["rows"][-1][0] == "dull"
    people, pairs = run.table("people").read(), run.table("pairs").read()
    old = pairs.join(people.filter(age="old"), on="persona_id", how="semi")
    expected = [(one.value, one.n) for one in strengths(old, "writer")]
    assert [(row[1], row[4]) for row in by_age["rows"] if row[0] == "old"] == expected


def test_accuracy_against_gold_is_counted_and_rises_with_the_margin(run: RunFolder, analyses: dict[str, Any]) -> None:
    table, reliability = analyses["calibrate of picks"]["tables"]
    made, gold = (run.table(name).read() for name in ("picks", "clear"))
    both = made.join(gold, on=["persona_id", "item_id"], suffix="_gold").drop_nulls(["choice", "choice_gold"])
    right = (both["choice"] == both["choice_gold"]).mean()
    first = table["rows"][0]
    assert first[3]["value"] == pytest.approx(right)
    assert first[2] == 1.0
    by_margin = [row for row in table["rows"] if row[0] == "margin"]
    assert by_margin[-1][3]["value"] > by_margin[0][3]["value"]
    for _, threshold, coverage, share, n in by_margin:
        some = both.filter((pl.col("p_choice") - (1 - pl.col("p_choice"))) >= threshold - 1e-12)
        assert n == some.height
        assert coverage == pytest.approx(n / both.height)
        assert share["value"] == pytest.approx((some["choice"] == some["choice_gold"]).mean())
    assert sum(row[3] for row in reliability["rows"]) == both.height


def test_slices_and_spread_are_those_that_counting_gives(run: RunFolder, analyses: dict[str, Any]) -> None:
    answers = run.table("answers").read()
    (table,) = analyses["how brief"]["tables"]
    means = dict(answers.group_by("writer").agg(pl.col("brief").mean()).iter_rows())
    assert {row[0]: row[1]["value"] for row in table["rows"][:-1]} == pytest.approx(means)
    assert table["rows"][-1][0] == "short less dull"
    assert table["rows"][-1][1]["value"] == pytest.approx(means["short"] - means["dull"])
    texts = dict(analyses["spread of answers"]["tables"][0]["rows"])
    words = [text.lower().split() for text in answers["response"]]
    assert texts["distinct words (distinct-1)"] == len({w for text in words for w in text}) / sum(map(len, words))
    shares = [
        len(set(a) & set(b)) / len(set(a) | set(b))
        for _, group in answers.group_by("item_id")
        for a, b in combinations([text.lower().split() for text in group["response"]], 2)
    ]
    assert texts["words shared by two texts of a group"]["value"] == pytest.approx(np.mean(shares))
    how = dict(analyses["writers"]["tables"][1]["rows"])
    assert how["effective number of values"] == pytest.approx(3.0)


@pytest.mark.parametrize(
    ("analysis", "words"),
    [
        ({"rank": {"from": "picks", "of": "nothing"}}, "nothing of both sides named 'nothing'"),
        ({"rank": {"from": "nowhere", "of": "writer"}}, "no step named 'nowhere'"),
        ({"rank": {"of": "writer", "by": ["mood"]}}, "have a column 'mood'"),
        ({"slices": {"of": "age", "by": ["age"]}}, "has no mean"),
        ({"slices": {"of": "nope > 1", "by": ["age"]}}, "nope"),
        ({"calibrate": {"against": "answers"}}, "have a column 'choice'"),
        ({"calibrate": {"from": "answers", "against": "picks"}}, "has no judgments"),
        ({"segments": {"from": "answers", "by": "item_id", "over": ["response"]}}, "name columns of numbers"),
        ({"loops": {"from": "answers", "of": "writer"}}, "nothing of both sides"),
        ({"spread": {"from": "lists", "of": "packed"}}, "holds lists"),
        ({"spread": {"of": "x"}, "loops": {"of": "y"}}, "one of rank"),
    ],
)
def test_what_cannot_be_analysed_is_told_before_anything_is_asked(tmp_path: Any, analysis: Any, words: str) -> None:
    with pytest.raises(SpecError, match=words):
        whole(tmp_path, [analysis])


def test_another_question_is_answered_without_anything_made_anew(tmp_path: Any) -> None:
    first = whole(tmp_path, [{"spread": {"from": "answers", "of": "writer"}}])
    before = [part.stat().st_mtime_ns for part in first.path.rglob("tables/*/*.parquet")]
    second = whole(tmp_path, {"spread": {"from": "answers", "of": "response"}})
    assert json.loads(second.findings_path.read_text())["analyses"][0]["tables"][0]["title"] == "response"
    assert [part.stat().st_mtime_ns for part in second.path.rglob("tables/*/*.parquet")] == before
