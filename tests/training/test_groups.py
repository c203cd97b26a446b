"""Real people as the target: a group answers as its people do, half of them teach and the other half judge."""

from __future__ import annotations

import collections
import json
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
import yaml

import prefgen
from prefgen.errors import UsageError
from prefgen.training.data import Aligning
from prefgen.training.groups import read_group
from tests.training import tiny

DRINKS = {"tea-coffee": ("tea", "coffee"), "tea-water": ("tea", "water"), "coffee-water": ("coffee", "water")}
TASTE = {"north": {"tea": 2.0, "coffee": 0.0, "water": 0.5}, "south": {"tea": 0.0, "coffee": 2.0, "water": 0.5}}
STEPS = {
    "questions": {"table": "questions.jsonl"},
    "votes": {"table": "votes.jsonl"},
    "people": {"people": "votes", "text": "you are {{ region }}"},
    "said": {"judge": "pick", "as": "people", "items": ["votes", "questions"], "given": "said"},
    "pairs": {"pair": "chosen_vs_other", "from": "said"},
}


def votes(people: int = 120) -> list[dict[str, str]]:
    rng = np.random.default_rng(3)
    rows = []
    for k in range(people):
        region = "north" if k % 2 else "south"
        for item, (a, b) in DRINKS.items():
            first = rng.random() < 1 / (1 + np.exp(TASTE[region][b] - TASTE[region][a]))
            rows.append({"persona_id": f"p{k}", "item_id": item, "region": region, "said": a if first else b})
    return rows


def made(folder: Path, *, by: str = "persona", text: bool = True) -> Path:
    questions = [{"item_id": item, "prompt": "which one ?", "options": [*pair]} for item, pair in DRINKS.items()]
    for name, rows in (("questions", questions), ("votes", votes())):
        (folder / f"{name}.jsonl").write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
    steps = STEPS | {"parts": {"split": "pairs", "by": [by], "test": 0.4}}
    if not text:
        steps["people"] = {"people": "votes"}
    exports = ["preferences", {"dpo": {"context": "none"}}]
    said: dict[str, Any] = {"name": "drinks", "seed": 1, "steps": steps, "publish": {"exports": exports}}
    (folder / "pipeline.yaml").write_text(yaml.safe_dump(said, sort_keys=False))
    return prefgen.run(folder / "pipeline.yaml", out=folder / "run", report=False, progress=False).path


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made(tmp_path_factory.mktemp("drinks"))


@pytest.fixture
def north(run: Path) -> Aligning:
    return read_group(run, "region", "north")


def counted(region: str, people: set[str]) -> dict[str, float]:
    """Share of the first option, by question."""
    said: dict[str, list[bool]] = collections.defaultdict(list)
    for row in votes():
        if row["persona_id"] in people and row["region"] == region:
            said[row["item_id"]].append(row["said"] == DRINKS[row["item_id"]][0])
    return {item: sum(each) / len(each) for item, each in said.items()}


def test_a_group_answers_as_its_people_do_and_nobody_is_in_both_halves(run: Path, north: Aligning) -> None:
    found = prefgen.open_run(run)
    held, taught = (set(found.data("dpo", split).collect()["persona_id"]) for split in ("test", "train"))
    assert len(held) + len(taught) == 120
    for region in ("north", "south"):
        exact = counted(region, held)
        assert {one.item_id: one.p[region][0] for one in north.questions} == pytest.approx(exact)
    assert north.learned is not None
    assert {item: p[0] for item, p in north.learned.items()} == pytest.approx(counted("north", taught))
    assert set(north.train["persona_id"]) <= taught
    assert set(north.test["persona_id"]) <= held
    assert {int(name[1:]) % 2 for side in (north.train, north.test) for name in side["persona_id"]} == {1}
    assert north.portraits == {"north": ("you are north",), "south": ()}


def test_a_group_weighs_its_pairs_by_how_alone_it_stands(north: Aligning) -> None:
    """North and south part over tea or coffee; of two groups, agreement is tier 1 and dissent tier 2."""
    weight = dict(north.train.group_by("item_id").agg("weight").iter_rows())
    assert all(len(set(each)) == 1 for each in weight.values())
    choices = {(row[2], row[0]): row[1] for row in north.choices.select("item_id", "choice", "persona_id").iter_rows()}
    alone = [item for item in DRINKS if choices["north", item] != choices["south", item]]
    assert "tea-coffee" in alone
    raw = {item: (2 if item in alone else 1) / 2 for item in DRINKS}
    shared = collections.Counter(raw.values())
    raw = {item: each / shared[each] for item, each in raw.items()}
    total = np.mean(list(raw.values()))
    assert {item: each[0] for item, each in weight.items()} == pytest.approx({item: raw[item] / total for item in raw})


def test_people_of_train_are_near_people_held_out_and_far_from_others(north: Aligning) -> None:
    pytest.importorskip("torch")
    from prefgen.training.groups import learned_answers
    from prefgen.training.measures import nearness

    found = nearness(north, learned_answers(north))
    assert found.of_target("north") < 0.02 < found.of_others("north")


def test_pairs_are_drawn_anew_with_every_seed(north: Aligning) -> None:
    first, again, other = (north.some(20, seed=seed).train for seed in (0, 0, 1))
    assert first.equals(again)
    assert not first.equals(other)
    assert first.height == other.height == 20
    assert north.some(None, seed=0) is north


@pytest.mark.parametrize(
    ("by", "target", "words"),
    [("county", "north", "no column 'county'"), ("region", "east", "no region 'east'")],
)
def test_a_group_that_is_not_there_is_a_sentence(run: Path, by: str, target: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        read_group(run, by, target)


def test_people_in_both_halves_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="people are in train and test"):
        read_group(made(tmp_path, by="item"), "region", "north")


@pytest.mark.train
def test_training_moves_a_model_to_its_group(run: Path, tmp_path: Path) -> None:
    pytest.importorskip("peft")
    from tests.training.test_command import command

    words = tiny.tokenizer(["which", "one", "?", "tea", "coffee", "water", "you", "are", "north", "south"])
    tiny.model(tmp_path, vocabulary=len(words), width=64)
    words.save_pretrained(tmp_path / "model")
    methods = [word for name in ("plain", "role-play", "people", "sft") for word in ("--method", name)]
    how = ("--epochs", 20, "--learning-rate", 1e-2, "--pairs", 60, "--model", tmp_path / "model", "--out", tmp_path)
    done = command(run, "--by", "region", "--target", "north", *methods, *how)
    assert done.returncode == 0, done.stderr[-3000:]
    found = {one["method"]: one["nearness"] for one in json.loads((tmp_path / "alignment.json").read_text())}
    assert list(found) == ["plain", "role-play", "people", "sft"]
    near = {method: one["divergence"]["north"] for method, one in found.items()}
    far = {method: one["divergence"]["south"] for method, one in found.items()}
    assert near["people"] < near["sft"] < near["plain"]
    assert far["sft"] - near["sft"] > 0.05
    assert found["sft"]["accuracy"] == found["people"]["accuracy"]  # what most of its people of `train` prefer


@pytest.mark.train
@pytest.mark.parametrize(
    ("said", "words"),
    [
        (("--target", "north", "--by", "county"), "no column 'county'"),
        (("--target", "p0", "--method", "people"), "add --by COLUMN"),
    ],
)
def test_what_cannot_be_asked_of_groups_is_a_sentence(
    run: Path, tmp_path: Path, said: tuple[object, ...], words: str
) -> None:
    pytest.importorskip("peft")
    from tests.training.test_command import command

    made_by_item = made(tmp_path, by="item") if "people" in said else run
    words_ = tiny.tokenizer(["which"])
    tiny.model(tmp_path, vocabulary=len(words_), width=16)
    words_.save_pretrained(tmp_path / "model")
    done = command(made_by_item, "--model", tmp_path / "model", *said)
    assert done.returncode == 2, done.stderr[-2000:]
    assert words in done.stderr
    assert "Traceback" not in done.stderr
