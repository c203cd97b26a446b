"""The model that is trained: its weights, its adapter, and how likely it finds a text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from prefgen.errors import EngineError, UsageError

Floats = NDArray[np.float64]
Messages = Sequence[dict[str, str]]
EMBEDDED = "embedded"
"""The weights of prefgen's own embedded model."""


@dataclass(frozen=True, slots=True)
class Trainable:
    """A causal language model of transformers, and its tokenizer with a chat template."""

    model: Any
    tokenizer: Any

    def log_likelihoods(self, prompts: Sequence[Messages], texts: Sequence[str], *, batch: int = 16) -> Floats:
        """Log-probability of each text, in nats, summed over its tokens, as the next message of its prompt.

        prompts, texts    as many of each
        """
        rows = [self._ids(prompt, text) for prompt, text in zip(prompts, texts, strict=True)]
        order = sorted(range(len(rows)), key=lambda at: len(rows[at][0]))  # alike lengths together: little padding
        found = np.empty(len(rows))
        self.model.eval()
        with torch.inference_mode():
            for start in range(0, len(order), batch):
                some = order[start : start + batch]
                found[some] = self._summed([rows[at] for at in some])
        return found

    def _ids(self, prompt: Messages, text: str) -> tuple[list[int], int]:
        """Tokens of a conversation, and where those of its last message begin."""
        asked = self._templated(list(prompt), add_generation_prompt=True)
        whole = self._templated([*prompt, {"role": "assistant", "content": text}])
        begins = next(
            (k for k, (a, b) in enumerate(zip(asked, whole, strict=False)) if a != b), min(len(asked), len(whole))
        )
        return whole, begins

    def _templated(self, messages: list[dict[str, str]], **how: Any) -> list[int]:
        text = self.tokenizer.apply_chat_template(messages, tokenize=False, **how)
        return list(self.tokenizer(text, add_special_tokens=False)["input_ids"])

    def _summed(self, rows: Sequence[tuple[list[int], int]]) -> Floats:
        longest = max(len(ids) for ids, _ in rows)
        ids = torch.zeros((len(rows), longest), dtype=torch.long)
        counted = torch.zeros((len(rows), longest), dtype=torch.bool)
        padding = torch.zeros_like(ids)
        for k, (row, begins) in enumerate(rows):
            ids[k, : len(row)], padding[k, : len(row)], counted[k, begins : len(row)] = torch.tensor(row), 1, True
        device = self.model.device
        logits = self.model(input_ids=ids.to(device), attention_mask=padding.to(device)).logits[:, :-1].float()
        each = torch.gather(torch.log_softmax(logits, -1), 2, ids[:, 1:, None].to(device))[..., 0]
        summed: Floats = (each * counted[:, 1:].to(device)).sum(-1).double().cpu().numpy()
        return summed


def load(name: str = EMBEDDED) -> Trainable:
    """The embedded model, a folder, a GGUF file, or a model on the Hub, in float32 on the CPU and bfloat16 on a GPU.

    EngineError where it cannot be loaded; UsageError where its tokenizer has no chat template.
    """
    import transformers

    dtype = torch.bfloat16 if torch.cuda.is_available() else torch.float32
    where, gguf = _place(name)
    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(where, **gguf)
        model = transformers.AutoModelForCausalLM.from_pretrained(where, dtype=dtype, **gguf)
    except (OSError, ValueError, RuntimeError) as error:
        raise EngineError(
            f"{name}: cannot be loaded: {str(error).splitlines()[0][:200]}",
            fix="name a folder, a .gguf, or a model on the Hub",
        ) from None
    if gguf:  # read into plain floats, which transformers would not train for the format they came in
        model.is_quantized, model.hf_quantizer = False, None
        del model.config.quantization_config
    if not tokenizer.chat_template:
        raise UsageError(f"{name}: its tokenizer has no chat template", fix="name an instruct model")
    tokenizer.pad_token = tokenizer.pad_token or tokenizer.eos_token
    return Trainable(model.to("cuda") if torch.cuda.is_available() else model, tokenizer)


def _place(name: str) -> tuple[str, dict[str, str]]:
    if name == EMBEDDED:
        from prefgen.engines.weights import default_weights

        path = default_weights()
        return str(path.parent), {"gguf_file": path.name}
    if name.endswith(".gguf"):
        return str(Path(name).parent), {"gguf_file": Path(name).name}
    return name, {}


@contextmanager
def adapted(base: Trainable, *, rank: int, seed: int) -> Iterator[Trainable]:
    """The model with a fresh LoRA adapter (arXiv:2106.09685) on all linear layers, taken off again at the end."""
    import peft

    torch.manual_seed(seed)
    settings = peft.LoraConfig(r=rank, lora_alpha=2 * rank, target_modules="all-linear", task_type="CAUSAL_LM")
    model = peft.get_peft_model(base.model, settings)
    try:
        yield Trainable(model, base.tokenizer)
    finally:
        model.unload()
