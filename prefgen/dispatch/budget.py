"""The money of a run: what answers cost, and whether one more may be asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prefgen.engines.engine import Meter
from prefgen.errors import NotFinished, UsageError
from prefgen.records import Request, Response
from prefgen.spec.models import BatchModel, ModelSpec, OpenAIModel

if TYPE_CHECKING:
    from prefgen.dispatch.prices import Price

_CHARS_PER_TOKEN = 4  # only for what has no measured cost yet
_TOKENS_AHEAD = 16  # of an answer without a limit, for the same estimate


class Budget:
    """What may be spent over all models, and what was.

    budget_usd   None: as much as it takes
    """

    def __init__(self, budget_usd: float | None) -> None:
        self.budget_usd = budget_usd
        self.spent_usd = 0.0

    def check_can_be_kept(self, spec: ModelSpec, price: Price | None) -> None:
        """UsageError where a budget is to be kept and the model has no price."""
        if price is None and self.budget_usd is not None and isinstance(spec, OpenAIModel | BatchModel):
            raise UsageError(
                f"--budget: nobody knows what {spec.model!r} costs, so no budget can be kept",
                fix="add the model to your prices file (0 for a server of your own), or leave --budget out",
            )

    def allows(self, request: Request, spec: ModelSpec, price: Price | None, meter: Meter, *, out: int) -> bool:
        """Whether this request and the `out` ones under way will, as far as one can know, stay within the budget."""
        if price is None or self.budget_usd is None:
            return True
        back = meter.answered + meter.failed
        if back:
            each = (meter.cost_usd or 0.0) / back
        else:
            prompt = sum(len(content) for _, content in request.messages) // _CHARS_PER_TOKEN
            each = _cost(spec, price, prompt, 0, min(request.max_tokens, _TOKENS_AHEAD))
        return self.spent_usd + each * (out + 1) <= self.budget_usd

    def spend(self, response: Response, spec: ModelSpec, price: Price, meter: Meter) -> None:
        """Count what one response cost."""
        usd = _cost(spec, price, response.prompt_tokens, response.cached_tokens, response.completion_tokens)
        meter.cost_usd = (meter.cost_usd or 0.0) + usd
        self.spent_usd += usd

    def reached(self, meter: Meter) -> NotFinished:
        """The end of a run that may spend no more."""
        return NotFinished(
            f"the budget of {self.budget_usd:.2f} USD is reached: {self.spent_usd:.4f} USD spent, "
            f"{meter.stored + meter.answered + meter.failed} of {meter.planned} requests are answered",
            fix="run the same command again to spend as much once more, or raise --budget",
        )


def _cost(spec: ModelSpec, price: Price, prompt: int, cached: int, completion: int) -> float:
    """US dollars for so many tokens; `cached` ones are part of `prompt`."""
    usd = (prompt - cached) * price.input_usd_per_mtok + cached * price.cached_usd_per_mtok
    usd += completion * price.output_usd_per_mtok
    return usd / 1e6 * (price.batch_factor if isinstance(spec, BatchModel) else 1.0)
