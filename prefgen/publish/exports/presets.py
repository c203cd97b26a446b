"""The exports by name: each a grain, a context and labels, and what they need to be made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Unit = Literal[
    "judgment",
    "preference",
    "pair",
    "candidate",
    "battle",
    "persona",
    "item",
    "row",
    "history",
    "question",
    "critique",
    "dialogue",
]
"""What one row of an export is."""

Form = Literal["apart", "whole", "message", "ranked"]
"""How the texts of a row stand: prompt and answers apart, the prompt inside each answer, each answer as one message
instead of a conversation, or the answers in a ranked list; of a row that is one answer, apart or the whole conversation."""

Context = Literal["none", "profile", "condition", "shots"]
"""What a row says about its persona: nothing, the portrait as system message, the portrait as a column of its own
and as system message, or earlier choices of the same persona."""


@dataclass(frozen=True, slots=True)
class Preset:
    """One export. A new reader of the data needs a line in `PRESETS`, not code.

    labels    label columns in the order in which they are written; the builders of the grain know more than one needs
    reader    who reads exactly these columns
    classes   columns that are one of a fixed list of words, for readers that want them numbered
    form      how prompt and answers stand

    Only the preset `margin` has a column of that name: trainers of reward models take one for a margin in their loss.
    """

    unit: Unit
    context: Context
    labels: tuple[str, ...]
    about: str
    reader: str
    classes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    form: Form = "apart"

    @property
    def of_rows(self) -> bool:
        """Whether it is made of rows of any kind, whatever the run's judgments are."""
        return self.unit in ("row", "history", "question", "critique", "dialogue")

    @property
    def needs(self) -> tuple[str, ...]:
        """Grains of tables it can be made from, the preferred one first."""
        return {
            "pair": ("pairs", "judgments"),
            "candidate": ("pairs", "judgments"),
            "persona": ("personas",),
            "item": ("items",),
            "row": ("candidates", "dialogues", "rows", "pairs", "judgments", "rankings", "items", "personas"),
            "history": ("rows", "candidates", "dialogues", "items", "judgments", "pairs", "personas"),
            "question": ("items", "judgments"),
            "critique": ("dialogues", "rows", "candidates", "pairs", "judgments", "items", "personas"),
            "dialogue": ("dialogues", "candidates", "rows", "items", "judgments"),
        }.get(self.unit, ("judgments",))


_STATUS = {"status": ("ok", "tie", "na", "refusal", "unparsed", "failed")}

PRESETS: Mapping[str, Preset] = {
    "judgments": Preset(
        "judgment", "none", (), "every judgment, dropped ones with their reason", "polars, datasets", _STATUS
    ),
    "preferences": Preset(
        "preference",
        "none",
        (),
        "one row per persona and item: what the kept judgments add up to",
        "polars, datasets",
        _STATUS,
    ),
    "dpo": Preset(
        "pair",
        "profile",
        ("weight", "p_margin", "p_chosen"),
        "pairs of answers, the persona as system message",
        "TRL DPOTrainer",
    ),
    "margin": Preset(
        "pair",
        "profile",
        ("margin", "p_soft", "weight"),
        "pairs as whole conversations, with the margin of the choice",
        "TRL RewardTrainer",
        form="whole",
    ),
    "kto": Preset(
        "candidate", "profile", ("label", "weight", "p"), "single answers, wanted (true) or not", "TRL KTOTrainer"
    ),
    "sft": Preset(
        "candidate",
        "profile",
        ("weight", "p"),
        "what each persona chose, as whole conversations",
        "TRL SFTTrainer, Axolotl, LLaMA-Factory, veRL",
        form="whole",
    ),
    "llamafactory": Preset(
        "pair",
        "profile",
        ("weight", "p_margin", "p_chosen"),
        "pairs of answers, each one message",
        "LLaMA-Factory (dpo, rm)",
        form="message",
    ),
    "nemo_rl": Preset(
        "pair",
        "profile",
        ("weight", "p_margin", "p_chosen"),
        "pairs of answers as completions with a rank, 0 the preferred",
        "NeMo-RL PreferenceDataset (dpo, rm)",
        form="ranked",
    ),
    "cond": Preset(
        "pair",
        "condition",
        ("weight", "p_margin", "agree_share"),
        "pairs under a stated condition; one prompt stands under many of them",
        "TRL DPOTrainer, conditioned reward models",
    ),
    "fewshot": Preset(
        "pair",
        "shots",
        ("weight", "p_margin"),
        "pairs after some earlier choices of the same persona, which is not described otherwise",
        "TRL DPOTrainer, few-shot preference models",
    ),
    "table": Preset(
        "candidate",
        "none",
        ("user", "item", "level", "time"),
        "integer user, item (one candidate answer), level and time",
        "recommender and preference-model loaders",
    ),
    "battle": Preset(
        "battle",
        "none",
        ("model_a", "model_b", "winner"),
        "each judgment as a battle of two named answers, ties included",
        "Bradley-Terry and Elo",
        {"winner": ("model_a", "model_b", "tie", "tie (bothbad)")},
    ),
    "rows": Preset("row", "none", (), "the kept rows of a step, with all of their columns", "polars, datasets"),
    "attr": Preset(
        "row",
        "none",
        (),
        "one row per answer with a number for every attribute",
        "multi-attribute reward models, polars, datasets",
    ),
    "ordinal": Preset(
        "row",
        "none",
        (),
        "one row per user and item with an ordered label",
        "ordinal and implicit-feedback recommenders",
    ),
    "history": Preset(
        "history",
        "none",
        (),
        "a target after what its persona did before, and what others did",
        "LaMP and its successors, sequential recommenders",
    ),
    "mcq": Preset(
        "question",
        "none",
        (),
        "a question with options, one of which is right, after a history or none",
        "multiple-choice evaluations of personalization",
    ),
    "critique": Preset(
        "critique",
        "none",
        (),
        "a draft, what is said of it, and its revision, as columns and as one conversation",
        "critique and revision models, TRL SFTTrainer",
    ),
    "dialogue": Preset(
        "dialogue",
        "none",
        (),
        "conversations as messages, the sides renamed for trainers",
        "TRL SFTTrainer, Axolotl, LLaMA-Factory, polars, datasets",
    ),
    "personas": Preset("persona", "none", (), "the people: attributes, weight and text", "polars, datasets"),
    "items": Preset("item", "none", (), "the questions and their options", "polars, datasets"),
}
"""What can be exported, by the names that people know."""

ALWAYS = ("personas", "items")
"""Shipped beside whatever is exported, so that ids can be joined to texts."""
