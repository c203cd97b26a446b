"""The misbehaving endpoint itself: it must be trusted before what it says about others is."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import openai
import orjson
import pytest

from tests.servers.running import Served, serve, thread
from tests.servers.script import FAULTS

PAGE = "Which?\n\nA) tea\nB) coffee\n\nWhich one do you choose? Reply with one of A, B and nothing else."


def ask(server: Served, page: str = PAGE, **more: Any) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of one chat request, no redirect followed."""
    body = {"model": "test-model", "messages": [{"role": "user", "content": page}], **more}

    async def once() -> tuple[int, dict[str, str], bytes]:
        timeout = aiohttp.ClientTimeout(total=2)
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.post(f"{server.base_url}/chat/completions", json=body, allow_redirects=False) as found,
        ):
            return found.status, dict(found.headers), await found.read()

    return asyncio.run(once())


def said(server: Served, page: str = PAGE, **more: Any) -> str:
    status, _, body = ask(server, page, **more)
    assert status == 200, body
    text: str = orjson.loads(body)["choices"][0]["message"]["content"]
    return text


def test_the_same_question_has_the_same_answer_whatever_happened_before() -> None:
    with thread() as calm:
        quiet = [said(calm, PAGE.replace("tea", f"tea {n}")) for n in range(20)]
    with thread({"storms": [{"rate": 1.0, "kinds": ["500"], "calm_after": 1}]}) as stormy:
        assert [ask(stormy, PAGE.replace("tea", f"tea {n}"))[0] for n in range(20)] == [500] * 20
        assert [said(stormy, PAGE.replace("tea", f"tea {n}")) for n in range(20)] == quiet
        log = stormy.log()
    assert (log["requests"], log["bodies"], log["answered"], log["twice"]) == (40, 20, 20, 0)
    assert set(quiet) == {"A", "B"}


def test_a_taste_follows_the_option_more_often_than_the_slot() -> None:
    with thread() as server:
        same = 0
        for n in range(40):
            there = said(server, f"Which?\n\nA) tea {n}\nB) coffee {n}\n\nReply.")
            back = said(server, f"Which?\n\nA) coffee {n}\nB) tea {n}\n\nReply.")
            same += there != back
    assert 30 <= same < 41


@pytest.mark.parametrize("fault", [fault for fault in FAULTS if fault not in ("hang", "huge")])
def test_every_fault_can_be_had(fault: str) -> None:
    with thread({"rules": [{"match": "tea", "fault": fault}]}) as server:
        try:
            status, headers, body = ask(server)
        except (aiohttp.ClientError, TimeoutError):
            assert fault in ("reset_before", "reset_mid", "close_mid", "lost")
        else:
            if fault[:3].isdigit():
                assert status == int(fault[:3])
            if fault.startswith("429"):
                assert ("Retry-After" in headers) == (fault in ("429_seconds", "429_date"))
            if fault in ("truncated_json", "invalid_json"):
                with pytest.raises(orjson.JSONDecodeError):
                    orjson.loads(body)
        assert server.log()["faults"] == {fault: 1}


def test_a_hang_hangs_and_a_huge_answer_is_huge() -> None:
    with thread({"rules": [{"match": "tea", "fault": "hang"}, {"match": "milk", "fault": "huge"}]}) as server:
        with pytest.raises(TimeoutError):
            ask(server)
        assert len(ask(server, "milk")[2]) > 20_000_000


def test_each_personality_takes_and_refuses_what_its_like_does() -> None:
    grammar: dict[str, Any] = {"grammar": 'root ::= "A" | "B"', "logprobs": True, "top_logprobs": 5, "max_tokens": 1}
    with thread({"personality": "openai"}) as server:
        status, _, body = ask(server, **grammar)
        assert status == 400
        assert b"Unknown parameter: 'grammar'" in body
    with thread({"personality": "llamacpp"}) as server:
        choice = orjson.loads(ask(server, **grammar)[2])["choices"][0]
        assert len(choice["logprobs"]["content"][0]["top_logprobs"]) == 5
    with thread({"personality": "vllm"}) as server:
        held = {"structured_outputs": {"choice": ["A", "B"]}, "logprobs": True, "top_logprobs": 5}
        alternatives = orjson.loads(ask(server, **held)[2])["choices"][0]["logprobs"]["content"][0]["top_logprobs"]
        assert [each["logprob"] for each in alternatives[2:]] == [-9999.0] * 3
    with thread({"personality": "plain"}) as server:
        assert said(server).startswith("I would choose ")
    with thread({"refuses": ["max_tokens"]}) as server:
        assert b"max_completion_tokens" in ask(server, max_tokens=1)[2]


def test_a_rate_above_the_limit_is_throttled_and_a_dead_endpoint_is_silent() -> None:
    with thread({"rate_limit": 5}) as server:
        assert [ask(server)[0] for _ in range(8)].count(429) >= 2
    with thread({"die_after": 1}) as server:
        assert ask(server)[0] == 200
        for _ in range(2):
            with pytest.raises(aiohttp.ClientError):
                ask(server)


def test_a_redirect_leads_to_a_listener_that_remembers_keys() -> None:
    with thread({"rules": [{"match": "tea", "fault": "redirect_307"}]}) as server:
        assert ask(server)[1]["Location"] == f"{server.elsewhere}/v1/chat/completions"

        async def foolish() -> None:
            async with aiohttp.ClientSession() as session:
                await session.post(f"{server.elsewhere}/x", headers={"Authorization": "Bearer sk-1"}, data=b"12")

        asyncio.run(foolish())
        assert server.log()["strays"] == [{"path": "/x", "key": True, "bytes": 2}]


def rows(n: int) -> bytes:
    return b"".join(
        orjson.dumps(
            {
                "custom_id": f"req-{k}",
                "method": "POST",
                "url": "/v1/chat/completions",
                "body": {"model": "test-model", "messages": [{"role": "user", "content": f"{PAGE} {k}"}]},
            }
        )
        + b"\n"
        for k in range(n)
    )


@pytest.fixture
def batches() -> Any:
    script = {"key": "sk-1", "batch": {"polls": 1, "expire": [1], "refuse": [2], "most_at_once": 2, "fail_rows": 0.2}}
    with serve(script) as server, openai.OpenAI(base_url=server.base_url, api_key="sk-1", max_retries=0) as client:
        yield server, client


def test_batches_complete_expire_fail_and_are_listed_page_by_page(batches: tuple[Served, openai.OpenAI]) -> None:
    server, client = batches
    file = client.files.create(file=("rows.jsonl", rows(20)), purpose="batch")
    assert file.bytes == len(rows(20))

    def create() -> Any:
        return client.batches.create(input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h")

    first, second, third = create(), create(), create()
    assert [each.status for each in (first, second, third)] == ["validating", "validating", "failed"]
    assert create().errors.data[0].code == "token_limit_exceeded"
    first, second = client.batches.retrieve(first.id), client.batches.retrieve(second.id)
    assert (first.status, second.status) == ("completed", "expired")
    failed = client.files.content(first.error_file_id).text.splitlines()
    answered = client.files.content(first.output_file_id).text.splitlines()
    assert len(failed) + len(answered) == 20
    assert 0 < len(failed) < 12
    expired = client.files.content(second.error_file_id).text
    assert expired.count("batch_expired") == 10
    assert len(list(client.batches.list(limit=2))) == 4
    assert server.log()["batch"]["batches"] == ["completed", "expired", "failed", "failed"]


def test_a_wrong_key_is_told_so(batches: tuple[Served, openai.OpenAI]) -> None:
    server, _ = batches
    with (
        openai.OpenAI(base_url=server.base_url, api_key="sk-2", max_retries=0) as client,
        pytest.raises(openai.AuthenticationError),
    ):
        client.models.list()
