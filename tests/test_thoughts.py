"""Thoughts are set aside: what follows the last closing mark is the answer, and a thought cut off is none."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefgen.thoughts import answer_of

WHOLE = [
    ("<think>", "</think>"),
    ("<thinking>", "</thinking>"),
    ("<thought>", "</thought>"),
    ("<THINK>", "</THINK>"),
    ("<reasoning>", "</reasoning>"),
    ("<seed:think>", "</seed:think>"),
    ("[THINK]", "[/THINK]"),
    ("\u25c1think\u25b7", "\u25c1/think\u25b7"),
    ("<|channel|>analysis<|message|>", "<|end|><|start|>assistant<|channel|>final<|message|>"),
    ("<|channel|>analysis<|message|>", "<|end|><|start|>assistant<|channel|>final <|constrain|>json<|message|>"),
    ("<|channel>thought\n", "<channel|>"),
    ("<unused94>thought\n", "<unused95>"),
    ("<|START_THINKING|>", "<|END_THINKING|>"),
    ("analysisWe read: ", "assistantfinal"),
]
plain = st.text(st.characters(codec="ascii", exclude_characters="<>[]|"), max_size=40).map(lambda text: " " + text)


@pytest.mark.parametrize(("begin", "end"), WHOLE)
@given(thought=plain, answer=plain)
def test_what_follows_the_last_closing_mark_is_the_answer(begin: str, end: str, thought: str, answer: str) -> None:
    assert answer_of(begin + thought + end + answer) == answer.strip()
    assert answer_of(begin + thought) is None
    assert answer_of(begin + thought + end + begin + thought + end + answer) == answer.strip()


@given(plain)
def test_a_text_without_thoughts_is_its_own_answer(text: str) -> None:
    assert answer_of(text) == text.strip()


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("A first, I'd say.\n</think>\n\nB", "B"),
        ("B</think>", ""),
        ("<think></think>", ""),
        ("<think/>B", "B"),
        ("B <think>or A", None),
        ("<think>one</think>B<think>or", None),
        ("<think>x</think><answer>B</answer>", "B"),
        ("<|END_THINKING|><|START_RESPONSE|>B<|END_RESPONSE|>", "B"),
        ("<|channel|>final<|message|>B<|return|>", "B"),
        ("B<|im_end|>\n<|im_start|>user\nA", "B"),
        ("Analysis shows B", "Analysis shows B"),
        ("a [think] of it", "a [think] of it"),
    ],
)
def test_marks_without_their_partner_and_wrappings(text: str, answer: str | None) -> None:
    assert answer_of(text) == answer


@pytest.mark.parametrize(
    "piece", ["<", "<think>", "<|channel|>final", " ", "\n<|constrain|>", "</think>", "[", "analysisA"]
)
def test_the_time_is_linear_in_the_text(piece: str) -> None:
    begun = time.process_time()
    answer_of(piece * (1_000_000 // len(piece)))
    assert time.process_time() - begun < 2
