"""Every table's own columns, once: type, role and meaning. What is in none of them is a coordinate, brought by the user."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import polars as pl

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
"""Names of options, in their given order."""

Role = Literal["key", "measure", "label", "coordinate", "text", "hidden"]
"""What a column is for: telling rows apart and joining them; how much or how surely; what was decided; grouping rows;
being read; or how the row came about."""

Type = pl.DataType | type[pl.DataType]


@dataclass(frozen=True, slots=True)
class Column:
    """One column. `type` is None where it depends on the run: a struct of its options, or of more than one kind."""

    name: str
    type: Type | None
    role: Role
    meaning: str


@dataclass(frozen=True, slots=True)
class Schema:
    """The columns that a table has of its own, in their usual order; not every such table has all of them."""

    columns: tuple[Column, ...]

    @property
    def names(self) -> frozenset[str]:
        """Names of all of them: no column of the user's may have one of these there."""
        return frozenset(one.name for one in self.columns)

    def meaning(self, name: str) -> str:
        """What a column says, in one line; KeyError for one that is not of these."""
        return {one.name: one.meaning for one in self.columns}[name]

    def types(self, *names: str) -> dict[str, Type]:
        """Types of the columns named, or of all whose type is fixed."""
        fixed = {one.name: one.type for one in self.columns if one.type is not None}
        return {name: fixed[name] for name in names} if names else fixed

    def __or__(self, other: Schema) -> Schema:
        """The columns of both; what both have is the first's."""
        return Schema((*self.columns, *(one for one in other.columns if one.name not in self.names)))

    def only(self, *names: str) -> Schema:
        """Some of the columns."""
        return Schema(tuple(one for one in self.columns if one.name in names))


def coordinates(columns: Iterable[str], *own: Schema) -> list[str]:
    """The columns that are none of the tables' own, in their order: what users brought to group rows by."""
    ours = frozenset[str]().union(*(schema.names for schema in own))
    return [name for name in columns if name not in ours]


_PERSONA_ID = Column("persona_id", pl.String, "key", "who answered; joins to the config `personas`")
_ITEM_ID = Column("item_id", pl.String, "key", "what was asked; joins to the config `items`")
_JUDGMENT_ID = Column("judgment_id", pl.String, "key", "this judgment")
_PAIR_ID = Column("pair_id", pl.String, "key", "this pair")
_ORDER = Column(
    "order", pl.String, "key", "how the options stood on the page: `given`, `swapped`, or turned by 1, 2, ..."
)
_REPEAT = Column("repeat", pl.Int64, "key", "which independent asking, from 0")
_WEIGHT = Column("weight", pl.Float64, "measure", "what the row stands for, about 1 on average")
_CONTROL = Column("control", pl.String, "coordinate", "null = a drawn person; else the kind of control persona")
_OPTIONS = Column("options", pl.List(pl.String), "text", "the answers on offer, in their given order")
_NEITHER = Column(
    "neither", pl.String, "label", "the option that means neither or not applicable; null = there is none"
)
_SPLIT = Column("split", pl.String, "coordinate", "part of the dataset")
_DROPPED = Column("reject_reason", pl.String, "hidden", "why the row was dropped; null = kept")


def _option(letter: str) -> Column:
    meaning = f"probability of option {letter} over the orders, 0 to 1; null = no such option, or an order was not read"
    return Column(f"p_{letter}", pl.Float64, "measure", meaning)


# fmt: off
PERSONAS = Schema((
    _PERSONA_ID,
    Column("population", pl.String, "coordinate", "population that the persona was drawn from"),
    _CONTROL,
    Column("control_of", pl.String, "key", "the persona that a control stands beside"),
    _WEIGHT,
    Column("person", pl.String, "key", "the person, where one is told in several wordings, or played by several models"),
    Column("wording", pl.String, "coordinate", "which wording of the portrait"),
    Column("played_by", pl.String, "coordinate", "the model that plays the persona, where several do"),
    Column("portrait", pl.String, "coordinate", "which of the population's portraits"),
    Column("text", pl.String, "text", "the portrait as the judge read it; empty = no persona"),
    Column("reject_reason", pl.String, "hidden", "why nobody was asked as this persona; null = kept"),
))
"""Beside them stand the attributes of the population."""

ITEMS = Schema((
    _ITEM_ID,
    Column("prompt", pl.String, "text", "the question"),
    _OPTIONS,
    Column("neither", pl.Int64, "label", "0-based place of the option that means neither or not applicable; null = there is none"),
    Column("reject_reason", pl.String, "hidden", "why nobody was asked about it; null = it was kept"),
))

ANSWERS = Schema((
    _JUDGMENT_ID,
    _PERSONA_ID,
    _ITEM_ID,
    _ORDER,
    _REPEAT,
    Column("choice", pl.String, "label", "option chosen, as a letter in the order of the item's options, whatever the slot; null = none"),
    Column("status", pl.String, "label", "ok, tie (no difference), na (does not apply), refusal, unparsed or failed"),
    Column("slot", pl.String, "label", "slot of the page that the answer named; null = no slot"),
    Column("p", None, "measure", "probability of each option in this presentation, and of `tie` and `na` where they were offered; they sum to 1, null = nothing read"),
    Column("p_read", pl.Float64, "measure", "share of the judge's next-token distribution that the choices hold, 0 to 1; null = the server gives none, or renormalises"),
    Column("certainty", pl.Int64, "measure", "the judge's own certainty, 1 to 100; null = not asked"),
    Column("reason", pl.String, "text", "the judge's own words; null = none were asked for"),
    Column("readout", pl.String, "hidden", "how the answer was obtained"),
    Column("model", pl.String, "hidden", "which model answered"),
    Column("request_id", pl.String, "hidden", "hash of the whole rendered request"),
    Column("failure", pl.String, "hidden", "why there is no answer, in the server's words; null = there is one"),
    _CONTROL,
    _WEIGHT,
    _NEITHER,
    _DROPPED,
    _SPLIT,
))
"""One presentation: what was answered."""

PROBABILITIES = Schema((
    *(_option(letter) for letter in LETTERS),
    Column("p_tie", pl.Float64, "measure", "probability of no difference, 0 to 1; null = not offered, or an order was not read"),
    Column("p_na", pl.Float64, "measure", "probability of does not apply, 0 to 1; null = not offered, or an order was not read"),
))
MEASURES = Schema((
    Column("p_choice", pl.Float64, "measure", "probability of the likeliest option over the orders, 0 to 1; null = an order was not read"),
    Column("debiased", pl.Boolean, "measure", "true = `p_<option>` is the mean of the log-odds over orders that balance, or has a slot prior taken out; false = the plain mean over orders; null = nothing read"),
    Column("order_agreement", pl.Boolean, "measure", "whether every order has the same likeliest option; null = one order only"),
    Column("repeat_agreement", pl.Float64, "measure", "share of repeats that name the most frequent choice, 0 to 1; null = one repeat only"),
    Column("position_bias", pl.Float64, "measure", "share of answers that name the first slot, beyond chance: 1 always, 0 as often as any other, below 0 more seldom; null = the orders do not balance, or one was not read"),
    Column("n_presentations", pl.Int64, "measure", "judgments of this persona on this item"),
))
"""All presentations of one persona and item together, besides the likeliest option and the probabilities."""

JUDGMENTS = ANSWERS | Schema((
    Column("item_choice", pl.String, "label", "likeliest option over all orders and repeats; null = undecided, tie or na likelier, or an order unread"),
)) | PROBABILITIES | MEASURES

PREFERENCES = Schema((
    _PERSONA_ID,
    _ITEM_ID,
    Column("choice", pl.String, "label", JUDGMENTS.meaning("choice")),
    Column("status", pl.String, "label", "ok, na or tie where that is likeliest, else why nothing was read"),
    Column("certainty", pl.Float64, "measure", "mean of the judge's own certainties, 1 to 100; null = not asked"),
    _CONTROL,
    _NEITHER,
    _WEIGHT,
    _DROPPED,
    _SPLIT,
)) | PROBABILITIES | MEASURES

PAIRS = Schema((
    _PAIR_ID,
    _PERSONA_ID,
    _ITEM_ID,
    Column("chosen", pl.String, "label", "letter of the chosen option"),
    Column("rejected", pl.String, "label", "letter of the rejected option"),
    Column("chosen_text", pl.String, "text", "text of the chosen option"),
    Column("rejected_text", pl.String, "text", "text of the rejected option"),
    Column("p_chosen", pl.Float64, "measure", "probability of the chosen option over the orders, 0 to 1"),
    Column("p_margin", pl.Float64, "measure", "probability of the chosen option minus that of the rejected one, 0 to 1"),
    _WEIGHT,
    _DROPPED,
    _SPLIT,
))

WEIGHTS = Schema((
    _PERSONA_ID,
    _ITEM_ID,
    Column("tier", pl.Int64, "measure", "1 = everybody else chose the same, up to the number of personas = nobody else did; null = too few answered"),
    Column("divergence", pl.Float64, "measure", "1 + (personas - 1) x mean Jensen-Shannon divergence, in bits, to the others on the item; null = too few answered"),
    Column("vote", pl.Float64, "measure", "share of the personas with a choice on the item who chose the same, by weight, in (0, 1]; null = too few answered"),
    Column("margin", pl.Float64, "measure", "probability of the likeliest answer less that of the runner-up, 0 to 1"),
    Column("n_others", pl.Int64, "measure", "other personas with a kept choice on the item"),
    Column("tier_weight", pl.Float64, "measure", "weight of the tier as published: over the tiers of a persona it sums to 1"),
    Column("weight", pl.Float64, "measure", "what a pair of this persona and item counts, about 1 on average; 0 = nothing"),
))

BATTLES = Schema((
    Column("question_id", pl.String, "key", "item_id"),
    Column("model_a", pl.String, "label", "whose answer stood in the earlier slot"),
    Column("model_b", pl.String, "label", "whose answer stood in the later slot"),
    Column("winner", pl.String, "label", "model_a, model_b, tie, or tie (bothbad)"),
    Column("judge", pl.String, "key", "persona_id of who judged"),
    Column("turn", pl.Int64, "hidden", "always 1"),
    Column("conversation_a", None, "text", "question and answer of model_a"),
    Column("conversation_b", None, "text", "question and answer of model_b"),
    _ORDER,
    _REPEAT,
    _JUDGMENT_ID,
    _SPLIT,
))

TRAINING_PAIRS = Schema((
    _PERSONA_ID,
    _ITEM_ID,
    _PAIR_ID,
    Column("prompt", None, "text", "the question; in training exports a conversation with the persona as system message"),
    Column("chosen", None, "text", "what the persona prefers, as a conversation"),
    Column("rejected", None, "text", "what it was preferred over, as a conversation"),
    Column("condition", pl.String, "text", "the portrait under which this was preferred"),
    Column("shots", None, "text", "earlier choices of the same persona"),
    Column("liked", None, "text", "what the same persona chose before"),
    Column("disliked", None, "text", "what the same persona chose others over"),
    Column("chosen_option", pl.String, "label", "letter of the chosen option"),
    Column("rejected_option", pl.String, "label", "letter of the rejected option"),
    _SPLIT,
))
CANDIDATES = Schema((
    _PERSONA_ID,
    _ITEM_ID,
    TRAINING_PAIRS.columns[3],
    Column("completion", None, "text", "one answer, as a conversation"),
    Column("option", pl.String, "label", "letter of the answer"),
    _SPLIT,
))
FORMS = Schema((
    Column("messages", None, "text", "a whole conversation: the persona as system message, the question, the answer"),
    Column("context", None, "text", "the question as a conversation, with the persona as system message"),
    Column("completions", None, "text", "the two answers, each with its rank: 0 what the persona prefers, 1 the other"),
))
"""What stands instead of prompt and answers where a trainer reads them in a form of its own."""

HISTORIES = Schema((
    Column("target_id", pl.Int64, "key", "0-based number of what is to be foreseen; its twin and its shorter histories have the same"),
    _PERSONA_ID,
    _ITEM_ID,
    Column("input", None, "text", "what is asked; null = nothing, the history alone"),
    Column("profile", None, "text", "what this persona did before, the earliest first"),
    Column("profile_size", pl.Int64, "measure", "how many earlier things there are"),
    Column("output", None, "label", "what the persona did: to be foreseen"),
    Column("peers", None, "text", "what others did before"),
    _SPLIT,
))

DIALOGUES = Schema((
    Column("messages", None, "text", "a conversation: role and content of every message"),
    _PERSONA_ID,
    _ITEM_ID,
    _SPLIT,
))

QUESTIONS = Schema((
    Column("question", pl.String, "text", "the question"),
    Column("options", pl.List(pl.String), "text", "the options, in an order drawn for every row unless it was wanted as it was"),
    Column("answer", pl.String, "label", "letter of the right option; null = none of them is"),
    Column("answer_text", pl.String, "label", "text of the right option"),
    Column("history", None, "text", "what this persona did before, the earliest first"),
    _PERSONA_ID,
    _ITEM_ID,
    _SPLIT,
))

CRITIQUES = Schema((
    Column("messages", None, "text", "what was asked (where something was), the draft, the feedback and the revision, as a conversation"),
    Column("draft", pl.String, "text", "the first answer"),
    Column("feedback", pl.String, "text", "what is said of it"),
    Column("revision", pl.String, "text", "the answer that was made of both"),
    _PERSONA_ID,
    _ITEM_ID,
    _SPLIT,
))

LABELS = Schema((
    _WEIGHT,
    *PAIRS.only("p_chosen", "p_margin").columns,
    Column("margin", pl.Float64, "measure", "the same as `p_margin` elsewhere, under the name that trainers of reward models put into their loss"),
    Column("p_soft", pl.Float64, "measure", "probability of the chosen option among the two, 0.5 to 1"),
    Column("agree_share", pl.Float64, "measure", "share of the other people with a pair on this item who chose the same, 0 to 1; null = nobody else"),
    Column("label", pl.Boolean, "label", "true = this persona chose it"),
    Column("p", pl.Float64, "measure", "probability of this answer, 0 to 1"),
    Column("user", pl.Int64, "key", "0-based number of the persona: its row in `personas`, where the rows are choices"),
    Column("item", pl.Int64, "key", "0-based number of the thing: of an answer, counted through the options of `items`"),
    Column("level", pl.Int64, "label", "1 = chosen, 0 = not; of rows that somebody brought, what they say"),
    Column("time", pl.Int64, "key", "when: 0-based place of the question in the order in which it was met, or the time that the rows have"),
))
"""What exports add for trainers; each preset names those that it has."""
# fmt: on
