"""`write: TYPE`: a model writes what a template asks for about every row, in a form that is declared; no preset."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from functools import cached_property
from itertools import chain
from typing import Annotated, Any, ClassVar

from pydantic import Field, field_validator, model_validator

from prefgen.dialogues import Dialogue, replayed
from prefgen.spec.fields import Name
from prefgen.spec.models import BatchModel
from prefgen.spec.pipeline import Grain
from prefgen.spec.reply import Reply, reply_of
from prefgen.steps.context import Context, StepEstimate, together
from prefgen.steps.step import Parts, Step
from prefgen.steps.write.asking import line_of
from prefgen.steps.write.estimate import asked_for, read_for
from prefgen.steps.write.jobs import Job, Jobs, people_of
from prefgen.steps.write.joined import Joined, joined
from prefgen.steps.write.measures import Measure
from prefgen.steps.write.memory import NAME, Memory, lines_of, longest, submissions
from prefgen.steps.write.outcome import Outcome, Written
from prefgen.steps.write.reader import Reader
from prefgen.steps.write.readers import Readers
from prefgen.store.table import Table, row_batches

_EXACT = 5_000  # jobs that are all rendered for a plan; of more, about so many
_TOKENS = {True: 120, False: 60}  # of a reply: prose, and one row of fields


class Free(Step):
    """What a model writes about the rows of a table: a text, fields, or a list of either, one row each.

    ```yaml
    drafts:  {write: response, for: prompts, as: poles, model: writer, prompt: "{{ prompt }}"}
    prompts: {write: [prompt], count: 3, for: tools, model: writer, prompt: "Requests that {{ about }} would serve."}
    ratings: {write: {quality: 1..5, why: text}, for: drafts, model: [a, b], prompt: "How good is this? {{ response }}"}
    ```

    Every row keeps the columns of the row it was written about. Added are `<step>_id`, `request_id`, `writer` (the model's name under
    `models:`), `written_as` (a persona_id), `repeat`, `<step>_place` (in a list), the columns declared, and `reject_reason`. A column
    that was there before is kept as `<name>_before`. Rows with `prompt` and `response` are candidates, and with `prompt` and `options` items.
    What cannot be read, or fails a check, is asked again as often as `tries` allows, and then stays with its reason.
    """

    kind: ClassVar[str] = "write"
    grain: ClassVar[Grain | None] = "rows"

    write: Any = Field(
        description="A column (one text); `{column: type}`; or `[column]` or `[{column: type}]` for a list. "
        "Types: text, number, yes/no, json, 1..5, [word, word] (one of them), [text] (a list), {name: type}. `{column: vector}`: what the "
        "endpoint's embedding model makes of the `prompt`."
    )
    for_: Name | Annotated[list[Name], Field(min_length=1)] = Field(
        alias="for",
        description="Step with the rows; further ones are looked up by the ids that both have, one row each.",
    )
    match: list[Name] | None = Field(None, description="Columns by which further tables are looked up, instead of ids.")
    as_: Name | None = Field(
        None,
        alias="as",
        description="Step with the personas that write. A row with a `persona_id` is written by that one alone.",
    )
    per_row: int | None = Field(None, ge=1, description="At most so many personas a row, drawn at random.")
    model: Name | Annotated[list[Name], Field(min_length=1)] = Field(
        description="The model that writes, under `models:`; of several each writes every row."
    )
    system: str | None = Field(None, description="Template of the system message; with `as` it follows the portrait.")
    prompt: str = Field(
        "{{ prompt }}",
        min_length=1,
        description="Template of what is asked, over the columns of the row, and `persona` where there is one.",
    )
    count: int | None = Field(None, ge=1, le=1000, description="Rows asked for, of a list; further ones are left out.")
    repeats: int = Field(1, ge=1, le=1000, description="Independent askings.")
    measure: dict[Name, Measure] = Field(
        default_factory=dict,
        description="Columns with numbers: `{words: c}`, `{sentences: c}`, `{overlap: a, with: b}` (share of the words that two texts have in "
        "common), `{says: c, of: [columns]}` (how many of these stand in a text).",
    )
    where: dict[str, str] = Field(
        default_factory=dict, description="SQL by the reason why a row for which it is not true is dropped."
    )
    reader: dict[str, Reader] = Field(
        default_factory=dict,
        description="Questions to a model about what was written, by the reason why a row that is not read as meant is dropped: `ask` (template over the row) "
        "or `items` (a step: each of its items is asked), `as` (column with the portrait of who answers), "
        "`options` (yes/no, a list, a column with lists, or columns with an answer each), `want` (an option, a column, or same), `each` (column with a "
        "list: about every `element`), `orders`, `repeats`, `least` (share that must have the wanted answer), `model`.",
    )
    tries: int = Field(1, ge=1, le=10, description="How often a row is asked until it passes.")
    again: str | None = Field(
        None,
        description="Template of what is said before a further try, over the row, `written` (the text; `written.column` of what it says), `reason`, "
        "and the questions that a reader was not answered as meant, under the reader's name.",
    )
    memory: Memory | None = Field(
        None,
        description="`{by: [columns], order: column, see: column, last: n}`: rows that agree in `by` are written one after the other, and templates see "
        "in `memory` what the earlier ones gave, of the same model, persona and repeat; a row that is dropped gives nothing.",
    )
    max_tokens: int = Field(600, ge=1, le=100_000, description="Most tokens of a reply, where the model does not say.")

    @field_validator("write")
    @classmethod
    def _declared(cls, value: Any) -> Any:
        reply_of(value)
        return value

    @model_validator(mode="after")
    def _fits(self) -> Free:
        if self.count is not None and not self.reply.many:
            raise ValueError(
                f"`count` belongs to a list\nfix: write `write: [{self.reply.names[0]}]`, or leave `count` out"
            )
        if len(set(self.models)) < len(self.models):
            raise ValueError("a model stands twice\nfix: name each once, and write `repeats:`")
        if self.per_row is not None and self.as_ is None:
            raise ValueError("`per_row` counts personas\nfix: name them with `as:`")
        if self.again is not None and self.tries == 1:
            raise ValueError("`again` is said before a second try\nfix: write e.g. `tries: 3`")
        if self.reply.is_vector and (self.as_ is not None or self.system is not None or self.again is not None):
            raise ValueError(
                "a vector is that of a text, and nobody says it\nfix: leave `as`, `system` and `again` out"
            )
        if self.reply.is_vector and self.repeats > 1:
            raise ValueError("a vector is computed and not drawn: asked again it is the same\nfix: leave `repeats` out")
        if both := set(self.reader) & set(self.where):
            raise ValueError(f"{min(both)!r} stands under `where` and under `reader`\nfix: give each a name of its own")
        return self

    @cached_property
    def reply(self) -> Reply:
        """What is declared."""
        return reply_of(self.write)

    @property
    def models(self) -> list[str]:
        """Names of the models."""
        return [self.model] if isinstance(self.model, str) else list(self.model)

    def reads(self) -> tuple[tuple[str, str], ...]:
        names = [self.for_] if isinstance(self.for_, str) else self.for_
        items = dict.fromkeys(one.items for one in self.reader.values() if one.items is not None)
        people = (("as", self.as_),) if self.as_ else ()
        return (*(("for", name) for name in names), *people, *(("reader", name) for name in items))

    def asks(self) -> tuple[tuple[str, str], ...]:
        reading = (one.model for one in self.reader.values() if one.model is not None)
        return (*(("model", name) for name in self.models), *(("reader", name) for name in dict.fromkeys(reading)))

    def make(self, tables: Mapping[str, Table], context: Context) -> Parts:
        """The rows, in the order of those written about; with a memory group by group."""
        jobs, outcome = self._jobs(tables, context), self._outcome(tables, context)
        statuses: Counter[str] = Counter()

        asked = dict.fromkeys(name for _, name in self.asks())
        specs = {name: context.ask.spec(name) for name in asked}
        readers = Readers.of(self.reader, outcome.rows([]).schema, tables, context)

        def dialogues() -> Iterator[Dialogue[list[tuple[Job, Written]]]]:
            return (line_of(self, line, outcome, readers, specs) for line in lines_of(self.memory, jobs))

        context.ask.drive([*asked], dialogues(), planned=jobs.n)
        replies = chain.from_iterable(replayed(dialogues(), context.ask.read))
        for some in row_batches(replies, lambda one: one[0].size + one[1].size):
            frame = outcome.rows(some)
            for reason, count in frame["reject_reason"].value_counts().iter_rows():
                statuses[reason or "ok"] += count
            yield frame
        if not jobs.n:
            yield outcome.rows([])
        return {"statuses": dict(sorted(statuses.items()))}

    def estimate(self, tables: Mapping[str, Table], context: Context) -> StepEstimate:
        """One try for every row, as if everything passed; of very many rows some are rendered."""
        jobs, outcome = self._jobs(tables, context), self._outcome(tables, context)
        per_row = (self.count or 1) if self.reply.many else 1
        tokens = 0 if self.reply.is_vector else min(_TOKENS[self.reply.is_prose] * per_row, self.max_tokens)
        some = jobs.some(_EXACT) if jobs.n > _EXACT else jobs
        asked, n_some = tuple(asked_for(some, self, tokens, jobs.n / max(1, some.n))), some.n
        few = outcome.placeholders(some, per_row)
        readers = Readers.of(self.reader, outcome.rows([]).schema, tables, context)
        alone = not self.reader and self.memory is None  # what is asked rests on no other answer
        return StepEstimate(
            rows=jobs.n * per_row,
            asked=together([*asked, *read_for(readers, few, self.models, tokens // per_row, jobs.n / max(1, n_some))]),
            empty=few,
            notes=tuple(self._notes(context, jobs)),
            bound="unknown" if self.tries > 1 else "exact" if n_some == jobs.n and alone else "at most",
            usable="at most" if not self.reply.many or self.count else "unknown",
        )

    def _notes(self, context: Context, jobs: Jobs) -> Iterator[str]:
        if not jobs.n:
            yield "not counted: its rows rest on answers that nobody gave yet"
        if self.repeats > 1 and any(context.ask.spec(name).temperature == 0 for name in self.models):
            yield f"{self.repeats} repeats at temperature 0 are {self.repeats} times the same answer: set the model's `temperature`"
        if self.tries > 1:
            yield f"counted as if every row passes at the first try; at most {self.tries} times as many requests"
        if self.reply.many and self.count is None:
            yield "counted as one row a reply: `count` says how many are asked for"
        if self.memory is not None and any(isinstance(context.ask.spec(name), BatchModel) for _, name in self.asks()):
            yield submissions(longest(self.memory, jobs) * self.tries * (1 + len(self.reader)))

    def _jobs(self, tables: Mapping[str, Table], context: Context) -> Jobs:
        rows = self._rows(tables, context)
        without = [name for name in self.models if self.reply.is_vector and not context.ask.spec(name).gives_vectors]
        if without:
            problem = f"the engine `{context.ask.spec(without[0]).engine}` gives no vectors"
            raise context.error("model", problem, "name a model with `engine: openai`, whose server has /embeddings")
        people = people_of(None if self.as_ is None else tables[self.as_], context)
        return Jobs.of(
            rows,
            people,
            models=self.models,
            repeats=self.repeats,
            per_row=self.per_row,
            system=self.system,
            again=self.again,
            prompt="\n\n".join(filter(None, (self.prompt, self.reply.asked(self.count)))),
            context=context,
            remembers=self.memory is not None,
        )

    def _rows(self, tables: Mapping[str, Table], context: Context) -> Joined:
        named = [tables[name] for key, name in self.reads() if key == "for"]
        return joined(named, self.match, context, most=context.limit)

    def _outcome(self, tables: Mapping[str, Table], context: Context) -> Outcome:
        rows = self._rows(tables, context)
        as_people = self.as_ is not None
        outcome = Outcome.of(rows.schema, self.reply, self.measure, self.where, context, written_as=as_people)
        if self.memory is not None:
            self.memory.check(rows.schema, context)
            gives = outcome.rows([]).columns
            if self.memory.see not in gives:
                said = f"no column {self.memory.see!r} in what is written"
                raise context.error((NAME, "see"), said, f"name one of {', '.join(gives)}")
        return outcome
