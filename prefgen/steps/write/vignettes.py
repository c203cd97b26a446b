"""`write: vignettes`: each option of an item retold as a short scene, and a reader tells which option it was."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import polars as pl
from pydantic import Field, field_validator

from prefgen.ids import content_id
from prefgen.judging.leaks import leaked, telltale_words, without
from prefgen.judging.prompts import Messages
from prefgen.judging.prose import count_sentences
from prefgen.judging.vignettes import (
    read_back_messages,
    read_back_orders,
    read_back_slot,
    vignette_messages,
)
from prefgen.records import Reading
from prefgen.schemas import LETTERS
from prefgen.spec.fields import Name
from prefgen.spec.pipeline import Grain
from prefgen.steps.context import Bound, Context
from prefgen.steps.table.glue import kept_of
from prefgen.steps.table.rendering import rendered
from prefgen.steps.write import Question, Tried, Write
from prefgen.store.table import Table


class Vignettes(Write):
    """The same items with every option retold as a vignette; one marked neither stays as it is.

    ```yaml
    vignettes: {write: vignettes, items: questions, model: writer, leaks: [pole_a, pole_b], prompt: "Which scene is closer to you?"}
    ```

    An item whose vignettes fail a check stays, with the reason in `reject_reason`, and no `judge` step asks about it:
    `leak` (one of them says a word that is not to be said), `sentences` (too few or too many), `unbalanced` (the
    longest has too many words beside the shortest), `unfaithful` (a reader takes one for another option in some
    order), `unread` (a reader's answer cannot be read), `refusal`, `unparsed` (no text), `failed` (no response).
    """

    grain: ClassVar[Grain | None] = "items"

    write: Literal["vignettes"] = Field(description="`vignettes`: a short scene for each option of an item.")
    items: str = Field(description="Name of the step with the items.")
    prompt: str | None = Field(
        None, description="Template of the question asked about the vignettes; by default the item's own prompt."
    )
    leaks: list[Name] = Field(
        default_factory=list,
        description="Columns whose words no vignette may say, in any form; a word of the new prompt may be said.",
    )
    words: int = Field(70, ge=20, le=1000, description="Length asked for, in words.")
    sentences: tuple[int, int] = Field((3, 5), description="Fewest and most sentences of a vignette.")
    length_ratio: float = Field(
        1.5, ge=1, le=10, description="Most words of an item's longest vignette, as a multiple of its shortest."
    )

    @field_validator("sentences")
    @classmethod
    def _in_order(cls, value: tuple[int, int]) -> tuple[int, int]:
        if not 1 <= value[0] <= value[1]:
            raise ValueError(f"no text has {value[0]} to {value[1]} sentences\nfix: write e.g. [3, 5]")
        return value

    def reads(self) -> tuple[tuple[str, str], ...]:
        return (("items", self.items),)

    def work(self, tables: Mapping[str, Table], context: Context) -> Retelling:
        items = _items(self, tables, context)
        prompts = items["prompt"] if self.prompt is None else rendered(items, self.prompt, "prompt", context)
        rows = list(items.iter_rows(named=True))
        secrets = [telltale_words(str(row[name]) for name in self.leaks if row[name] is not None) for row in rows]
        unsaid = [without(words, prompt) for words, prompt in zip(secrets, prompts, strict=True)]
        return Retelling(self, items, prompts, rows, unsaid)


@dataclass(frozen=True, slots=True)
class Retelling:
    """The items to be retold.

    prompts    the new question about each
    unsaid     the words that its vignettes may not say
    """

    spec: Vignettes
    items: pl.DataFrame
    prompts: pl.Series
    rows: list[dict[str, Any]]
    unsaid: list[tuple[str, ...]]

    @property
    def n_rows(self) -> int:
        """Items to be retold."""
        return len(self.rows)

    @property
    def usable(self) -> Bound:
        """`at most`: an item whose vignettes fail a check is not asked about."""
        return "at most"

    def pages(self, row: int) -> Sequence[Messages]:
        """One for every option but the one marked neither."""
        item = self.rows[row]
        options = [item["options"][place] for place in self._places(row)]
        return [
            vignette_messages(
                item["prompt"],
                option,
                [other for other in options if other != option],
                words=self.spec.words,
                sentences=self.spec.sentences,
                unsaid=self.unsaid[row],
            )
            for option in options
        ]

    def fault(self, row: int, texts: Sequence[str]) -> str | None:
        """`leak`, `sentences` or `unbalanced`."""
        fewest, most = self.spec.sentences
        if any(leaked(text, self.unsaid[row]) for text in texts):
            return "leak"
        if not all(fewest <= count_sentences(text) <= most for text in texts):
            return "sentences"
        lengths = [len(text.split()) for text in texts]
        return "unbalanced" if max(lengths) > self.spec.length_ratio * min(lengths) else None

    def questions(self, row: int, texts: Sequence[str]) -> Sequence[Question]:
        """Which option each vignette tells, with every option in every slot."""
        item = self.rows[row]
        letters = tuple(LETTERS[: len(item["options"])])
        return [
            Question(
                read_back_messages(_on_one_line(text), item["prompt"], item["options"], item["neither"], order), letters
            )
            for text in texts
            for order in self._orders(row)
        ]

    def verdict(self, row: int, texts: Sequence[str], readings: Sequence[Reading]) -> str | None:  # noqa: ARG002 - as Work has it
        """`failed` or `unread` where an answer is missing, `unfaithful` where one names another option."""
        item = self.rows[row]
        right = [
            read_back_slot(place, len(item["options"]), item["neither"], order)
            for place in self._places(row)
            for order in self._orders(row)
        ]
        if any(reading.status == "failed" for reading in readings):
            return "failed"
        if any(reading.symbol is None for reading in readings):
            return "unread"  # of a text that came: `unparsed` is one that did not
        return None if [reading.symbol for reading in readings] == right else "unfaithful"

    def table(self, tried: Mapping[int, Tried]) -> pl.DataFrame:
        """The items with new `item_id`, `prompt` and `options`, their coordinates as they were, and

        retold           what they were: item_id, prompt, options
        reject_reason    why its vignettes cannot be used, null where they can; the last ones written stand there
        """
        options = [self._retold(row, tried[row].texts) for row in range(self.n_rows)]
        kept = {"item_id", "prompt", "options", "neither"}
        made = self.items.select(
            self.prompts.alias("prompt"),
            pl.Series("options", options, pl.List(pl.String)),
            "neither",
            *(name for name in self.items.columns if name not in kept),
            pl.struct("item_id", "prompt", "options").alias("retold"),
        )
        ids = [
            content_id("item", (item["item_id"], prompt, texts))
            for item, prompt, texts in zip(self.rows, self.prompts, options, strict=True)
        ]
        reasons = [tried[row].reason for row in range(self.n_rows)]
        return made.select(
            pl.Series("item_id", ids, pl.String), pl.all(), pl.Series("reject_reason", reasons, pl.String)
        )

    def summary(self, tried: Mapping[int, Tried]) -> dict[str, Any]:
        """Items, how many were retold, and the mean length of a vignette in words."""
        good = [one for one in tried.values() if one.reason is None]
        lengths = [len(text.split()) for one in good for text in one.texts]
        return {
            "items": self.n_rows,
            "retold": len(good),
            "words_mean": round(sum(lengths) / len(lengths), 2) if lengths else None,
        }

    def _orders(self, row: int) -> tuple[str, ...]:
        return read_back_orders(len(self.rows[row]["options"]), self.rows[row]["neither"])

    def _places(self, row: int) -> list[int]:
        item = self.rows[row]
        return [place for place in range(len(item["options"])) if place != item["neither"]]

    def _retold(self, row: int, texts: Sequence[str]) -> list[str]:
        options = list(self.rows[row]["options"])
        for place, text in zip(self._places(row), texts, strict=True):
            options[place] = _on_one_line(text)
        return options


def _on_one_line(text: str) -> str:
    return " ".join(text.split())  # an option is one line of the judge's page


def _items(spec: Vignettes, tables: Mapping[str, Table], context: Context) -> pl.DataFrame:
    items = tables[spec.items].read()
    if not {"item_id", "prompt", "options", "neither"} <= set(items.columns):
        raise context.error(
            "items",
            f"{spec.items!r} has no items: it needs the columns `prompt` and `options`",
            "name a `table` step with `forms:`, or with rows that have both",
        )
    if "retold" in items.columns:
        raise context.error("items", f"{spec.items!r} has a column 'retold' already", "rename it, or retell once")
    for place, name in enumerate(spec.leaks):
        if name not in items.columns:
            raise context.error(
                ("leaks", place), f"the items have no column {name!r}", f"use some of {', '.join(items.columns)}"
            )
    items = kept_of(items)
    if items.is_empty():
        raise context.error("items", f"{spec.items!r} has no items that were kept", "look at what was dropped, and why")
    return items[context.preview(items["item_id"].to_list())]
