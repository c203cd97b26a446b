"""A model that thinks aloud: where its thoughts end, and the answer begins."""

from __future__ import annotations

import re

_NAMES = r"(?:think(?:ing)?|thoughts?|reason(?:ing)?|reflection|scratchpad|analysis)"
_MARK = re.compile(
    r"(?P<open>"
    rf"<(?:seed:)?{_NAMES}>|(?-i:\[THINK\])|\u25c1think\u25b7"
    r"|<\|channel\|>(?:analysis|commentary)|<\|channel>thought|<unused94>thought"
    r"|<\|start_thinking\|>|<\|begin_of_thought\|>"
    r")|"
    rf"</(?:seed:)?{_NAMES}>|<think ?/>|(?-i:\[/THINK\])|\u25c1/think\u25b7"
    r"|<\|channel\|>final[^<]{0,40}(?:<\|constrain\|>[^<]{0,40})?<\|message\|>|<channel\|>|<unused95>"
    r"|<\|end_thinking\|>|<\|end_of_thought\|>",
    re.I,
)
"""The marks of thoughts in use: tags, Mistral's brackets, Kimi's triangles, the channels of gpt-oss and of Gemma, Cohere's tokens."""

_BARE_CHANNEL = re.compile(r"\s{0,9}(?:assistant)?analysis(?=[A-Z])")  # channels whose marks the server has taken out
_BARE_FINAL = "assistantfinal"
_START = re.compile(
    r"\s*(?:<(?:answer|response|solution|output)>|<\|(?:start_response|begin_of_solution|message)\|>"
    r"|<\|(?:im_start|start)\|>assistant(?:<\|message\|>)?|<\|start_header_id\|>assistant<\|end_header_id\|>)\s*",
    re.I,
)
_STOP = re.compile(
    r"</(?:answer|response|solution|output|s)>|<\|(?:end_response|end_of_solution|end|return|call|im_end|eot_id|endoftext)\|>"
    r"|<(?:end_of_turn|turn\||eos)>",
    re.I,
)


_SHORTEST_MARK = 7
"""Characters of `[THINK]`: most answers are a letter, and hold none."""


def answer_begins(text: str) -> int | None:
    """Where the answer begins in a text: after its last thought, at 0 where there is none; None where it was cut off while it thought.

    >>> answer_begins("<think>A?</think>B"), answer_begins("B"), answer_begins("<think>A or")
    (17, 0, None)
    """
    if len(text) < _SHORTEST_MARK:
        return 0
    if _BARE_CHANNEL.match(text):
        found = text.rfind(_BARE_FINAL)
        return found + len(_BARE_FINAL) if found > 0 else None
    begin, thinking = 0, False
    for mark in _MARK.finditer(text):
        begin, thinking = mark.end(), mark["open"] is not None
    return None if thinking else begin


def answer_of(text: str) -> str | None:
    """What a model said after its last thought, without the marks around it; None where it was cut off while it thought.

    A text without thoughts is its own answer; '' where nothing follows the thoughts.

    >>> answer_of("<think>A? No: coffee.</think>\\n\\nB"), answer_of("[THINK]I might select A.[/THINK]B")
    ('B', 'B')
    >>> answer_of("Hmm, A first.\\n</think>\\nB"), answer_of("<think>Answer: A or")
    ('B', None)
    >>> answer_of("<|channel|>analysis<|message|>A?<|end|><|start|>assistant<|channel|>final<|message|>B<|return|>")
    'B'
    """
    begin = answer_begins(text)
    if begin is None:
        return None
    if "<" not in text:  # the marks around an answer all begin so
        return text[begin:].strip()
    if start := _START.match(text, begin):
        begin = start.end()
    stop = _STOP.search(text, begin)
    return text[begin : stop.start() if stop else len(text)].strip()
