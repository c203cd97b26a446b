"""What a calibration promises, held against simulated people whose answers are known."""

from __future__ import annotations

from collections import Counter

import numpy as np
import polars as pl
import pytest

from prefgen.analysis.calibrate import calibrate
from prefgen.analysis.calibration import gate_rows
from prefgen.analysis.survey import Question
from prefgen.analysis.verdict import ABOVE, ALIKE, ON
from prefgen.spec.calibration import CalibrationSpec

LETTERS, LEVELS = "ABC", ["more", "same", "less"]
GROUPS = ["left", "middle", "right"]


class World:
    """Three groups who answer `items` questions with known shares, and lean one way or the other in all of them."""

    def __init__(self, seed: int, items: int = 8, lean: float = 0.7) -> None:
        self.rng = np.random.default_rng(seed)
        self.lean, self.names = lean, [f"q{n}" for n in range(items)]
        self.shares = np.random.default_rng(99).dirichlet([4, 4, 4], (len(GROUPS), items))
        self.questions = [Question(name, name, tuple(zip(LETTERS, LEVELS, strict=True))) for name in self.names]

    def people(self, n: int) -> tuple[np.ndarray, np.ndarray]:
        """Group and answers of each: with probability `lean` all answers come from one draw, so they hang together."""
        group = self.rng.integers(len(GROUPS), size=n)
        own = np.where(
            self.rng.random((n, len(self.names))) < self.lean,
            self.rng.random((n, 1)),
            self.rng.random((n, len(self.names))),
        )
        edges = self.shares[group].cumsum(axis=2)
        return group, (own[:, :, None] >= edges[:, :, :-1]).sum(axis=2)

    def survey(self, n: int) -> pl.DataFrame:
        group, answers = self.people(n)
        said = {name: np.array(LEVELS)[answers[:, at]] for at, name in enumerate(self.names)}
        return pl.DataFrame({"party": np.array(GROUPS)[group], **said})

    def held(self, group: np.ndarray, p: np.ndarray, survey: pl.DataFrame, **keys):
        """The calibration of personas of these groups with these probabilities (people, items, levels)."""
        n, items = p.shape[:2]
        ids = [f"p{at}" for at in range(n)]
        flat = p.reshape(n * items, -1)
        said = pl.DataFrame(
            {
                "persona_id": np.repeat(ids, items),
                "item_id": np.tile(self.names, n),
                "choice": np.array(list(LETTERS))[flat.argmax(axis=1)],
                "p_choice": flat.max(axis=1),
                "weight": 1.0,
                **{f"p_{letter}": flat[:, at] for at, letter in enumerate(LETTERS)},
            }
        )
        nobody = pl.lit(None, dtype=pl.String)
        personas = pl.DataFrame({"persona_id": ids, "weight": 1.0, "party": np.array(GROUPS)[group]})
        personas = personas.with_columns(control=nobody, control_of=nobody)
        return calibrate(said, personas, survey, questions=self.questions, by={"party": "party"}, **keys)


def one_hot(answers: np.ndarray) -> np.ndarray:
    return np.eye(len(LEVELS))[answers]


def shifted(shares: np.ndarray, by: float) -> np.ndarray:
    """Shares that are wrong by so much: the largest gives to the smallest."""
    wrong = shares.copy()
    most, least = shares.argmax(axis=-1, keepdims=True), shares.argmin(axis=-1, keepdims=True)
    np.put_along_axis(wrong, most, np.take_along_axis(shares, most, -1) - by, -1)
    np.put_along_axis(wrong, least, np.take_along_axis(shares, least, -1) + by, -1)
    return wrong


def verdicts(make, seeds) -> Counter:
    return Counter(make(seed).found.verdict for seed in seeds)


def perfect(seed, n=48, respondents=1500):
    """A judge whose probabilities are the shares of its persona's group."""
    world = World(seed)
    group, _ = world.people(n)
    return world.held(group, world.shares[group], world.survey(respondents))


def people(seed, n=48, respondents=1500):
    """Other people of the same kind, answering for themselves."""
    world = World(seed)
    group, answers = world.people(n)
    return world.held(group, one_hot(answers), world.survey(respondents))


def wrong(seed, n=1000, respondents=1500, by=0.05, voting=False):
    world = World(seed)
    group, _ = world.people(n)
    p = shifted(world.shares, by)[group]
    if voting:
        p = one_hot((world.rng.random((*p.shape[:2], 1)) >= p.cumsum(axis=2)[..., :-1]).sum(axis=2))
    return world.held(group, p, world.survey(respondents))


def test_a_perfect_judge_and_other_people_sit_on_the_floor():
    assert verdicts(perfect, range(8))[ON] == 8
    assert verdicts(people, range(8))[ON] >= 7


@pytest.mark.parametrize("voting", [False, True])
def test_a_judge_wrong_by_five_points_is_told_from_noise_at_a_thousand(voting):
    found = [wrong(seed, voting=voting) for seed in range(2)]
    assert [one.found.verdict for one in found] == [ABOVE] * 2
    asked = CalibrationSpec.model_construct(max_excess=0.0, min_gain=None, min_spread=None)
    assert not any(gate_rows(one, asked)[0]["passed"] for one in found)


@pytest.mark.slow
def test_how_often_each_is_flagged():
    """Five in a hundred cry wolf, with two standard errors of eighty seeds; a wrong judge is found nearly always."""
    n, seeds = 80, range(1000, 1080)
    assert verdicts(perfect, seeds)[ON] >= n * 0.95 - 2 * np.sqrt(n * 0.05 * 0.95)
    real = verdicts(people, seeds)
    assert real[ABOVE] <= n * 0.025 + 2 * np.sqrt(n * 0.025 * 0.975)
    assert real[ON] >= n * 0.95 - 2 * np.sqrt(n * 0.05 * 0.95)
    assert verdicts(lambda seed: wrong(seed, voting=True), range(20))[ABOVE] >= 18


def test_the_floor_is_what_other_people_score_in_a_simulation_of_its_own():
    """Counted with numpy alone: so many people, so large a survey, both drawn from the world again and again."""
    n, respondents = 60, 900
    scored = []
    for seed in range(300):
        world = World(seed)
        mine, theirs = world.people(n), world.people(respondents)
        gaps = [
            np.abs(one_hot(mine[1][mine[0] == g]).mean(axis=0) - one_hot(theirs[1][theirs[0] == g]).mean(axis=0)).sum(
                axis=1
            )
            / 2
            for g in range(len(GROUPS))
        ]
        scored.append(np.mean(gaps))
    floors = [people(seed, n, respondents).found.floor for seed in range(8)]
    assert np.mean([floor.value for floor in floors]) == pytest.approx(np.mean(scored), rel=0.04)
    assert np.mean([floor.high for floor in floors]) == pytest.approx(np.quantile(scored, 0.975), rel=0.06)
    assert np.mean([floor.low for floor in floors]) < np.quantile(scored, 0.025) * 1.06


def test_respondents_of_the_survey_itself_are_on_the_floor_however_many():
    """Those asked are part of what they are held against, and so nearer than others: they are not too alike for that."""
    for n in (48, 700, 1500):
        world = World(3)
        group, answers = world.people(1500)
        said = {name: np.array(LEVELS)[answers[:, at]] for at, name in enumerate(world.names)}
        survey = pl.DataFrame({"party": np.array(GROUPS)[group], **said})
        assert world.held(group[:n], one_hot(answers[:n]), survey).found.verdict == ON


def test_clones_of_the_average_do_not_look_better_than_people():
    """Probabilities of the average are worth as many answers as there are clones; its commonest answer is nobody's."""
    average, real = perfect(5).found, people(5).found
    assert average.total_variation.value == pytest.approx(average.floor.value, rel=0.06)
    assert average.total_variation.value > real.floor.low
    assert abs(average.spread - 1) < 0.05
    world = World(5)
    group, _ = world.people(48)
    modal = world.held(group, one_hot(world.shares.argmax(axis=2))[group], world.survey(1500)).found
    assert modal.verdict == ABOVE
    assert modal.gain.high < 0
    assert modal.spread == 0
    assert modal.spread_floor.low > 0.7


def test_clones_of_the_average_are_no_persons_however_near_their_shares():
    """Each answer of theirs might be another's of the group; answers of people hang together as the world has it."""
    real, clone = people(5).found, perfect(5).found
    assert real.coherence > real.coherence_floor.low > 0.2
    assert clone.coherence == pytest.approx(0, abs=1e-9)
    assert any(sentence.startswith("But no persona is one person") for sentence in clone.to_json()["said"])
    assert not any(sentence.startswith("But no persona") for sentence in real.to_json()["said"])


def test_where_people_do_not_hang_together_nobody_is_asked_to():
    world = World(1, lean=0.0)
    group, answers = world.people(60)
    found = world.held(group, one_hot(answers), world.survey(3000)).found
    assert found.coherence is None or found.coherence >= found.coherence_floor.low


def test_answers_that_fit_the_survey_more_closely_than_its_people_are_too_alike():
    """Quotas: every group votes in just the survey's shares, with a ninetieth of its people."""
    world = World(8)
    counts = np.round(world.shares * 30).astype(int)
    counts[..., 2] = 30 - counts[..., :2].sum(axis=2)
    group = np.repeat(np.arange(3), 30)
    answers = np.stack(
        [np.concatenate([np.repeat(range(3), counts[g, at]) for g in range(3)]) for at in range(8)], axis=1
    )
    found = world.held(group, one_hot(answers), world.survey(8000)).found
    assert found.verdict == ALIKE
    assert found.excess.value < 0


def test_personas_who_differ_less_than_people_are_too_alike():
    """All say what nearly everybody says: no farther from the survey than six people are, and no two of them differ."""
    world = World(2)
    world.shares = np.tile([0.86, 0.08, 0.06], (3, 8, 1))
    group = np.repeat(np.arange(3), 6)
    told = one_hot(np.zeros((18, 8), int))
    found = world.held(group, told, world.survey(900)).found
    assert found.floor.low < found.total_variation.value < found.floor.high
    assert found.spread == 0
    assert found.verdict == ALIKE


def test_gates_let_real_people_pass_and_stop_who_is_surely_worse():
    asked = CalibrationSpec.model_construct(max_excess=0.0, min_gain=0.5, min_spread=0.9)
    real = [all(gate["passed"] for gate in gate_rows(people(seed), asked)) for seed in range(20, 30)]
    assert sum(real) >= 9
    world = World(5)
    group, _ = world.people(48)
    modal = world.held(group, one_hot(world.shares.argmax(axis=2))[group], world.survey(1500))
    assert [gate["passed"] for gate in gate_rows(modal, asked)] == [False, False, False]
    assert [gate["gate"] for gate in gate_rows(modal, asked)] == ["max_excess", "min_gain", "min_spread"]


def test_gain_is_what_is_left_of_the_squared_distance():
    """Answers halfway between the group and everybody leave a quarter of it."""
    world = World(4)
    group, _ = world.people(1200)
    middle = (world.shares + world.shares.mean(axis=0)) / 2
    found = world.held(group, middle[group], world.survey(12_000)).found
    assert found.gain.value == pytest.approx(0.75, abs=0.05)
    assert found.gain.low < 0.75 < found.gain.high


@pytest.mark.slow
def test_intervals_hold_what_they_speak_of():
    """Gain and excess of a judge that is wrong by another amount in every question, over new people, questions and surveys."""
    wanted, inside = 80, Counter()
    found = [halfway(seed) for seed in range(wanted)]
    # Dirichlet shares are independent: 0.16 x twice the variance, against the variance between a third and the whole
    truths = {"gain": 1 - 0.16 * 2 / (1 - 1 / 3)}
    truths |= {name: np.mean([getattr(one, name).value for one in found]) for name in ("total_variation", "excess")}
    for one in found:
        for name, truth in truths.items():
            inside[name] += getattr(one, name).low <= truth <= getattr(one, name).high
    for name in truths:  # 95 % with two standard errors of so many worlds
        assert 0.95 - 2 * np.sqrt(0.95 * 0.05 / wanted) <= inside[name] / wanted, name


def halfway(seed):
    """A judge who votes, three fifths like people and two fifths like nobody, in a world of its own."""
    world, rng = World(seed, items=20), np.random.default_rng(seed + 10_000)
    world.shares = rng.dirichlet([4, 4, 4], (3, 20))
    p = 0.6 * world.shares + 0.4 * rng.dirichlet([4, 4, 4], (3, 20))
    group, _ = world.people(300)
    votes = (rng.random((300, 20, 1)) >= p[group].cumsum(axis=2)[..., :-1]).sum(axis=2)
    return world.held(group, one_hot(votes), world.survey(2000)).found
