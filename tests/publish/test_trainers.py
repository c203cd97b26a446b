"""Every preset, read by what really reads it: TRL's trainers take a step, Bradley-Terry ranks the battles."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import datasets
import pytest

from prefgen.store.folder import RunFolder
from tests.publish import made
from tests.training import tiny

GEMMA = (
    "{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
    "{% for message in messages %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}{% endif %}"
    "<start_of_turn>{{ 'model' if message['role'] == 'assistant' else message['role'] }}\n{{ message['content'] | trim }}<end_of_turn>\n"
    "{% endfor %}{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}"
)
"""A chat template of the kind that knows users and models and nobody else."""

PRESETS = "dpo, margin, kto, sft, cond, fewshot, table, battle"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    return made.run_in(tmp_path_factory.mktemp("trained"), exports=PRESETS)


@pytest.fixture(autouse=True)
def quiet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch and transformers have many of their own
        yield


def rows(run: RunFolder, name: str) -> Any:
    return datasets.load_dataset(str(run.path), name, split="train")


def tokenizer(run: RunFolder) -> Any:
    """A tokenizer of the dataset's own words, with a chat template, made without a download."""
    texts = [text for row in rows(run, "items") for text in [row["prompt"], *row["options"]]]
    texts += [row["text"] for row in rows(run, "personas")]
    words = sorted({word for text in texts for word in text.replace("?", " ? ").split()})
    return tiny.tokenizer(words)


def model(words: Any, kind: str, folder: Path) -> Any:
    """A tiny model with random weights, from a folder, so that a trainer can load its reference copy."""
    import transformers

    config = transformers.LlamaConfig(
        vocab_size=len(words),
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=2,
        max_position_embeddings=512,
        pad_token_id=0,
        eos_token_id=2,
        bos_token_id=2,
        num_labels=1,
    )
    getattr(transformers, kind)(config).save_pretrained(folder / "model")
    return getattr(transformers, kind).from_pretrained(folder / "model")


def settings(folder: Path) -> dict[str, Any]:
    return {
        "output_dir": str(folder),
        "max_steps": 1,
        "per_device_train_batch_size": 2,
        "report_to": [],
        "use_cpu": True,
        "save_strategy": "no",
        "bf16": False,
        "disable_tqdm": True,
    }


@pytest.mark.train
@pytest.mark.parametrize(
    ("kind", "name"), [("DPO", "dpo"), ("DPO", "cond"), ("DPO", "fewshot"), ("KTO", "kto"), ("SFT", "sft")]
)
def test_trl_takes_a_step_on_it(run: RunFolder, tmp_path: Path, kind: str, name: str) -> None:
    trl = pytest.importorskip("trl")
    words = tokenizer(run)
    trainer = getattr(trl, f"{kind}Trainer")(
        model(words, "LlamaForCausalLM", tmp_path),
        args=getattr(trl, f"{kind}Config")(**settings(tmp_path)),
        train_dataset=rows(run, name),
        processing_class=words,
    )
    assert trainer.train().global_step == 1


@pytest.mark.train
def test_a_reward_model_takes_a_step_with_the_margin_in_its_loss(run: RunFolder, tmp_path: Path) -> None:
    trl = pytest.importorskip("trl")
    words = tokenizer(run)
    seen: list[Any] = []

    class Watched(trl.RewardTrainer):  # type: ignore[misc,name-defined]
        def compute_loss(self, model: Any, inputs: Any, *rest: Any, **more: Any) -> Any:
            seen.extend(inputs["margin"].tolist())
            return super().compute_loss(model, inputs, *rest, **more)

    trainer = Watched(
        model(words, "LlamaForSequenceClassification", tmp_path),
        args=trl.RewardConfig(**settings(tmp_path)),
        train_dataset=rows(run, "margin"),
        processing_class=words,
    )
    assert trainer.train().global_step == 1
    assert len(seen) == 2
    assert all(any(abs(number - margin) < 1e-6 for margin in rows(run, "margin")["margin"]) for number in seen)


@pytest.mark.train
def test_a_reward_model_sees_no_margin_unless_the_export_is_asked_for_one(run: RunFolder, tmp_path: Path) -> None:
    """The loss of a batch is -log sigmoid of the difference of the scores; a margin taken unasked would be subtracted."""
    trl, torch = pytest.importorskip("trl"), pytest.importorskip("torch")
    words = tokenizer(run)
    losses: dict[str, float] = {}
    for name in ("dpo", "fewshot", "margin"):

        class Watched(trl.RewardTrainer):  # type: ignore[misc,name-defined]
            def compute_loss(self, model: Any, inputs: Any, *rest: Any, named: str = name, **more: Any) -> Any:
                assert ("margin" in inputs) is (named == "margin")
                losses[named] = float(super().compute_loss(model, inputs, *rest, **more).detach())
                return super().compute_loss(model, inputs, *rest, **more)

        constant = model(words, "LlamaForSequenceClassification", tmp_path)
        torch.nn.init.zeros_(constant.score.weight)  # equal scores: without a margin the loss is log 2
        trainer = Watched(
            constant, args=trl.RewardConfig(**settings(tmp_path)), train_dataset=rows(run, name), processing_class=words
        )
        assert trainer.train().global_step == 1
    assert losses["dpo"] == pytest.approx(0.6931, abs=1e-4)
    assert losses["fewshot"] == pytest.approx(0.6931, abs=1e-4)
    assert losses["margin"] > 0.70


@pytest.mark.train
def test_a_template_without_a_system_role_trains_on_an_export_that_folds_the_persona(tmp_path: Path) -> None:
    trl = pytest.importorskip("trl")
    run = made.run_in(tmp_path / "made", exports="dpo, {dpo: {name: gemma, system_role: false}}")
    words = tokenizer(run)
    words.chat_template = GEMMA

    def step(name: str) -> int:
        trainer = trl.DPOTrainer(
            model(words, "LlamaForCausalLM", tmp_path),
            args=trl.DPOConfig(**settings(tmp_path)),
            train_dataset=rows(run, name),
            processing_class=words,
        )
        return int(trainer.train().global_step)

    with pytest.raises(Exception, match="System role not supported"):
        step("dpo")
    assert step("gemma") == 1


@pytest.mark.train
def test_an_embedding_model_takes_a_step_on_integer_users_items_and_levels(run: RunFolder) -> None:
    torch = pytest.importorskip("torch")
    batch = rows(run, "table").with_format("torch")[:]
    users = torch.nn.Embedding(int(batch["user"].max()) + 1, 4)
    items = torch.nn.Embedding(int(batch["item"].max()) + 1, 4)
    score = (users(batch["user"]) * items(batch["item"])).sum(-1)
    loss = torch.nn.functional.binary_cross_entropy_with_logits(score, batch["level"].float())
    loss.backward()
    assert torch.isfinite(users.weight.grad).all()


def test_bradley_terry_ranks_battles(run: RunFolder) -> None:
    evalica = pytest.importorskip("evalica")
    battles = rows(run, "battle")
    named = {
        "model_a": evalica.Winner.X,
        "model_b": evalica.Winner.Y,
        "tie": evalica.Winner.Draw,
        "tie (bothbad)": evalica.Winner.Draw,
    }
    winners = [named[battles.features["winner"].int2str(number)] for number in battles["winner"]]
    scores = evalica.bradley_terry(list(battles["model_a"]), list(battles["model_b"]), winners).scores
    wins = dict.fromkeys(scores.index, 0)
    for battle, winner in zip(battles, winners, strict=True):
        wins[battle["model_a" if winner == evalica.Winner.X else "model_b"]] += 1
    assert scores.idxmax() == max(wins, key=lambda name: wins[name])
