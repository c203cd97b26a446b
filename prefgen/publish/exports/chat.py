"""Conversations as one text, by a chat template, for readers that want plain columns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

import polars as pl
from jinja2 import TemplateError
from jinja2.utils import Namespace

from prefgen.errors import UsageError, one_of
from prefgen.publish.exports.messages import MESSAGES
from prefgen.spec.template import OFFERED, Blank, Sandbox, in_words

BUILT_IN = {
    "chatml": "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}",
    "plain": "{% for message in messages %}{% if message.role != 'system' %}{{ message.role | capitalize }}: {% endif %}"
    "{{ message.content }}\n{% endfor %}{% if add_generation_prompt %}Assistant: {% endif %}",
}
"""Templates that need no file."""

_ANSWERS = ("chosen", "rejected", "completion")

Render = Callable[[Sequence[dict[str, str]], bool], str]


def chat_template(named: str) -> Render:
    """A built-in template by name, or a file in the form of a tokenizer's `chat_template`; UsageError otherwise.

    The template runs in a sandbox and sees `messages` and `add_generation_prompt`.
    """
    text = BUILT_IN.get(named)
    if text is None:
        try:
            text = Path(named).read_text("utf-8")
        except (OSError, UnicodeDecodeError, ValueError):
            raise UsageError(
                f"--template {named!r}: neither a file of UTF-8 text nor a template known by name",
                fix=f"give a file, or {one_of(named, BUILT_IN)}",
            ) from None
    environment = Sandbox(trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"])
    try:
        blank = Blank(environment.from_string(text), _OFFERED)
    except TemplateError as error:
        raise UsageError(f"--template {named!r}: {error}", fix="give a Jinja chat template") from None

    def render(messages: Sequence[dict[str, str]], add_generation_prompt: bool) -> str:
        facts = {"messages": messages, "add_generation_prompt": add_generation_prompt, "bos_token": "", "eos_token": ""}
        try:
            return blank.filled(facts)
        except Exception as error:  # a stranger's template may raise anything
            problem = f"--template {named!r}: {in_words(error)}"
            raise UsageError(problem, fix="give a template that takes system, user and assistant messages") from None

    return render


def as_text(frame: pl.DataFrame, render: Render) -> pl.DataFrame:
    """The same rows, every conversation as text; an answer is what follows the text of its prompt."""
    columns = [name for name, dtype in frame.schema.items() if dtype == MESSAGES]
    texts: dict[str, list[str]] = {name: [] for name in columns}
    for row in frame.select(columns).iter_rows(named=True):
        prompt: list[dict[str, str]] = row.get("prompt") or []
        asked = render(prompt, True) if prompt else ""
        for name in columns:
            if name == "prompt":
                texts[name].append(asked)
            elif prompt and name in _ANSWERS:
                texts[name].append(render([*prompt, *row[name]], False).removeprefix(asked))
            else:
                texts[name].append(render(row[name], False))
    return frame.with_columns(pl.Series(name, values, pl.String) for name, values in texts.items())


def _refused(message: Any) -> NoReturn:
    raise ValueError(str(message))


_OFFERED = {**OFFERED, "namespace": Namespace, "raise_exception": _refused}
"""What templates of tokenizers count on."""
