"""Recipes that ask nobody: what they make against brute force, on their own rows and on those of real people."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from typing import Any

import numpy as np
import polars as pl
import pytest
import yaml

import prefgen
from tests.language.conftest import RECIPES, Recipe, recipe_file

NUMBERS = sorted(path.name.split("_")[0] for path in RECIPES.glob("*.yaml"))
QUALITIES = ("brief", "kind", "thorough", "playful")


@pytest.mark.parametrize("name", NUMBERS)
def test_every_recipe_is_planned_without_a_complaint(name: str) -> None:
    plan = prefgen.plan(prefgen.load(recipe_file(name)))
    assert plan.steps[0].rows


@pytest.mark.parametrize("name", NUMBERS)
def test_a_recipe_names_files_of_its_own_only(name: str) -> None:
    path = recipe_file(name)
    files = [part for part in _strings(yaml.safe_load(path.read_text("utf-8"))) if part.startswith("inputs/")]
    assert files
    assert all(part.startswith(f"inputs/{name}/") and (RECIPES / part).is_file() for part in files)
    unused = {str(file.relative_to(RECIPES)) for file in (RECIPES / "inputs" / name).iterdir()} - set(files)
    assert not unused


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    for one in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _strings(one)


def test_levels_are_those_of_the_log(recipe: Recipe) -> None:
    done = recipe("s002")
    log: dict[tuple[str, str], set[str]] = {}
    for shopper, product, _, action in pl.read_csv(RECIPES / "inputs/s002/events.csv").iter_rows():
        log.setdefault((shopper, product), set()).add(action)
    ladder = ({"view"}, {"view", "cart"}, {"view", "cart", "buy"})
    expected = {both: ladder.index(did) for both, did in log.items() if did in ladder}
    data = done.data("ordinal")
    assert {
        (who, what): level for who, what, level in data.select("shopper", "product", "level").iter_rows()
    } == expected
    assert len(log) - len(expected) == 2  # the anvil was bought and put into a cart unseen
    assert data.filter(split="train")["day"].max() < 24 <= data.filter(split="test")["day"].min()
    thresholds = done.data("thresholds")
    assert (thresholds["saw"] >= thresholds["carted"]).all()
    assert (thresholds["carted"] >= thresholds["bought"]).all()


def test_weights_decide_who_prefers_what(recipe: Recipe) -> None:
    done = recipe("s005")
    users, answers = done.table("users"), done.table("answers")
    z = answers.select((pl.col(QUALITIES) - pl.col(QUALITIES).mean()) / pl.col(QUALITIES).std()).to_numpy()
    utility = users.select(QUALITIES).to_numpy() @ z.T
    row_of = {name: row for row, name in enumerate(users["persona_id"])}
    place = {name: row for row, name in enumerate(answers["candidate_id"])}
    question = answers["item_id"].to_list()
    for who, best, worst in (
        done.table("pairs").select("persona_id", "chosen_candidate_id", "rejected_candidate_id").iter_rows()
    ):
        mine = {k: utility[row_of[who], k] for k in range(len(question)) if question[k] == question[place[best]]}
        assert mine[place[best]] == pytest.approx(max(mine.values()))
        assert mine[place[worst]] < max(mine.values())
    strongest = users.with_columns(heavy=pl.concat_list(QUALITIES).list.arg_max()).filter(
        pl.max_horizontal(QUALITIES) > 0.9
    )
    chosen = done.table("pairs").join(strongest, on="persona_id")
    styles = chosen["chosen_style"] == chosen["heavy"].replace_strict(dict(enumerate(QUALITIES)))
    assert styles.mean() > 0.9
    assert done.data("attr").columns[-5:-1] == list(QUALITIES)
    for config in ("dpo", "fewshot"):
        assert all("years old" not in message["content"] for row in done.data(config)["prompt"] for message in row)


def test_only_what_divides_users_is_a_pair(recipe: Recipe) -> None:
    done = recipe("s040")
    users = dict(done.table("users").select("persona_id", "follows").iter_rows())
    answers = {row["candidate_id"]: row for row in done.table("answers").iter_rows(named=True)}
    expected = set()
    for one, other in combinations(answers.values(), 2):
        if one["item_id"] != other["item_id"]:
            continue
        signs = {who: np.sign(one[follows] - other[follows]) for who, follows in users.items()}
        if {-1, 1} <= set(signs.values()):
            for who, sign in signs.items():
                best, worst = (one, other) if sign > 0 else (other, one)
                expected |= {(who, best["candidate_id"], worst["candidate_id"])} if sign else set()
    pairs = done.table("pairs").select("persona_id", "chosen_candidate_id", "rejected_candidate_id")
    assert set(pairs.iter_rows()) == expected
    assert pairs.height == len(expected) == done.data("dpo").height
    table = done.data("table")
    assert table["user"].max() < 40
    assert set(table["level"]) == {0, 1}
    for config in ("dpo", "fewshot"):
        assert "one thing counts" not in str(done.data(config)["prompt"].to_list())


def test_replies_near_the_ideal_point_are_likelier_by_the_distance(recipe: Recipe) -> None:
    done = recipe("s058")
    stances = ("adventure", "company", "thrift")
    users = {row["persona_id"]: [row[name] for name in stances] for row in done.table("users").iter_rows(named=True)}
    shown = {row["item_id"]: row for row in done.table("replies_shown").iter_rows(named=True)}
    replies = done.table("replies")
    assert replies.height == 40 * 18
    for row in replies.sample(60, seed=1).iter_rows(named=True):
        ideal, item = np.array(users[row["persona_id"]]), shown[row["item_id"]]
        points = np.array([item[f"option_on_{name}"] for name in stances]).T
        utility = -((points - ideal) ** 2).sum(axis=1)
        p = np.exp(utility) / np.exp(utility).sum()
        assert [row["p_A"], row["p_B"]] == pytest.approx(p)
        assert (row["choice"] is None) == (abs(p[0] - 0.5) < 1e-9)
    hosts = replies.filter(pl.col("persona_id").str.starts_with("hosts") & (pl.col("status") == "tie"))
    assert hosts["item_id"].n_unique() in (0, 6)  # they do not mind adventure


def test_loops_go_round(recipe: Recipe) -> None:
    done = recipe("s064")
    loops = done.table("loops")
    assert loops.height == 3 * loops["loop_id"].n_unique() > 0
    for _, loop in loops.group_by("loop_id"):
        assert loop["attribute"].n_unique() == 3
        assert set(loop["chosen_candidate_id"]) == set(loop["rejected_candidate_id"])
    parts = done.data("loops")
    assert parts.group_by("loop_id").agg(pl.col("split").n_unique())["split"].unique().to_list() == [1]
    assert parts.group_by("prompt_id").agg(pl.col("split").n_unique())["split"].unique().to_list() == [1]
    assert {row[0]["role"] for row in done.data("dpo")["prompt"]} == {"user"}
