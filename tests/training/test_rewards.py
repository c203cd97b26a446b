"""Preferences that depend on who someone is: against scikit-learn, on planted people, and where there is nothing to find."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import orjson
import pytest
import yaml

import prefgen
from prefgen.errors import UsageError
from prefgen.training.rewards import Choices, compare, fit, probabilities, read_choices

OPTIONS, PAIRS = 4, 6


def planted(people: int, effect: float, *, seed: int) -> tuple[Choices, Choices]:
    """Two groups; `effect` moves the first option up for one of them and down for the other."""
    rng = np.random.default_rng(seed)
    group = rng.integers(0, 2, people)
    base = np.array([0.8, 0.3, 0.0, -0.5])
    pairs = [(a, b) for a in range(OPTIONS) for b in range(a)]
    x, z, who, item = [], [], [], []
    for person in range(people):
        utility = base + effect * np.array([1, 0, 0, -1]) * (1 if group[person] else -1)
        for number, (a, b) in enumerate(pairs):
            first = rng.random() < 1 / (1 + np.exp(utility[b] - utility[a]))
            chosen, rejected = (a, b) if first else (b, a)
            x.append(np.eye(2)[group[person]])
            z.append(np.eye(OPTIONS)[chosen] - np.eye(OPTIONS)[rejected])
            who.append(person)
            item.append(number)
    every = Choices(np.array(x), np.array(z), np.array(who), np.array(item))
    of_train = every.who < people * 2 // 3
    return every.of(of_train), every.of(~of_train)


def test_weights_are_those_of_scikit_learn() -> None:
    from sklearn.linear_model import LogisticRegression

    train, _ = planted(60, 0.5, seed=1)
    penalty = 2.0
    mine = probabilities(fit(train, penalty), train)
    given = np.hstack([np.ones((len(train.x), 1)), train.x])
    scale = np.sqrt([1 / 1000, 1, 1])  # its penalty is the same for all, so the columns are scaled instead
    design = ((given / scale)[:, :, None] * train.z[:, None, :]).reshape(len(given), -1)
    both, label = np.vstack([design, -design]), np.r_[np.ones(len(design)), np.zeros(len(design))]
    theirs = LogisticRegression(C=1 / (2 * penalty), fit_intercept=False, tol=1e-10, max_iter=10_000)
    p = theirs.fit(both, label).predict_proba(design)[:, 1]  # every row twice, mirrored: twice the likelihood
    np.testing.assert_allclose(mine, p, atol=1e-4)


def test_who_someone_is_helps_where_it_was_planted() -> None:
    majority, nobody, person = compare(*planted(300, 1.2, seed=2), seed=0)
    assert (majority.model, nobody.model, person.model) == ("majority", "no person", "person")
    assert person.gain.low is not None
    assert person.gain.low > 0.03
    assert person.log_loss < nobody.log_loss - 0.05
    assert nobody.gain.value == 0


def test_nothing_is_found_where_there_is_nothing() -> None:
    gains = [compare(*planted(200, 0.0, seed=seed), seed=0)[2].gain for seed in range(12)]
    assert sum(one.low is not None and one.low > 0 for one in gains) <= 1
    assert abs(np.mean([one.value for one in gains])) < 0.02


def test_people_of_a_run(tmp_path: Path) -> None:
    questions = [{"item_id": "q", "prompt": "Which?", "options": ["tea", "coffee"]}]
    votes = [
        {"persona_id": f"p{k:02d}", "item_id": "q", "said": "tea" if k % 2 else "coffee", "town": "Y" if k % 2 else "X"}
        for k in range(60)
    ]
    for name, rows in (("questions", questions), ("votes", votes)):
        (tmp_path / f"{name}.jsonl").write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
    steps = {
        "questions": {"table": "questions.jsonl"},
        "votes": {"table": "votes.jsonl"},
        "people": {"people": "votes", "text": "You live in {{ town }}."},
        "said": {"judge": "pick", "items": ["votes", "questions"], "given": "said"},
        "pairs": {"pair": "chosen_vs_other", "from": "said"},
        "parts": {"split": "pairs", "by": ["persona"], "test": 0.3},
    }
    spec = {"name": "votes", "steps": steps, "publish": {"exports": [{"dpo": {"context": "none"}}]}}
    (tmp_path / "p.yaml").write_text(yaml.safe_dump(spec, sort_keys=False))
    run = prefgen.run(tmp_path / "p.yaml", out=tmp_path / "run", report=False, progress=False).path
    card = (run / "README.md").read_text()
    assert "No question is held out" in card
    assert "0 questions that are held out" not in card
    train, test = read_choices(run, ["town"])
    assert len(train.who) + len(test.who) == 60
    _, nobody, person = compare(train, test, seed=0)
    assert person.accuracy.value == 1.0
    assert nobody.accuracy.value is not None
    assert nobody.accuracy.value < 0.8
    with pytest.raises(UsageError, match="no column 'age'"):
        read_choices(run, ["age"])


def test_choices_are_taken_row_by_row() -> None:
    train, _ = planted(9, 0.0, seed=0)
    some = train.of(train.who == 3)
    assert {len(getattr(some, one.name)) for one in dataclasses.fields(some)} == {PAIRS}
