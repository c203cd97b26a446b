"""The same weights judge alike however they are run: `PREFGEN_VLLM_WEIGHTS=FOLDER pytest -m vllm tests/engines/test_four_engines.py`.

In process by llama.cpp (8 bits) and by vLLM (16 bits), and each behind a server of its own. See test_vllm_real.py for the weights.
"""

from __future__ import annotations

import importlib.util
import itertools
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from prefgen.engines.embedded import EmbeddedEngine
from prefgen.engines.http import OpenAIEngine
from prefgen.engines.vllm import VllmEngine
from prefgen.records import Request
from prefgen.spec.models import EmbeddedModel, OpenAIModel, VllmModel
from tests.engines.test_vllm_real import ITEMS, PEOPLE, WEIGHTS, answers, debiased, settings, weights
from tests.servers import vllm as server_of_vllm

__all__ = ["weights"]  # a fixture

pytestmark = [
    pytest.mark.vllm,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(importlib.util.find_spec("vllm") is None, reason="vllm is not installed"),
    pytest.mark.skipif(importlib.util.find_spec("xllamacpp") is None, reason="xllamacpp is not installed"),
    pytest.mark.skipif("smollm2" not in os.environ.get(WEIGHTS, "smollm2").lower(), reason="other weights"),
    pytest.mark.filterwarnings("ignore"),  # those of torch and of vLLM
]


@pytest.fixture(scope="module")
def engines(weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    folder = tmp_path_factory.mktemp("four")
    here = VllmEngine(VllmModel(**settings(weights)), folder / "vllm.log")  # type: ignore[arg-type]
    llamacpp = subprocess.Popen(
        [sys.executable, "-m", "tests.servers.llamacpp"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert llamacpp.stdin is not None
    assert llamacpp.stdout is not None
    try:
        address = llamacpp.stdout.readline().strip()
        with server_of_vllm.server(weights, folder / "server.log") as base_url:
            yield {
                "embedded": EmbeddedEngine(EmbeddedModel(engine="embedded", context=1024)),
                "llama.cpp server": over_http(f"{address}/v1"),
                "vLLM": here,
                "vLLM server": over_http(base_url),
            }
    finally:
        here.close()
        llamacpp.stdin.close()
        llamacpp.wait(30)


def over_http(base_url: str) -> OpenAIEngine:
    told = {"engine": "openai", "model": server_of_vllm.NAME, "base_url": base_url, "concurrency": 4, "prefill": True}
    return OpenAIEngine(OpenAIModel.model_validate(told))


def test_four_engines_agree_on_debiased_probabilities(
    engines: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    found = {name: debiased(engine) for name, engine in engines.items()}
    with capsys.disabled():
        for one, other in itertools.combinations(found, 2):
            apart = [abs(found[one][key] - found[other][key]) for key in found[one]]
            same = sum((found[one][key] > 0.5) == (found[other][key] > 0.5) for key in found[one]) / len(apart)
            print(
                f"\n{one} and {other}: {len(apart)} debiased p, {max(apart):.3f} apart at most, {same:.0%} equal choices"
            )
    for one, other in itertools.combinations(found.values(), 2):
        assert max(abs(one[key] - other[key]) for key in one) < 0.05


def page(who: str, item: tuple[str, ...]) -> Request:
    asked = f"{item[0]}\n\nA) {item[1]}\nB) {item[2]}\n\nReply with one of A, B."
    return Request("m", None, (("system", f"You are {who}."), ("user", asked)), "logprobs", ("A", "B"))


def test_a_server_tells_the_same_exact_probabilities_as_vllm_in_process(engines: dict[str, Any]) -> None:
    asked = [page(who, item) for who in PEOPLE[:2] for item in ITEMS[:3]]
    told = {name: answers(engines[name], *asked)[0] for name in ("vLLM", "vLLM server")}
    for here, there in zip(*told.values(), strict=True):
        assert (here.method, there.method) == ("logprobs+token_ids", "logprobs+token_ids")
        ours, theirs = (dict(one.alternatives or ()) for one in (here, there))
        assert set(theirs) <= set(ours)
        assert {"A", "B"} <= {token.strip() for token in theirs}
        for token, logprob in theirs.items():
            assert ours[token] == pytest.approx(logprob, abs=0.15)  # the same numbers, in other batches


def test_three_engines_agree_on_likelihoods(engines: dict[str, Any]) -> None:
    asked = [
        Request("m", None, (("system", f"You are {who}."), ("user", item[0])), "likelihood", item[1:])
        for who in PEOPLE[:2]
        for item in ITEMS[:3]
    ]
    told = {}
    for name in ("embedded", "vLLM", "vLLM server"):
        found, _ = answers(engines[name], *asked)
        assert not [one.failure for one in found if one.failure], name
        told[name] = [orjson.loads(one.text) for one in found]
    for ours, exact, served in zip(*told.values(), strict=True):
        for one, other, third in zip(ours, exact, served, strict=True):
            assert other == pytest.approx(third, abs=0.15)  # the same numbers, in other batches
            assert len(one) == len(other)
            assert sum(one) == pytest.approx(sum(other), rel=0.06)  # weights of 8 bits and of 16
