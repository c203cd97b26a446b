"""Weights in the loss, on real torch and TRL: 0 leaves a row's gradient out, 2 is the row twice, 1 is TRL's own loss."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tests.training import tiny

pytestmark = pytest.mark.train
torch = pytest.importorskip("torch")
trl = pytest.importorskip("trl")

PAIRS = [("tea", "coffee"), ("yes", "no"), ("maybe", "tea coffee")]


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch and transformers have many of their own
        yield


def said(role: str, text: str) -> list[dict[str, str]]:
    return [{"role": role, "content": text}]


def pairs(*weighted: tuple[int, float | None]) -> list[dict[str, Any]]:
    """Rows of PAIRS by number, each with its weight."""
    return [
        {"prompt": said("user", "which one ?"), "chosen": said("assistant", PAIRS[k][0])}
        | {"rejected": said("assistant", PAIRS[k][1])}
        | ({} if weight is None else {"weight": weight})
        for k, weight in weighted
    ]


def gradient(kind: Any, config: Any, rows: list[dict[str, Any]], folder: Path, **settings: Any) -> Any:
    """(loss, gradient as one vector) of a batch of all rows, at the random weights that every trainer here begins with."""
    import datasets

    common = {"output_dir": str(folder), "per_device_train_batch_size": len(rows), "report_to": [], "use_cpu": True}
    trainer = kind(
        tiny.model(folder),
        args=config(**common, bf16=False, disable_tqdm=True, **settings),
        train_dataset=datasets.Dataset.from_list(rows),
        processing_class=tiny.tokenizer(),
    )
    with torch.no_grad():  # away from the reference, or every pair would have the same loss
        for number, one in enumerate(trainer.model.parameters()):
            one.add_(0.05 * torch.randn(one.shape, generator=torch.Generator().manual_seed(number)))
    trainer.model.eval()  # no dropout
    batch = trainer.data_collator([trainer.train_dataset[k] for k in range(len(rows))])
    loss = trainer.compute_loss(trainer.model, batch)
    loss.backward()
    return float(loss), torch.cat([one.grad.flatten() for one in trainer.model.parameters() if one.grad is not None])


def dpo(rows: list[dict[str, Any]], folder: Path, **settings: Any) -> Any:
    from prefgen.training.weighted import WeightedDPOTrainer

    return gradient(WeightedDPOTrainer, trl.DPOConfig, rows, folder, **settings)


@pytest.mark.parametrize("settings", [{}, {"precompute_ref_log_probs": True}], ids=["asked", "precomputed"])
def test_without_weights_it_is_trls_own_loss_and_gradient(tmp_path: Path, settings: dict[str, Any]) -> None:
    rows = pairs((0, None), (1, None), (2, None))
    loss, mine = dpo(rows, tmp_path, **settings)
    theirs_loss, theirs = gradient(trl.DPOTrainer, trl.DPOConfig, rows, tmp_path, **settings)
    assert loss == pytest.approx(theirs_loss, rel=1e-5)
    torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-7)
    assert mine.abs().max() > 1e-4


def test_rows_may_bring_what_the_reference_says(tmp_path: Path) -> None:
    from prefgen.training.align import with_reference
    from prefgen.training.models import Trainable

    rows = pairs((0, 1.0), (2, 0.5))
    loss, asked = dpo(rows, tmp_path)
    brought = with_reference(Trainable(tiny.model(tmp_path), tiny.tokenizer()), pl.DataFrame(rows)).to_dicts()
    again, mine = dpo(brought, tmp_path)
    assert again == pytest.approx(loss, rel=1e-5)
    torch.testing.assert_close(mine, asked, rtol=1e-4, atol=1e-7)


def test_a_row_of_weight_zero_leaves_no_gradient(tmp_path: Path) -> None:
    _, without = dpo(pairs((0, 1.0)), tmp_path)
    _, beside = dpo(pairs((0, 2.0), (1, 0.0)), tmp_path)
    torch.testing.assert_close(beside, without, rtol=1e-4, atol=1e-7)


def test_a_weight_of_two_is_the_row_twice(tmp_path: Path) -> None:
    _, doubled = dpo(pairs((0, 2.0), (1, 1.0)), tmp_path)
    _, twice = dpo(pairs((0, 1.0), (0, 1.0), (1, 1.0)), tmp_path)
    torch.testing.assert_close(doubled * 2, twice * 3, rtol=1e-4, atol=1e-7)


def test_a_margin_is_taken_off_what_the_chosen_side_leads_by(tmp_path: Path) -> None:
    (row,) = pairs((0, 1.0))
    plain, _ = dpo([row], tmp_path)
    with_margin, _ = dpo([row | {"margin": 1.5}], tmp_path)
    lead = -torch.log(torch.expm1(torch.tensor(plain)))  # of -log sigmoid(lead)
    assert with_margin == pytest.approx(float(-torch.nn.functional.logsigmoid(lead - 1.5)), rel=1e-4)


def test_losses_that_it_does_not_have_are_refused(tmp_path: Path) -> None:
    for settings in ({"loss_type": "ipo"}, {"label_smoothing": 0.1}):
        with pytest.raises(ValueError, match=next(iter(settings))):
            dpo(pairs((0, 1.0)), tmp_path, **settings)


def kto(rows: list[tuple[int, bool, float | None]], folder: Path) -> Any:
    from prefgen.training.weighted import WeightedKTOTrainer

    told = [
        {"prompt": said("user", "which one ?"), "completion": said("assistant", PAIRS[k][0]), "label": label}
        | ({} if weight is None else {"weight": weight})
        for k, label, weight in rows
    ]
    return gradient(WeightedKTOTrainer, trl.KTOConfig, told, folder, loss_type="apo_zero_unpaired")


def test_kto_weighs_its_rows_too(tmp_path: Path) -> None:
    _, without = kto([(0, True, None), (1, False, None)], tmp_path)
    _, ones = kto([(0, True, 1.0), (1, False, 1.0)], tmp_path)
    torch.testing.assert_close(ones, without)
    _, alone = kto([(0, True, 1.0)], tmp_path)
    _, beside = kto([(1, False, 0.0), (0, True, 2.0)], tmp_path)
    torch.testing.assert_close(beside, alone, rtol=1e-4, atol=1e-7)
