"""A tokenizer of a few words and a model of random weights, made without a download."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

WORDS = "yes no maybe tea coffee which one ? you are old young"


def tokenizer(words: Iterable[str] = WORDS.split()) -> Any:
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    special = ["<pad>", "<unk>", "<eos>", "<|system|>", "<|user|>", "<|assistant|>"]
    words = {word: k for k, word in enumerate([*special, *words])}
    inner = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
    inner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    made = PreTrainedTokenizerFast(
        tokenizer_object=inner,
        pad_token="<pad>",
        unk_token="<unk>",
        eos_token="<eos>",
        additional_special_tokens=special[3:],
    )
    made.chat_template = (
        "{% for m in messages %}<|{{ m['role'] }}|> {{ m['content'] }} {% if m['role'] == 'assistant' %}<eos> {% endif %}"
        "{% endfor %}{% if add_generation_prompt %}<|assistant|> {% endif %}"
    )
    return made


def model(folder: Path, *, vocabulary: int = 32, width: int = 16) -> Any:
    """The same each time."""
    import torch
    import transformers

    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=width,
        intermediate_size=2 * width,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        max_position_embeddings=128,
        pad_token_id=0,
        eos_token_id=2,
        bos_token_id=2,
    )
    transformers.LlamaForCausalLM(config).save_pretrained(folder / "model")
    return transformers.LlamaForCausalLM.from_pretrained(folder / "model")
