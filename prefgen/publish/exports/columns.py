"""The columns that an export makes itself; all others are the user's, carried over from the items."""

from __future__ import annotations

from collections.abc import Mapping

from prefgen.publish.exports.presets import Preset
from prefgen.schemas import (
    BATTLES,
    CANDIDATES,
    CRITIQUES,
    DIALOGUES,
    FORMS,
    HISTORIES,
    ITEMS,
    JUDGMENTS,
    LABELS,
    PERSONAS,
    PREFERENCES,
    QUESTIONS,
    TRAINING_PAIRS,
    Schema,
)

TRAINERS = frozenset(
    [
        "prompt",
        "chosen",
        "rejected",
        "completion",
        "messages",
        "conversations",
        "text",
        "label",
        "labels",
        "margin",
        "score_chosen",
        "score_rejected",
        "image",
        "images",
        "video",
        "videos",
        "audio",
        "audios",
        "tools",
        "input_ids",
        "attention_mask",
        "token_type_ids",
        "position_ids",
        "seq_lengths",
        "pixel_values",
        "prompt_ids",
        "completion_ids",
        "chosen_ids",
        "rejected_ids",
        "prompt_input_ids",
        "chosen_input_ids",
        "rejected_input_ids",
        "completion_mask",
        "assistant_masks",
        "ref_logps",
        "ref_chosen_logps",
        "ref_rejected_logps",
        "chat_template",
        "chat_template_kwargs",
    ]
)
"""Names that trainers take for their own wherever they stand; no user's column has one of them in a training export."""


_FORMED: Mapping[tuple[str, str], tuple[str, ...]] = {
    ("pair", "ranked"): ("context", "completions"),
    ("candidate", "whole"): ("messages",),
}
"""Columns of texts that a form has instead of the usual ones."""


def schema_of(preset: Preset) -> Schema:
    """The columns of an export whose meaning is the export's."""
    labels = LABELS.only(*preset.labels)
    form = FORMS.only(*_FORMED.get((preset.unit, preset.form), ()))
    candidates = (
        CANDIDATES if "user" not in preset.labels else CANDIDATES.only("persona_id", "item_id", "split", "option")
    )
    return {
        "judgment": JUDGMENTS,
        "preference": PREFERENCES | JUDGMENTS,
        "pair": labels | form | TRAINING_PAIRS,
        "candidate": labels | form | candidates,
        "battle": BATTLES,
        "persona": PERSONAS,
        "item": ITEMS,
        "row": Schema(()),
        "history": HISTORIES,
        "question": QUESTIONS,
        "critique": CRITIQUES,
        "dialogue": DIALOGUES,
    }[preset.unit]


def own_columns(preset: Preset) -> frozenset[str]:
    """Names of the columns of an export whose meaning is the export's."""
    return schema_of(preset).names


def taken_names(preset: Preset) -> frozenset[str]:
    """Names that a user's column cannot have in an export: the export's own, and where it is trained on the trainers'."""
    trained_on = preset.unit == "pair" or (preset.unit == "candidate" and "user" not in preset.labels)
    return own_columns(preset) | TRAINERS if trained_on else own_columns(preset)
