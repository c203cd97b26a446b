"""TRL's preference trainers with a weight for every row, which they drop.

`weight` multiplies the row's loss, and the loss of a batch is the mean over its rows: weights of mean 1 leave the learning
rate what it was. A row of weight 0 leaves no gradient, and a weight of 2 counts as the row twice.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import trl
from torch.nn import functional

Batch = dict[str, Any]
_OF_ROWS = ("weight", "margin")


@dataclass(frozen=True, slots=True)
class Keeping:
    """A collator, and beside what it makes one float32 a row for `weight` and `margin`, where rows have them."""

    collator: Callable[[Sequence[Mapping[str, Any]]], Batch]

    def __call__(self, rows: Sequence[Mapping[str, Any]]) -> Batch:
        kept = {name: torch.tensor([row[name] for row in rows]).float() for name in _OF_ROWS if name in rows[0]}
        return self.collator(rows) | kept


class WeightedDPOTrainer(trl.DPOTrainer):  # type: ignore[misc]  # trl is not typed
    """DPO (arXiv:2305.18290) with a weight a row, as Fair-PP aligns with a persona (arXiv:2505.11861).

    The loss of a row is -weight x log sigmoid(beta x (log-ratio of chosen - of rejected) - margin). Rows are those of an
    export `dpo` or `margin`: prompt, chosen, rejected, and `weight` (1 where there is no such column) and `margin` (0).

    Rows may bring `ref_chosen_logps` and `ref_rejected_logps` with them, as when the same reference serves many trainings.
    Everything else is `trl.DPOTrainer`. ValueError for settings that would make the loss of a row another one.
    """

    data_collator: Any
    _signature_columns: list[str]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        other = {
            "loss_type": self.loss_types != ["sigmoid"],
            "label_smoothing": bool(self.label_smoothing),
            "ld_alpha": self.ld_alpha is not None,
            "use_weighting": bool(self.use_weighting),
            "f_divergence_type": self.f_divergence_type != "reverse_kl",
        }
        if any(other.values()):
            names = ", ".join(name for name, changed in other.items() if changed)
            raise ValueError(f"WeightedDPOTrainer has DPO's sigmoid loss alone: leave {names} as it is by default")
        self.data_collator = Keeping(self.data_collator)

    def _set_signature_columns_if_needed(self) -> None:
        super()._set_signature_columns_if_needed()
        self._signature_columns = list(dict.fromkeys([*self._signature_columns, *_OF_ROWS]))

    def _compute_loss(self, model: Any, inputs: Batch, return_outputs: bool) -> Any:
        told = {name: value for name, value in inputs.items() if name not in _OF_ROWS}
        chosen, rejected, outputs = self._log_probs(model, told)
        if "ref_chosen_logps" in inputs:
            by_reference = inputs["ref_chosen_logps"], inputs["ref_rejected_logps"]
        else:
            by_reference = self.compute_ref_log_probs(self.ref_model or model, told)
        logits = self.beta * ((chosen - by_reference[0]) - (rejected - by_reference[1]))
        weight = inputs.get("weight", torch.ones_like(logits))
        loss = (weight * -functional.logsigmoid(logits - inputs.get("margin", 0.0))).mean()
        metrics = self._metrics["train" if self.model.training else "eval"]
        for name, of_rows in {"rewards/accuracies": logits > 0, "rewards/margins": logits, "weight": weight}.items():
            metrics[name].append(self.accelerator.gather_for_metrics(of_rows.detach().float()).mean().item())
        return (loss, outputs) if return_outputs else loss

    @staticmethod
    def _log_probs(model: Any, inputs: Batch) -> tuple[torch.Tensor, torch.Tensor, Any]:
        """Log-probabilities of the chosen and of the rejected completions, summed over their tokens; what the model gave."""
        rest = ("completion_mask", "ref_chosen_logps", "ref_rejected_logps")
        asked = {name: value for name, value in inputs.items() if name not in rest}
        labels = inputs["input_ids"].masked_fill(inputs["completion_mask"] == 0, -100)
        outputs = model(**asked, labels=labels, fused_lm_head=True, use_cache=False)
        width = inputs["completion_mask"].size(1) - 1  # a prompt-learning adapter puts tokens of its own before these
        chosen, rejected = outputs.log_probs[:, -width:].sum(dim=1).chunk(2, dim=0)
        return chosen, rejected, outputs


class WeightedKTOTrainer(trl.KTOTrainer):  # type: ignore[misc]
    """KTO (arXiv:2402.01306) with a weight a row, beside TRL's own for desirable and undesirable rows.

    Rows are those of an export `kto`: prompt, completion, label, and `weight`, 1 where there is no such column.
    """

    data_collator: Any
    desirable_weight: Any
    undesirable_weight: Any
    _signature_columns: list[str]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.data_collator = Keeping(self.data_collator)

    def _set_signature_columns_if_needed(self) -> None:
        super()._set_signature_columns_if_needed()
        self._signature_columns = list(dict.fromkeys([*self._signature_columns, "weight"]))

    def _compute_loss(self, model: Any, inputs: Batch, return_outputs: bool) -> Any:
        told = {name: value for name, value in inputs.items() if name not in _OF_ROWS}
        if "weight" not in inputs:
            return super()._compute_loss(model, told, return_outputs)
        label = torch.as_tensor(told["label"], dtype=torch.bool, device=inputs["weight"].device)
        of_all = self.desirable_weight, self.undesirable_weight
        # TRL multiplies the losses of each kind, which stand in the order of their rows, by these.
        self.desirable_weight = of_all[0] * inputs["weight"][label]
        self.undesirable_weight = of_all[1] * inputs["weight"][~label]
        try:
            return super()._compute_loss(model, told, return_outputs)
        finally:
            self.desirable_weight, self.undesirable_weight = of_all
