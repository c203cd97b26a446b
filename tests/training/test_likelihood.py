"""How likely a text is, against one token at a time; and how far apart answers are, against scipy."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.training import tiny

pytestmark = pytest.mark.train
torch = pytest.importorskip("torch")
pytest.importorskip("peft")


def test_the_likelihood_of_a_text_is_the_product_over_its_tokens(tmp_path: Path) -> None:
    from prefgen.training.models import Trainable

    model, tokenizer = tiny.model(tmp_path).eval(), tiny.tokenizer()
    prompts = [[{"role": "user", "content": text}] for text in ("which one ?", "tea", "you are old which one ?")]
    texts = ["tea", "coffee maybe no", "yes"]
    found = Trainable(model, tokenizer).log_likelihoods(prompts, texts, batch=2)
    for prompt, text, value in zip(prompts, texts, found, strict=True):
        ids = tokenizer(f"<|user|> {prompt[0]['content']} <|assistant|>")["input_ids"]
        total = 0.0
        for token in tokenizer(f"{text} <eos>")["input_ids"]:
            with torch.inference_mode():
                logits = model(input_ids=torch.tensor([ids])).logits[0, -1].double()
            total += float(torch.log_softmax(logits, -1)[token])
            ids.append(token)
        assert value == pytest.approx(total, abs=1e-4)


def test_jensen_shannon_is_scipys() -> None:
    from scipy.spatial.distance import jensenshannon

    from prefgen.analysis.distance import jensen_shannon

    rng = np.random.default_rng(0)
    for _ in range(50):
        p, q = rng.dirichlet([0.3] * 3, 2)
        assert jensen_shannon(p, q) == pytest.approx(jensenshannon(p, q, base=2) ** 2, abs=1e-9)
