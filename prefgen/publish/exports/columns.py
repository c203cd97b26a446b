"""The columns that an export makes itself; all others are the user's, carried over from the items."""

from __future__ import annotations

from prefgen.judging.judgments import JUDGMENT_COLUMNS
from prefgen.publish.exports.presets import Preset

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

_OF_PERSONAS = frozenset(["persona_id", "population", "text", "weight", "control", "control_of", "reject_reason"])
_OF_ITEMS = frozenset(["item_id", "prompt", "options", "neither", "reject_reason"])
_OF_BATTLES = frozenset(
    ["question_id", "judge", "turn", "conversation_a", "conversation_b", "order", "repeat", "judgment_id"]
)
_IDS = frozenset(["persona_id", "item_id", "split"])


def own_columns(preset: Preset) -> frozenset[str]:
    """The columns of an export whose meaning is the export's."""
    labels = frozenset(preset.labels)
    texts = frozenset() if preset.context == "none" else {"completion", "prompt"}
    return {
        "judgment": JUDGMENT_COLUMNS,
        "preference": JUDGMENT_COLUMNS,
        "pair": labels
        | _IDS
        | {"prompt", "chosen", "rejected", "condition", "shots", "chosen_option", "rejected_option", "pair_id"},
        "candidate": labels | _IDS | texts | {"option"},
        "battle": labels | _OF_BATTLES | {"split"},
        "persona": _OF_PERSONAS,
        "item": _OF_ITEMS,
        "row": frozenset(),
    }[preset.unit]


def taken_names(preset: Preset) -> frozenset[str]:
    """Names that a user's column cannot have in an export: the export's own, and where it is trained on the trainers'."""
    trained_on = preset.unit == "pair" or (preset.unit == "candidate" and "user" not in preset.labels)
    return own_columns(preset) | TRAINERS if trained_on else own_columns(preset)
