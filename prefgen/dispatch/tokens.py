"""How many tokens a prompt has, before anybody was asked: counted where that can be done here, else estimated."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_CHARS_PER_TOKEN = 4.0  # English prose with the tokenizers of today: 4.0-4.7
_CHARS_PER_TOKEN_BEYOND_ASCII = 1.6
RULE = f"estimated at {_CHARS_PER_TOKEN:g} characters a token ({_CHARS_PER_TOKEN_BEYOND_ASCII:g} beyond ASCII)"
_VOCABULARY = "https://openaipublic.blob.core.windows.net/encodings/{}.tiktoken"


@dataclass(frozen=True, slots=True)
class Estimate:
    """Tokens per character, and how that was found."""

    tokens_per_char: float
    method: str


def estimate_tokens(sample: Sequence[str], *, model: str) -> Estimate:
    """Tokens per character of a few prompts.

    Counted with tiktoken where that is installed, knows the model and has its vocabulary on this machine (it
    would fetch it otherwise, and a plan calls nobody); else by a rule, which the method states.
    """
    text = "".join(sample)
    counted = _count(sample, model) if text else None
    if counted is not None:
        tokens, encoding = counted
        return Estimate(tokens / len(text), f"counted with tiktoken {encoding}")
    return Estimate(by_rule(text) / len(text) if text else 1 / _CHARS_PER_TOKEN, RULE)


def by_rule(text: str) -> float:
    """Tokens of a text, estimated from its characters.

    >>> by_rule("twelve chars")
    3.0
    """
    beyond = len(text) - len(text.encode("ascii", "ignore"))
    return (len(text) - beyond) / _CHARS_PER_TOKEN + beyond / _CHARS_PER_TOKEN_BEYOND_ASCII


def _count(sample: Sequence[str], model: str) -> tuple[int, str] | None:
    """Tokens of all prompts together and the name of the encoding, or None where they cannot be counted here."""
    found = encoding_of(model)
    if found is None:
        return None
    encoding, name = found
    return sum(len(encoding.encode_ordinary(prompt)) for prompt in sample), name


def encoding_of(model: str) -> tuple[Any, str] | None:
    """tiktoken's encoding of a model and its name; None where tiktoken, the model or its vocabulary is not known here."""
    if importlib.util.find_spec("tiktoken") is None:
        return None
    tiktoken = importlib.import_module("tiktoken")  # not a dependency: nothing is known of its types
    try:
        name: str = tiktoken.encoding_name_for_model(model)
    except KeyError:
        return None
    return (tiktoken.get_encoding(name), name) if _vocabulary(name).is_file() else None


def _vocabulary(encoding: str) -> Path:
    """Where tiktoken keeps a vocabulary that it has fetched."""
    kept = os.environ.get("TIKTOKEN_CACHE_DIR") or os.environ.get("DATA_GYM_CACHE_DIR")
    folder = Path(kept) if kept else Path(tempfile.gettempdir()) / "data-gym-cache"
    return folder / hashlib.sha1(_VOCABULARY.format(encoding).encode(), usedforsecurity=False).hexdigest()
