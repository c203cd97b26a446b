"""`judge: score`, `grade`, `check`: how good, of which level, whether at all: numbers and words beside candidates."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from functools import cached_property
from itertools import islice
from typing import Annotated, Any, ClassVar, Literal

import polars as pl
from pydantic import AfterValidator, Field, ValidationInfo, field_validator, model_validator
from pydantic_core import PydanticKnownError

from prefgen.judging.ratings import Scale
from prefgen.schemas import LETTERS
from prefgen.spec.fields import Name
from prefgen.spec.pipeline import Grain
from prefgen.steps.context import Bound, Context, StepEstimate
from prefgen.steps.judge.criteria import CRITERION, with_criteria
from prefgen.steps.judge.rated import check_given, rated_by_people
from prefgen.steps.judge.rating import Asking, columns_of, tally_of
from prefgen.steps.step import Parts, Step
from prefgen.steps.write.different import Different
from prefgen.steps.write.jobs import Jobs, people_of
from prefgen.steps.write.joined import Rows, joined
from prefgen.store.table import Table, row_batches

_WITH_REASON = 60  # tokens of an answer
_EXACT = 5_000  # jobs that are all rendered for a plan; of more, about so many
_PAGE = "{{ prompt ~ '\n\n' if prompt is defined else '' }}Answer to be rated:\n\n{{ response }}"
_MARKED = (
    "{{ prompt }}{% if options is defined %}\n\n{% for option in options %}- {{ option }}\n{% endfor %}{% endif %}"
    "{% if response is defined %}\n\nAnswer:\n\n{{ response }}{% endif %}"
)
_TALKED = "Conversation to be rated:\n\n{% for turn in turns if turn.content %}{{ turn.role }}: {{ turn.content }}\n\n{% endfor %}"
_YES_NO = ("no", "yes")
_COLUMN = {"check": "passed"}  # of criteria that are rows; else the name of the scale


def _a_range(value: str) -> str:
    Scale.of_range(value)
    return value


class Rate(Step):
    """Rows with a rating by every criterion.

    ```yaml
    scored:  {judge: score, items: drafts, criteria: {quality: "a clear, correct and complete answer"}, range: 1..5, model: judge}
    graded:  {judge: grade, items: drafts, as: people, criteria: {fit: "how well it suits you"}, levels: [not at all, partly, well], model: judge}
    checked: {judge: check, items: drafts, criteria: {source: "it names where its facts come from"}, model: judge}
    marked:  {judge: mark, items: questions, marks: {fact: "it can be looked up", taste: "people differ"}, model: judge}
    ```

    The rows keep their columns. Of a score, `<criterion>` is the mean of the numbers over their probabilities (with `logprobs`; up
    to nine numbers) and repeats; of a grade the likeliest level, and `<criterion>_score` its place from 1, weighed likewise; of a check
    true or false, and `<criterion>_p` the probability of yes; of a mark the likeliest, and `<criterion>_<mark>` the probability of
    each. `as` personas adds `persona_id`: a row each, and a row with a
    `persona_id` is rated by that persona alone. A row of which a rating was not read has its reason in `reject_reason`.
    """

    kind: ClassVar[str] = "judge"
    grain: ClassVar[Grain | None] = "rows"

    judge: Literal["score", "grade", "check", "mark"] = Field(
        description="`score`: a number of `range`; `grade`: one of `levels`, in order; `check`: yes or no; `mark`: one of `marks`, in no order."
    )
    items: Name | list[Name] = Field(
        description="Step with candidates, or any rows with a page of your own; further steps are looked up by the ids that both have."
    )
    as_: Name | None = Field(
        None, alias="as", description="Step with the personas that rate; else the model does as itself."
    )
    given: Name | None = Field(
        None,
        description="Take the rating from this column instead: people's own, a number of the range, a level or its place from 1, or yes and no.",
    )
    model: str = Field("", validate_default=True, description="The model that rates, under `models:`; or give `given`.")
    criteria: Name | dict[Name, Annotated[str, Field(min_length=1)]] = Field(
        default_factory=dict,
        validate_default=True,
        description="What is rated, as templates over the row, by the name of the column; `mark` needs none, and then makes the column `mark`. Or a "
        "step with a `criterion` in every row: each row is rated by those that share its ids, a row each, in the column `score`, `grade`, `passed` or `mark`.",
    )
    range: Annotated[str, AfterValidator(_a_range)] = Field(
        "1..5", description="`score`: the numbers, e.g. 1..5 or -3..3."
    )
    levels: list[str] = Field(default_factory=list, description="`grade`: the levels, the least first; 2 to 9.")
    marks: list[Name] | dict[Name, str] = Field(
        default_factory=list,
        description="`mark`: the marks, or what each means by its name; 2 to 26. Each has a column `<criterion>_<mark>` with its probability.",
    )
    system: str | None = Field(None, description="Template of the system message; with `as` it follows the portrait.")
    page: str = Field(
        _PAGE,
        min_length=1,
        description="Template of what is rated, over the columns of the row; by default its `response`, or its `turns`.",
    )
    per_row: int | None = Field(None, ge=1, description="At most so many personas a row, drawn at random.")
    repeats: int = Field(1, ge=1, le=1000, description="Independent askings of each rating.")
    readout: Literal["logprobs", "text"] = Field(
        "logprobs", description="`logprobs`: one token and its alternatives; `text`."
    )
    reason: bool = Field(
        False, description="A reason first, kept in `<criterion>_reason`; the rating is then what the text says."
    )

    @field_validator("model", "criteria")
    @classmethod
    def _there(cls, value: Any, info: ValidationInfo) -> Any:
        """Somebody rates, and something is rated: answers that people gave need no model, and marks no criterion."""
        needless = (
            info.data.get("given") is not None if info.field_name == "model" else info.data.get("judge") == "mark"
        )
        if not value and not needless:
            raise PydanticKnownError("missing")
        return value

    @model_validator(mode="after")
    def _fits(self) -> Rate:
        if (self.judge == "mark") != bool(self.marks):
            raise ValueError("`marks` belong to a mark, and a mark needs them\nfix: write e.g. `marks: [fact, taste]`")
        if self.marks and not 2 <= len(set(self.marks)) == len(self.marks) <= len(LETTERS):
            raise ValueError("there are 2 to 26 different marks\nfix: correct the list")
        if (self.judge == "grade") != bool(self.levels):
            raise ValueError(
                "`levels` belong to a grade, and a grade needs them\nfix: write e.g. `levels: [poor, fair, good]`"
            )
        if self.levels and (
            not 2 <= len(self.levels) <= 9 or len({*map(str.casefold, self.levels)}) < len(self.levels)
        ):
            raise ValueError("a grade has 2 to 9 different levels\nfix: shorten the list, or use `judge: score`")
        if self.given is not None:
            check_given(self)
        return self

    @cached_property
    def scale(self) -> Scale:
        """What an answer may be, and what it is worth."""
        if self.judge == "score":
            return Scale.of_range(self.range)
        if self.judge == "mark":
            return Scale.of_marks(self.marks if isinstance(self.marks, dict) else dict.fromkeys(self.marks, ""))
        return Scale.of_words(self.levels) if self.judge == "grade" else Scale.of_words(_YES_NO, as_letters=False)

    @property
    def rated(self) -> dict[str, str]:
        """What is asked, by its column."""
        if isinstance(self.criteria, str):
            return {_COLUMN.get(self.judge, self.judge): f"{{{{ {CRITERION} }}}}"}
        return dict(self.criteria) or {"mark": ""}

    def reads(self) -> tuple[tuple[str, str], ...]:
        names = [self.items] if isinstance(self.items, str) else self.items
        people = (("as", self.as_),) if self.as_ else ()
        criteria = (("criteria", self.criteria),) if isinstance(self.criteria, str) else ()
        return (*(("items", name) for name in names), *people, *criteria)

    def asks(self) -> tuple[tuple[str, str], ...]:
        return (("model", self.model),) if self.model else ()

    def make(self, tables: Mapping[str, Table], context: Context) -> Parts:
        """The rows with their ratings, in order."""
        if self.given is not None:
            source = self._rows(tables, context)
            _check_columns(self, source.schema, context)
            return (yield from rated_by_people(self, source, self._schema(source.schema), context))
        jobs = self._jobs(tables, context)
        _check_columns(self, jobs.rows.schema, context)
        ask = Asking.of(self, context)
        requests = (request for job in jobs for request in ask.requests(job))
        context.ask.send(self.model, requests, planned=jobs.n * len(self.rated) * self.repeats)
        statuses: Counter[str] = Counter()
        tally = tally_of(self)
        for some in row_batches(jobs, lambda job: job.size):
            responses = iter(context.ask.read([one.request_id for job in some for one in ask.requests(job)]))
            rows = []
            for job in some:
                told = ask.row(job, list(islice(responses, len(self.rated) * self.repeats)), tally)
                statuses[told["reject_reason"] or "ok"] += 1
                rows.append(told)
            yield pl.DataFrame(rows, schema=self._schema(jobs.rows.schema), orient="row")
        return {"statuses": dict(sorted(statuses.items())), "ratings": tally.summary()}

    def estimate(self, tables: Mapping[str, Table], context: Context) -> StepEstimate:
        """Every rating once, whatever its row; of very many rows some are rendered."""
        jobs = self._jobs(tables, context)
        _check_columns(self, jobs.rows.schema, context)
        some = jobs.some(_EXACT) if jobs.n > _EXACT else jobs
        ask = Asking.of(self, context)
        different, tokens, rows = Different(), _WITH_REASON if self.reason else 2, []
        for job in some:
            for request in ask.requests(job):
                different.add(request.messages, request.repeat, tokens=tokens)
            rows.append(job.row | {"persona_id": job.persona or job.row.get("persona_id")})
        empty = pl.DataFrame(rows, schema=self._schema(jobs.rows.schema), orient="row")
        asked = different.asked(self.model, scale=jobs.n / max(1, some.n))
        bound: Bound = "exact" if some.n == jobs.n else "at most"
        return StepEstimate(rows=jobs.n, asked=(asked,), empty=empty, usable="at most", bound=bound)

    def _rows(self, tables: Mapping[str, Table], context: Context) -> Rows:
        named = [tables[name] for key, name in self.reads() if key == "items"]
        rows = joined(named, None, context, key="items", most=context.limit if self.model else None)
        return with_criteria(rows, tables[self.criteria], context) if isinstance(self.criteria, str) else rows

    def _jobs(self, tables: Mapping[str, Table], context: Context) -> Jobs:
        rows = self._rows(tables, context)
        people = people_of(None if self.as_ is None else tables[self.as_], context)
        needed = "prompt" if self.judge == "mark" else "response"
        talked = needed not in rows.schema and "turns" in rows.schema
        usual = _TALKED if talked else _MARKED if self.judge == "mark" else _PAGE
        if self.page == _PAGE and needed not in rows.schema and not talked:
            found = ", ".join(rows.schema)
            raise context.error(
                "items", f"its rows have no `{needed}`, only {found}", "write a `page:` over these columns"
            )
        return Jobs.of(
            rows,
            people,
            models=[self.model],
            repeats=1,
            per_row=self.per_row,
            system=self.system,
            prompt=usual if self.page == _PAGE else self.page,
            context=context,
            prompt_key="page",
        )

    def _schema(self, source: pl.Schema) -> pl.Schema:
        person = {"persona_id": pl.String()} if self.as_ is not None else {}
        made = {name: kind for one in self.rated for name, kind in columns_of(self, one).items()}
        return pl.Schema({**source, **person, **made, "reject_reason": pl.String()})


def _check_columns(step: Rate, rows: pl.Schema, context: Context) -> None:
    """What a step makes stands nowhere else."""
    made = [name for criterion in step.rated for name in columns_of(step, criterion)]
    taken = [name for name in made if name in {*rows, "persona_id", "reject_reason"} or made.count(name) > 1]
    if taken:
        fix = "name the criterion otherwise"
        raise context.error("criteria", f"there is a column {taken[0]!r} already", fix)
