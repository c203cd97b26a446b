"""What the columns of the exports mean, in one line each."""

from __future__ import annotations

import re

from prefgen.publish.exports.columns import own_columns, taken_names
from prefgen.publish.exports.presets import PRESETS

_MEANINGS = {
    "persona_id": "who answered; joins to the config `personas`",
    "item_id": "what was asked; joins to the config `items`",
    "judgment_id": "this judgment",
    "pair_id": "this pair",
    "order": "how the options stood on the page: `given`, `swapped`, or turned by 1, 2, ...",
    "repeat": "which independent asking, from 0",
    "choice": "option chosen, as a letter in the order of the item's options, whatever the slot; null = none",
    "status": "ok, tie (no difference), na (does not apply), refusal, unparsed or failed",
    "slot": "slot of the page that the answer named; null = no slot",
    "p": "probability of each option in this presentation, and of `tie` and `na` where they were offered; they sum to 1, null = nothing read",
    "p_read": "share of the judge's next-token distribution that the choices hold, 0 to 1; null = the server gives none, or renormalises",
    "p_tie": "probability of no difference, 0 to 1; null = not offered, or an order was not read",
    "p_na": "probability of does not apply, 0 to 1; null = not offered, or an order was not read",
    "reason": "the judge's own words; null = none were asked for",
    "debiased": "true = `p_<option>` is the mean of the log-odds over orders that balance, or has a slot prior taken out; "
    "false = the plain mean over orders; null = nothing read",
    "certainty": "the judge's own certainty, 1 to 100; null = not asked",
    "readout": "how the answer was obtained",
    "model": "which model answered",
    "request_id": "hash of the whole rendered request",
    "failure": "why there is no answer, in the server's words; null = there is one",
    "control": "null = a drawn person; else the kind of control persona",
    "control_of": "the persona that a control stands beside",
    "weight": "what the row stands for, about 1 on average",
    "neither": "the option that means neither or not applicable; null = there is none",
    "item_choice": "likeliest option over all orders and repeats; null = undecided, tie or na likelier, or an order unread",
    "p_choice": "probability of the likeliest option over the orders, 0 to 1; null = an order was not read",
    "order_agreement": "whether every order has the same likeliest option; null = one order only",
    "repeat_agreement": "share of repeats that name the most frequent choice, 0 to 1; null = one repeat only",
    "position_bias": "share of answers that name the first slot, beyond chance: 1 always, 0 as often as any other, below 0 more seldom; "
    "null = the orders do not balance, or one was not read",
    "n_presentations": "judgments of this persona on this item",
    "reject_reason": "why the row was dropped; null = kept",
    "prompt": "the question; in training exports a conversation with the persona as system message",
    "options": "the answers on offer, in their given order",
    "chosen": "what the persona prefers, as a conversation",
    "rejected": "what it was preferred over, as a conversation",
    "chosen_option": "letter of the chosen option",
    "rejected_option": "letter of the rejected option",
    "chosen_text": "text of the chosen option",
    "rejected_text": "text of the rejected option",
    "p_chosen": "probability of the chosen option over the orders, 0 to 1",
    "p_margin": "probability of the chosen option minus that of the rejected one, 0 to 1",
    "margin": "the same as `p_margin` elsewhere, under the name that trainers of reward models put into their loss",
    "p_soft": "probability of the chosen option among the two, 0.5 to 1",
    "agree_share": "share of the other people with a pair on this item who chose the same, 0 to 1; null = nobody else",
    "condition": "the portrait under which this was preferred",
    "shots": "earlier choices of the same persona",
    "completion": "one answer, as a conversation",
    "label": "true = this persona chose it",
    "user": "0-based row of the persona in `personas`",
    "item": "0-based number of the answer, counted through the options of `items`",
    "level": "1 = chosen, 0 = not",
    "time": "0-based place of the question in the order in which it was met",
    "option": "letter of the answer",
    "question_id": "item_id",
    "model_a": "whose answer stood in the earlier slot",
    "model_b": "whose answer stood in the later slot",
    "winner": "model_a, model_b, tie, or tie (bothbad)",
    "judge": "persona_id of who judged",
    "turn": "always 1",
    "conversation_a": "question and answer of model_a",
    "conversation_b": "question and answer of model_b",
    "split": "part of the dataset",
    "population": "population that the persona was drawn from",
    "text": "the portrait as the judge read it; empty = no persona",
}

_OF_PRESET = {
    ("table", "p"): "probability of this answer, 0 to 1",
    ("kto", "p"): "probability of this answer, 0 to 1",
    ("preferences", "status"): "ok, na or tie where that is likeliest, else why nothing was read",
    ("preferences", "certainty"): "mean of the judge's own certainties, 1 to 100; null = not asked",
    ("items", "reject_reason"): "why nobody was asked about it; null = it was kept",
    ("personas", "reject_reason"): "why nobody was asked as this persona; null = kept",
    ("items", "prompt"): "the question",
}

_OF_USER = "carried over from the items"
_OPTION = re.compile(r"^p_([A-Z])$")


def meaning(preset: str, column: str) -> str:
    """One line about a column of an export; one that the export does not make itself is the user's, whatever its name."""
    if PRESETS[preset].unit == "row":
        return _OF_PRESET.get((preset, column)) or _MEANINGS.get(column, "carried over from the rows of the step")
    if column not in own_columns(PRESETS[preset]):
        if preset == "personas":
            return "attribute of the population"
        known = column.startswith("item_") and column.removeprefix("item_") in taken_names(PRESETS[preset])
        return f"{_OF_USER}, where it is called `{column.removeprefix('item_')}`" if known else _OF_USER
    option = _OPTION.match(column)
    if option:
        return f"probability of option {option[1]} over the orders, 0 to 1; null = no such option, or an order was not read"
    return _OF_PRESET.get((preset, column)) or _MEANINGS[column]
