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

_CHARS_PER_TOKEN = 4.0  # English prose with the tokenizers of today: 4.0-4.7
_CHARS_PER_TOKEN_BEYOND_ASCII = 1.6
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
    beyond = len(text) - len(text.encode("ascii", "ignore"))
    tokens_by_rule = (len(text) - beyond) / _CHARS_PER_TOKEN + beyond / _CHARS_PER_TOKEN_BEYOND_ASCII
    return Estimate(
        tokens_by_rule / len(text) if text else 1 / _CHARS_PER_TOKEN,
        f"estimated at {_CHARS_PER_TOKEN:g} characters a token ({_CHARS_PER_TOKEN_BEYOND_ASCII:g} beyond ASCII)",
    )


def _count(sample: Sequence[str], model: str) -> tuple[int, str] | None:
    """Tokens of all prompts together and the name of the encoding, or None where they cannot be counted here."""
    if importlib.util.find_spec("tiktoken") is None:
        return None
    tiktoken = importlib.import_module("tiktoken")  # not a dependency: nothing is known of its types
    try:
        name = tiktoken.encoding_name_for_model(model)
    except KeyError:
        return None
    if not _vocabulary(name).is_file():
        return None
    encoding = tiktoken.get_encoding(name)
    return sum(len(encoding.encode_ordinary(prompt)) for prompt in sample), name


def _vocabulary(encoding: str) -> Path:
    """Where tiktoken keeps a vocabulary that it has fetched."""
    kept = os.environ.get("TIKTOKEN_CACHE_DIR") or os.environ.get("DATA_GYM_CACHE_DIR")
    folder = Path(kept) if kept else Path(tempfile.gettempdir()) / "data-gym-cache"
    return folder / hashlib.sha1(_VOCABULARY.format(encoding).encode(), usedforsecurity=False).hexdigest()
