"""How near a model's answers are to each persona's, on questions that it was not trained on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from prefgen.analysis.distance import jensen_shannon
from prefgen.training.data import Aligning, Floats, Question
from prefgen.training.models import Trainable


@dataclass(frozen=True, slots=True)
class Nearness:
    """One model, one way of asking it, held against everybody.

    divergence    by persona: Jensen-Shannon divergence (bits, 0 to 1) of its answers from the persona's, mean over questions
    accuracy      share of the target's held-out pairs in which it finds the chosen text likelier, ties half
    """

    divergence: Mapping[str, float]
    accuracy: float

    def of_target(self, target: str) -> float:
        """Divergence from the target."""
        return self.divergence[target]

    def of_others(self, target: str) -> float:
        """Mean divergence from everybody else."""
        return float(np.mean([value for name, value in self.divergence.items() if name != target]))


def nearness(aligning: Aligning, answers: Mapping[str, Floats]) -> Nearness:
    """Hold answers (item_id to one probability an option) against everybody's."""
    apart: dict[str, list[float]] = {name: [] for name in aligning.personas}
    scores: dict[tuple[str, str], float] = {}
    for question in aligning.questions:
        answer = answers[question.item_id]
        scores |= {(question.item_id, text): value for text, value in zip(question.options, answer, strict=True)}
        for name, shares in question.p.items():
            apart[name].append(float(jensen_shannon(answer, shares)))
    divergence = {name: float(np.mean(values)) for name, values in apart.items() if values}
    return Nearness(divergence, _accuracy(aligning.test, scores))


def answers_of(model: Trainable, questions: Sequence[Question], portraits: Sequence[str] = ()) -> dict[str, Floats]:
    """A model's answers as probabilities: softmax of the log-likelihoods of the options' texts, which stand in no slots, so no order sways them.

    portraits    texts that open the conversation as the system's, for role-play; the answer is the mean over them. Without any, the model
                 is asked as it is
    """
    each = [_answers(model, questions, portrait) for portrait in portraits or (None,)]
    return {
        one.item_id: np.mean([answers[k] for answers in each], axis=0, dtype=np.float64)
        for k, one in enumerate(questions)
    }


def _answers(model: Trainable, questions: Sequence[Question], portrait: str | None) -> list[Floats]:
    opening = [] if portrait is None else [{"role": "system", "content": portrait}]
    asked = [(question, option) for question in questions for option in question.options]
    prompts = [[*opening, {"role": "user", "content": question.prompt}] for question, _ in asked]
    likely = iter(model.log_likelihoods(prompts, [option for _, option in asked]))
    logs = [np.array([next(likely) for _ in question.options]) for question in questions]
    shares = [np.exp(each - each.max()) for each in logs]
    return [each / each.sum() for each in shares]


def _accuracy(pairs: pl.DataFrame, scores: Mapping[tuple[str, str], float]) -> float:
    """Of pairs whose texts are options of the questions."""
    ahead = [
        scores[item, chosen[-1]["content"]] - scores[item, rejected[-1]["content"]]
        for item, chosen, rejected in pairs.select("item_id", "chosen", "rejected").iter_rows()
    ]
    return float(np.mean(np.sign(ahead) / 2 + 0.5))
