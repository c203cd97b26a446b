"""Only the text itself becomes a portrait: no thought, no fence, no lead-in, no offer."""

from __future__ import annotations

import time

import pytest

from prefgen.judging.prose import prose
from prefgen.judging.wrapping import unwrapped
from prefgen.records import Response

LIFE = "You are old. You walk to the market with Ann, and you say: no more than this. It's Tom's day."
SCENE = '"Come in!" Ann says. He smiles; "It is cold."'
WRAPS = [
    "{}",
    "<think>\nForty words.\n</think>\n\n{}",
    "```\n{}\n```",
    "```text\n{}\n```",
    "~~~\n{}\n~~~",
    "Sure! Here is the portrait you asked for:\n\n{}",
    "Sure! Here is the portrait you asked for: {}",
    "Sure!\n\n{}",
    "Certainly, here's a short scene:\n{}",
    "Here is a first-person life, in 120 words:\n\n```markdown\n{}\n```\n\nLet me know if you'd like any changes!",
    "Of course! I'd be happy to help. Here's the text:\n\n---\n\n{}\n\n---\n\nWould you like me to write another one?",
    "**Portrait:**\n\n{}",
    "Portrait: {}",
    "# A quiet day\n\n{}",
    "**A quiet day**\n\n{}",
    "{}\n\n(Word count: 82)",
    "{}\n\n*[82 words]*",
    "{} Let me know if you want another version.",
    "{}\n\nI hope this helps!",
    "{}\n\nNote: I kept to the facts.",
    "\u201c{}\u201d",
    "Hier ist das Portr\u00e4t:\n\n{}",
    "<|channel|>analysis<|message|>Old.<|end|><|start|>assistant<|channel|>final<|message|>{}<|return|>",
]


@pytest.mark.parametrize("text", [LIFE, SCENE])
@pytest.mark.parametrize("wrap", WRAPS)
def test_what_stands_around_a_text_is_no_part_of_it(wrap: str, text: str) -> None:
    assert prose(Response("r", text=wrap.format(text))).text == text


@pytest.mark.parametrize(
    "text",
    [
        "Here is where Ann was born. Sure, she left early.",
        "Ann reads the letter:\n\n\u201cLet me know if you come,\u201d it says.",
        "'Come in!' Ann says. 'It is cold.'",
        "You are sure of it. Of course, you hope this is right.",
        "Okay is what you say to everything. You work in a mill.",
        '"Would you like me to stay?" Ann asks. "Let me know if you do."',
        "Life is short, you say. Great things never came: you are 40 words away from them.",
    ],
)
def test_what_belongs_to_a_text_stays(text: str) -> None:
    assert unwrapped(text) == text


@pytest.mark.parametrize(
    ("text", "finish", "made"),
    [
        ("<think>I should write", "length", ("", "unparsed")),
        ("<think>I should write", "stop", ("", "unparsed")),
        ("<think>I can't write that? I can.</think>You walk. You re", "length", ("You walk.", None)),
        ("<think>Well.</think>I'm sorry, but I can't write that.", "stop", ("", "refusal")),
        ("<think>Well. I can.</think>", "stop", ("", "unparsed")),
        ("```\nYou walk. You re", "length", ("You walk.", None)),
        ("Sure! Here is the portrait:", "stop", ("", "unparsed")),
        ("", "stop", ("", "unparsed")),
    ],
)
def test_cut_off_texts_and_nonresponse(text: str, finish: str, made: tuple[str, str | None]) -> None:
    said = prose(Response("r", text=text, finish=finish))
    assert (said.text, said.nonresponse) == made


@pytest.mark.parametrize(
    "piece", [" ", "\n", "```\n", "Sure! ", "Here is ", "# a\n", "**", "Let me know if ", '"', "---\n", "(", "'"]
)
def test_the_time_is_linear_in_the_text(piece: str) -> None:
    begun = time.process_time()
    unwrapped("x" + piece * (300_000 // len(piece)) + "x")
    unwrapped(piece * (300_000 // len(piece)))
    assert time.process_time() - begun < 3
