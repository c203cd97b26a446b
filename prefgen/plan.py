"""What a run will make and cost, found without asking any model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from prefgen.engines.prices import price_of
from prefgen.engines.tokens import estimate_tokens
from prefgen.errors import one_of
from prefgen.publish.exports.check import check_exports
from prefgen.records import Request, Response
from prefgen.spec.calibration import read_calibration
from prefgen.spec.models import BatchModel, EmbeddedModel, ModelSpec, OpenAIModel
from prefgen.spec.pipeline import Pipeline, StepSpec, load_pipeline
from prefgen.steps import KINDS, kind, kind_of
from prefgen.steps.context import Context, Forecast
from prefgen.store.finished import Lineage
from prefgen.store.leakage import INSTALL, can_measure
from prefgen.store.table import Table


@dataclass(frozen=True, slots=True)
class StepPlan:
    """What one step will make.

    rows      rows of its table; None where that depends on the answers
    requests  distinct requests, stored ones included; 0 for a step that asks no model
    cost_usd  None where no price is known
    batch_usd what it costs as a batch; None where no price is known or nobody is paid
    seconds   rough: from the engine's own pace, see `_seconds`; None where nobody can say
    notes     what people should know before they pay
    """

    name: str
    kind: str
    rows: int | None
    model: str | None = None
    requests: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost_usd: float | None = None
    batch_usd: float | None = None
    seconds: float | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """The whole run, before any call."""

    steps: tuple[StepPlan, ...]
    token_method: str | None  # how tokens were estimated; None when no model is asked
    summaries: Mapping[str, Mapping[str, Any]]

    @property
    def requests(self) -> int:
        """Requests of all steps."""
        return sum(step.requests for step in self.steps)

    @property
    def notes(self) -> tuple[str, ...]:
        """What people should know before they pay, each with its step."""
        return tuple(f"{step.name}: {note}" for step in self.steps for note in step.notes)


def load(path: Path, overrides: Sequence[str] = ()) -> Pipeline:
    """A pipeline file, with every kind of step known."""
    return load_pipeline(path, kinds=KINDS, spec_of=lambda name: kind(name).Spec, overrides=overrides)


def foresee(pipeline: Pipeline) -> Plan:
    """Run the pipeline without its models: real rows up to the first model, empty tables after it.

    Finds everything that can be found before money is spent: SpecError for what is wrong in the YAML or in
    the tables it reads, for an export that cannot be made and for an `expect:` that cannot be met.
    """
    ask = _AskNobody(pipeline.models)
    tables: dict[str, Table] = {}
    plans: list[StepPlan] = []
    summaries: dict[str, dict[str, Any]] = {}
    rows: dict[str, int | None] = {}
    methods: list[str] = []
    grains: dict[str, str] = {}
    for name, spec in pipeline.steps.items():
        context = context_of(pipeline, name, ask)
        made = kind(kind_of(spec))
        asked = spec.asks()
        if asked is not None:
            forecast = made.foresee(spec, tables, context)
            tables[name] = Table(name, (forecast.empty.lazy(),), forecast.rows)
            rows[name] = forecast.rows
            plan, method = _asking(name, kind_of(spec), asked, pipeline.models[asked], forecast)
            methods.append(method)
        else:
            frames = list(made.make(spec, tables, context))
            tables[name] = Table.of(name, frames)
            above = [read for _, read in spec.reads()]
            known = all(tables[read].n_rows == rows[read] and not _foreseen(read, plans) for read in above)
            rows[name] = tables[name].n_rows if known else rows[above[0]] if spec.grain is None else None
            plan = StepPlan(name, kind_of(spec), rows[name], notes=tuple(context.summary.get("notes", ())))
        grains[name] = grain_of(spec, tables[name], grains)
        plans.append(plan)
        summaries[name] = context.summary
        _check_expected(pipeline, plan, context.summary)
    check_exports(pipeline, tables, grains)
    _check_calibration(pipeline, grains)
    return Plan(tuple(plans), methods[0] if methods else None, summaries)


def grain_of(spec: StepSpec, table: Table, grains: Mapping[str, str]) -> str:
    """What one row of a step's table is: as its kind says, as in the table it reads, or an item."""
    if spec.grain is None:
        return grains[spec.reads()[0][1]]
    return "items" if spec.grain == "rows" and {"prompt", "options"} <= set(table.schema) else spec.grain


def context_of(pipeline: Pipeline, step: str, ask: Any) -> Context:
    """Where a step of a pipeline stands."""
    return Context(
        step=step,
        seed=pipeline.seed,
        ask=ask,
        complain=lambda key, problem, fix: pipeline.error(step, key, problem, fix),
        limit=pipeline.limit,
        lineage=_lineage(pipeline, step),
    )


def _lineage(pipeline: Pipeline, step: str) -> tuple[str, ...]:
    found, ahead = set[str](), [step]
    while ahead:
        above = {read for _, read in pipeline.steps[ahead.pop()].reads()} - found
        found |= above
        ahead += above
    return tuple(name for name in pipeline.steps if name in found)


def _foreseen(name: str, plans: Iterable[StepPlan]) -> bool:
    """Whether a table holds no real rows: it asks a model, or depends on one that does."""
    return any(plan.name == name and (plan.model is not None or plan.rows is None) for plan in plans)


def _asking(name: str, kind_name: str, asked: str, model: ModelSpec, forecast: Forecast) -> tuple[StepPlan, str]:
    estimate = estimate_tokens(forecast.sample, model=model.model)
    prompt_tokens = round(forecast.prompt_chars * estimate.tokens_per_char) + 8 * forecast.requests
    cost, batch = _costs(model, prompt_tokens, forecast.completion_tokens)
    plan = StepPlan(
        name, kind_name, forecast.rows, asked, forecast.requests, prompt_tokens, forecast.completion_tokens, cost, batch,
        _seconds(model, forecast.requests), forecast.notes,
    )  # fmt: skip
    return plan, estimate.method


def _costs(model: ModelSpec, prompt_tokens: int, completion_tokens: int) -> tuple[float | None, float | None]:
    """US dollars as the model is asked, and as a batch."""
    price = price_of(model)
    if price is None:
        return None, None
    direct = (prompt_tokens * price.input_usd_per_mtok + completion_tokens * price.output_usd_per_mtok) / 1e6
    batch = direct * price.batch_factor
    return batch if isinstance(model, BatchModel) else direct, batch if direct else None


def _seconds(model: ModelSpec, requests: int) -> float | None:
    """Ten a second in process (measured on two cores); one second an answer from a server; batches nobody knows."""
    if isinstance(model, EmbeddedModel):
        return requests / 10
    return requests / model.concurrency if isinstance(model, OpenAIModel) else None


def _check_expected(pipeline: Pipeline, plan: StepPlan, summary: Mapping[str, Any]) -> None:
    gate = pipeline.expect.get(plan.name)
    if gate is not None and gate.max_near_duplicates is not None:
        _check_leakage_is_measured(pipeline, plan, summary)
    if (
        gate is not None
        and gate.rows is not None
        and plan.rows is not None
        and plan.rows != gate.rows
        and not pipeline.limit
    ):
        raise pipeline.document.error(
            ("expect", plan.name),
            f"{plan.rows:,} rows, expected {gate.rows:,}",
            "mend the step, or what is expected of it",
        )


def _check_leakage_is_measured(pipeline: Pipeline, plan: StepPlan, summary: Mapping[str, Any]) -> None:
    at = ("expect", plan.name, "max_near_duplicates")
    if plan.kind != "split":
        raise pipeline.document.error(
            at,
            f"{plan.name!r} is a `{plan.kind}` step, and near-duplicates are counted across a split",
            "name a `split` step, or leave this gate out",
        )
    if not can_measure():
        raise pipeline.document.error(
            at, "rensa is not installed, which counts near-duplicates", f"{INSTALL}, or leave this gate out"
        )
    if "near_duplicates" not in summary:
        raise pipeline.document.error(
            at,
            f"neither {plan.name!r} nor a step above it has questions to compare (`item_id` and `prompt`)",
            "leave this gate out",
        )


def _check_calibration(pipeline: Pipeline, grains: Mapping[str, str]) -> None:
    if pipeline.calibrate is None:
        return
    lineage = Lineage.of_pipeline(pipeline, grains)
    answers = read_calibration(pipeline.calibrate).answers
    if answers is None and lineage.judgments is None:
        raise pipeline.document.error(("calibrate",), "no step has judgments", "add a `judge` step")
    if answers is not None and grains.get(answers) != "judgments":
        raise pipeline.document.error(
            ("calibrate",),
            f"its `answers: {answers}` is no step with judgments",
            f"name {one_of(answers, lineage.of_grain('judgments'))} there",
        )


class _AskNobody:
    """Stands where the engine room stands, knows the models and asks none."""

    def __init__(self, models: Mapping[str, ModelSpec]) -> None:
        self._models = models

    def spec(self, model: str) -> ModelSpec:
        return self._models[model]

    def send(self, model: str, requests: Iterable[Request], *, planned: int) -> NoReturn:  # noqa: ARG002 - as Ask has it
        raise AssertionError(f"a plan asks nobody, and yet {planned} requests for {model!r}")

    def read(self, request_ids: Sequence[str]) -> list[Response]:
        raise AssertionError(f"a plan reads no answers, and yet {len(request_ids)}")
