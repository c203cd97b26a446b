"""What a run will make and cost, found without asking any model."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NoReturn

import polars as pl

from prefgen.dispatch.prices import price_of
from prefgen.dispatch.speed import speed_of
from prefgen.errors import Complaint, SpecError
from prefgen.flow.pipeline import context_of, grain_of, step_of
from prefgen.flow.planned import Made, ModelPlan, Plan, Standing, StepPlan
from prefgen.records import Request, Response
from prefgen.spec.document import Key
from prefgen.spec.models import BatchModel, ModelSpec
from prefgen.spec.pipeline import Pipeline
from prefgen.steps.context import Asked, Bound, Context, weakest
from prefgen.steps.step import Output, Step
from prefgen.store.packed import unpacked
from prefgen.store.spill import spilled
from prefgen.store.table import Table


def _nothing_stands(_: str) -> Made | None:
    return None


def make_plan(pipeline: Pipeline, standing: Standing = _nothing_stands) -> Plan:
    """Run the pipeline without its models: real rows up to the first model, foreseen ones after it.

    standing    finds tables made before, of steps that rest on no model

    Finds everything that can be found before money is spent: SpecError for what is wrong in the YAML or in
    the tables it reads, for an export that cannot be made and for an `expect:` that cannot be met.
    """
    seen = _Foreseen(pipeline, standing)
    complaints: list[Complaint] = []
    for name, step in pipeline.steps.items():
        if not all(read in seen.tables for _, read in step.reads()):
            continue  # of what rests on a step that is wrong nothing is known
        try:
            seen.add(name)
        except SpecError as error:
            complaints += error.complaints
    if complaints:
        raise SpecError(*complaints)
    from prefgen.publish.exports.check import check_exports

    check_exports(pipeline, seen.tables, seen.grains)
    if pipeline.analyse:
        from prefgen.analysis.asked import check_analyses

        check_analyses(pipeline, seen.tables, seen.grains)
    if pipeline.calibrate is not None:
        from prefgen.analysis.calibration_check import (
            check_calibration,
        )  # heavy, and few runs are held against a survey

        check_calibration(pipeline, pipeline.calibrate, seen.tables, seen.grains)
    return Plan(tuple(seen.plans.values()), seen.token_method, seen.made)


class _Foreseen:
    """The steps of a pipeline as far as they are foreseen, each from those above it."""

    def __init__(self, pipeline: Pipeline, standing: Standing) -> None:
        self.plans: dict[str, StepPlan] = {}
        self.grains: dict[str, str] = {}
        self.made: dict[str, Made] = {}
        self.token_method: str | None = None
        self._pipeline = pipeline
        self._standing = standing
        self._ask = _AskNobody(pipeline.models)
        self.tables: dict[str, Table] = {}
        self._usable: dict[str, Bound] = {}

    def add(self, name: str) -> None:
        """Foresee one step."""
        step = step_of(self._pipeline, name)
        context = context_of(self._pipeline, name, self._ask)
        summary: Mapping[str, Any] = {}
        if step.asks():
            plan = self._asking(name, step, context)
        elif all(read in self.made for _, read in step.reads()):
            made = self._standing(name) or _made(step, self.tables, context)
            self.made[name], self.tables[name], self._usable[name] = made, self._seen(step, made.table), "exact"
            summary = made.summary
            plan = StepPlan(name, step.kind, made.table.n_rows, notes=tuple(summary.get("notes", ())))
        else:
            plan, summary = self._after_a_model(name, step, context)
        self.plans[name] = plan
        self.grains[name] = grain_of(step, self.tables[name], self.grains)
        _check_expected(self._pipeline, plan, summary)

    def _after_a_model(self, name: str, step: Step, context: Context) -> tuple[StepPlan, Mapping[str, Any]]:
        """A step without a model over foreseen rows: a step with the grain of what it reads keeps its rows."""
        output = Output(step, self.tables, context)
        self.tables[name] = self._seen(step, spilled(name, output))
        notes = tuple(context.notes)
        if step.made_grain is not None:
            self._usable[name] = "unknown"
            foreseen = (
                self.tables[name].n_rows or None
            )  # of rows that are to be written; of answers nothing is foreseen
            return StepPlan(name, step.kind, foreseen, rows_are="unknown", notes=notes), output.summary
        first = self.plans[step.reads()[0][1]]
        self.tables[name] = _undropped(self.tables[name], self.tables[first.name])
        self._usable[name] = weakest("at most", self._usable[first.name])
        return StepPlan(name, step.kind, first.rows, rows_are=first.rows_are, notes=notes), output.summary

    def _seen(self, step: Step, table: Table) -> Table:
        """A step's table as later steps see it."""
        packed = step.packed(self.tables)
        return table if packed is None else unpacked(table, packed, [self.tables[read] for read in packed.steps])

    def _asking(self, name: str, step: Step, context: Context) -> StepPlan:
        above = [read for _, read in step.reads()]
        estimate = step.estimate(self.tables, context)
        self.tables[name] = Table(name, (estimate.empty.lazy(),), estimate.rows)
        rows_are = weakest(*(self._usable[read] for read in above))
        self._usable[name] = weakest(rows_are, estimate.usable)
        # Texts that a model has yet to write may turn out the same, and the same is asked once.
        written: Bound = "exact" if all(read in self.made for read in above) else "at most"
        return StepPlan(
            name,
            step.kind,
            estimate.rows,
            tuple(self._of_model(step, asked) for asked in estimate.asked),
            notes=estimate.notes,
            rows_are=rows_are,
            requests_are=weakest(rows_are, estimate.bound, written),
        )

    def _of_model(self, step: Step, asked: Asked) -> ModelPlan:
        model = self._pipeline.models[asked.model]
        from prefgen.dispatch.tokens import estimate_tokens

        estimate = estimate_tokens(asked.sample, model=model.model)
        self.token_method = self.token_method or estimate.method
        prompt_tokens = round(asked.prompt_chars * estimate.tokens_per_char) + 8 * asked.requests
        task = f"{step.kind}:{round(asked.completion_tokens / asked.requests) if asked.requests else 0}"
        speed = speed_of(model, task)
        return ModelPlan(
            asked.model,
            task,
            asked.requests,
            prompt_tokens,
            asked.completion_tokens,
            *_costs(model, prompt_tokens, asked.completion_tokens),
            seconds=None if speed is None else asked.requests / speed.requests_per_s,
            measured=speed is not None and speed.measured,
        )


def _undropped(table: Table, before: Table) -> Table:
    """Foreseen rows with the reasons that they had before: what a model has yet to write or to rate cannot fail a condition."""
    if "reject_reason" not in table.schema:
        return table
    rows, known = table.read(), before.read()
    reasons = known["reject_reason"] if "reject_reason" in known.columns else pl.Series([None] * rows.height)
    return Table.of(table.name, [rows.with_columns(reasons.cast(pl.String).alias("reject_reason"))])


def _made(step: Step, tables: Mapping[str, Table], context: Context) -> Made:
    begun = time.monotonic()
    output = Output(step, tables, context)
    table = spilled(context.step, output)
    return Made(table, output.summary, time.monotonic() - begun)


def _costs(model: ModelSpec, prompt_tokens: int, completion_tokens: int) -> tuple[float | None, float | None]:
    """US dollars as the model is asked, and as a batch."""
    price = price_of(model)
    if price is None:
        return None, None
    direct = (prompt_tokens * price.input_usd_per_mtok + completion_tokens * price.output_usd_per_mtok) / 1e6
    batch = direct * price.batch_factor
    return batch if isinstance(model, BatchModel) else direct, batch if direct else None


def _check_expected(pipeline: Pipeline, plan: StepPlan, summary: Mapping[str, Any]) -> None:
    gate = pipeline.expect.get(plan.name)
    if gate is not None and gate.max_near_duplicates is not None:
        _check_leakage_is_measured(pipeline, plan, summary)
    if gate is None or plan.rows is None or plan.rows_are == "unknown" or pipeline.limit:
        return
    wanted = gate.rows if gate.rows is not None else gate.min_rows
    missed = wanted is not None and (plan.rows < wanted or (gate.rows is not None and plan.rows > wanted))
    if wanted is not None and missed and (plan.rows_are == "exact" or plan.rows < wanted):
        at_most, at_least = (
            "at most " if plan.rows_are == "at most" else "",
            "" if gate.rows is not None else "at least ",
        )
        raise pipeline.document.error(
            ("expect", plan.name),
            f"{at_most}{plan.rows:,} rows, expected {at_least}{wanted:,}",
            "correct the step, or what is expected of it",
        )


def _check_leakage_is_measured(pipeline: Pipeline, plan: StepPlan, summary: Mapping[str, Any]) -> None:
    at = ("expect", plan.name, "max_near_duplicates")
    if plan.kind != "split":
        raise pipeline.document.error(
            at,
            f"{plan.name!r} is a `{plan.kind}` step, and near-duplicates are counted across a split",
            "name a `split` step, or leave this gate out",
        )
    _check_rensa_is_installed(pipeline, at)
    if "near_duplicates" not in summary:
        raise pipeline.document.error(
            at,
            f"neither {plan.name!r} nor a step above it has questions to compare (`item_id` and `prompt`)",
            "leave this gate out",
        )


def _check_rensa_is_installed(pipeline: Pipeline, at: Key) -> None:
    from prefgen.store.leakage import INSTALL, can_measure

    if not can_measure():
        raise pipeline.document.error(
            at, "rensa is not installed, which counts near-duplicates", f"{INSTALL}, or leave this gate out"
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
