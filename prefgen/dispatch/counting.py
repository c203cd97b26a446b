"""Tokens of a text, one by one: by the model's own tokenizer where it is on this machine, else by a rule that is stated."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from prefgen.dispatch.tokens import RULE, by_rule, encoding_of
from prefgen.errors import EngineError
from prefgen.spec.models import EmbeddedModel, ModelSpec, VllmModel


@dataclass(frozen=True, slots=True)
class Counter:
    """Counts the tokens of a text; `method` says how."""

    count: Callable[[str], float]
    method: str


def counter_of(model: ModelSpec | None) -> Counter:
    """How the tokens of a model are counted here; by the rule of plans for none, or one whose tokenizer is not here."""
    own = None if model is None else _own(model)
    if own is not None:
        return own
    return Counter(by_rule, RULE)


def _own(model: ModelSpec) -> Counter | None:
    found = encoding_of(model.model)
    if found is not None:
        encoding, name = found
        return Counter(lambda text: len(encoding.encode_ordinary(text)), f"counted with tiktoken {name}")
    if isinstance(model, EmbeddedModel):
        return _of_llama_cpp(model)
    file = Path(model.model).expanduser() / "tokenizer.json"
    if isinstance(model, VllmModel) and file.is_file() and importlib.util.find_spec("tokenizers") is not None:
        tokenizer = importlib.import_module("tokenizers").Tokenizer.from_file(str(file))
        method = "counted with the model's own tokenizer"
        return Counter(lambda text: len(tokenizer.encode(text, add_special_tokens=False).ids), method)
    return None


def _of_llama_cpp(model: EmbeddedModel) -> Counter | None:
    """By the vocabulary in the weights; None where they are not installed."""
    from prefgen.engines.forced import count_tokens
    from prefgen.engines.weights import load_server

    try:
        server = load_server(model)
    except EngineError:
        return None
    return Counter(lambda text: count_tokens(server, text), "counted with the model's own tokenizer")
