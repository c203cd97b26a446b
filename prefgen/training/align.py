"""Aligning a model with one persona in several ways, and what each of them achieved."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import polars as pl

from prefgen.errors import UsageError
from prefgen.training.data import Aligning, Floats, rows_of
from prefgen.training.groups import learned_answers
from prefgen.training.measures import Nearness, answers_of, nearness
from prefgen.training.models import Trainable, adapted

UNTRAINED = ("plain", "role-play", "people")
TRAINED = ("sft", "dpo", "wdpo")


@dataclass(frozen=True, slots=True)
class Settings:
    """How a model is trained.

    epochs         passes over the target's pairs
    learning_rate  of AdamW, falling linearly to 0
    beta           of DPO: how closely it keeps to the model it began as
    rank           of the LoRA adapter
    batch          rows a step
    pairs          most pairs to train on, drawn anew with every seed; None takes all
    """

    epochs: float = 3.0
    learning_rate: float = 2e-4
    beta: float = 0.1
    rank: int = 8
    batch: int = 8
    pairs: int | None = None


@dataclass(frozen=True, slots=True)
class Method:
    """One way to make the model answer as the target.

    alpha, beta    `wdpo`: exponents of the tier weights; None takes the weights of the export
    """

    kind: str
    alpha: float | None = None
    beta: float | None = None

    @classmethod
    def of(cls, said: str) -> Method:
        """From `dpo`, `wdpo`, or `wdpo:ALPHA,BETA`. UsageError for anything else."""
        kind, _, exponents = said.partition(":")
        fix = f"use one of {', '.join((*UNTRAINED, *TRAINED))}, or wdpo:ALPHA,BETA"
        if kind not in (*UNTRAINED, *TRAINED) or (exponents and kind != "wdpo"):
            raise UsageError(f"there is no method {said!r}", fix=fix)
        if not exponents:
            return cls(kind)
        try:
            alpha, beta = (float(number) for number in exponents.split(","))
        except ValueError:
            raise UsageError(f"{said!r}: {exponents!r} are not two numbers", fix=fix) from None
        return cls(kind, alpha, beta)

    def __str__(self) -> str:
        return self.kind if self.alpha is None else f"{self.kind} {self.alpha:g},{self.beta:g}"

    def pairs(self, aligning: Aligning) -> pl.DataFrame:
        """The target's pairs with this method's weights."""
        if self.kind != "wdpo":
            return aligning.train.with_columns(weight=pl.lit(1.0))
        if self.alpha is None or self.beta is None:
            return aligning.train
        return aligning.weighed(self.alpha, self.beta)


@dataclass(frozen=True, slots=True)
class Achieved:
    """What one method achieved with one seed."""

    method: str
    seed: int
    nearness: Nearness

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self)


def align(
    model: Trainable, aligning: Aligning, methods: Sequence[Method], seeds: Sequence[int], settings: Settings, out: Path
) -> Iterator[Achieved]:
    """Every method with every seed, one after the other; what is not trained has one seed.

    out    folder of checkpoints and adapters, one a method and seed; a training that was cut off goes on from its last epoch
    """
    if any(method.kind in ("dpo", "wdpo") for method in methods):
        aligning = replace(aligning, train=with_reference(model, aligning.train))
    for method in methods:
        if method.kind in UNTRAINED:
            yield Achieved(str(method), seeds[0], nearness(aligning, untrained(model, method, aligning)))
            continue
        for seed in seeds:
            with adapted(model, rank=settings.rank, seed=seed) as mine:
                train(mine, method, aligning, seed, settings, out / f"{str(method).replace(' ', '-')}-{seed}")
                yield Achieved(str(method), seed, nearness(aligning, answers_of(mine, aligning.questions)))


def untrained(model: Trainable, method: Method, aligning: Aligning) -> Mapping[str, Floats]:
    """What is there without training: the model as it is, told the portrait, or the group's own people of `train`."""
    if method.kind == "people":
        return learned_answers(aligning)
    portraits = aligning.portraits[aligning.target] if method.kind == "role-play" else ()
    if method.kind == "role-play" and not portraits:
        raise UsageError(
            f"{aligning.target!r} has no portrait to play", fix="give `people:` a `text`, or leave out role-play"
        )
    return answers_of(model, aligning.questions, portraits)


def with_reference(model: Trainable, pairs: pl.DataFrame) -> pl.DataFrame:
    """The pairs with `ref_chosen_logps` and `ref_rejected_logps` of the model as it is, once for all trainings and of every text."""
    told = {
        side: [
            (json.dumps(prompt), turns[-1]["content"])
            for prompt, turns in zip(pairs["prompt"].to_list(), pairs[side], strict=True)
        ]
        for side in ("chosen", "rejected")
    }
    once = list(dict.fromkeys([*told["chosen"], *told["rejected"]]))
    likely = model.log_likelihoods([json.loads(prompt) for prompt, _ in once], [text for _, text in once])
    of = dict(zip(once, likely, strict=True))
    return pairs.with_columns(pl.Series(f"ref_{side}_logps", [of[one] for one in each]) for side, each in told.items())


def train(model: Trainable, method: Method, aligning: Aligning, seed: int, settings: Settings, folder: Path) -> None:
    """Train the model's adapter and save it in `folder`; go on from the last checkpoint that stands there."""
    import datasets
    import transformers

    from prefgen.training.progress import Telling

    rows = datasets.Dataset.from_list(rows_of(method.pairs(aligning.some(settings.pairs, seed=seed))))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch and transformers, which have many of their own
        trainer = _trainer(model, method, rows, seed, settings, folder)
        for callback in (transformers.PrinterCallback, transformers.ProgressCallback):
            trainer.remove_callback(callback)
        trainer.add_callback(Telling(f"{method}, seed {seed}"))
        trainer.train(resume_from_checkpoint=any(folder.glob("checkpoint-*")) or None)
    model.model.save_pretrained(folder)


def _trainer(model: Trainable, method: Method, rows: Any, seed: int, settings: Settings, folder: Path) -> Any:
    import torch
    import trl

    from prefgen.training.weighted import WeightedDPOTrainer

    common: dict[str, Any] = {
        "output_dir": str(folder),
        "num_train_epochs": settings.epochs,
        "per_device_train_batch_size": settings.batch,
        "learning_rate": settings.learning_rate,
        "seed": seed,
        "data_seed": seed,
        "report_to": [],
        "save_strategy": "epoch",
        "save_total_limit": 1,
        "logging_strategy": "epoch",
        "bf16": torch.cuda.is_available(),
        "use_cpu": not torch.cuda.is_available(),
    }
    parts = {"model": model.model, "processing_class": model.tokenizer}
    if method.kind == "sft":
        told = rows.rename_column("chosen", "completion").select_columns(["prompt", "completion"])
        return trl.SFTTrainer(args=trl.SFTConfig(**common), train_dataset=told, **parts)
    dpo = trl.DPOConfig(**common, beta=settings.beta)
    return WeightedDPOTrainer(args=dpo, train_dataset=rows, **parts)
