"""The reference: what somebody writes in ten minutes. A task per request, a semaphore, a list, one file at the end."""

from __future__ import annotations

import asyncio
import json
import sys

import aiohttp


async def main(base_url: str, personas: int, items: int, path: str) -> None:
    """Ask personas x items x 2 questions of the size prefgen asks, 64 at once; write the answers as JSON lines."""
    answers = []
    gate = asyncio.Semaphore(64)

    async def ask(session: aiohttp.ClientSession, persona: int, item: int, options: list[str]) -> None:
        system = (
            "You are 35-64 years old, you live in a home that is owned, and at the last election you voted left."
            " You have lived in this town all your life, you read the local paper, and you say what you think."
            f" (No. {persona})\n\nAnswer every question as this person would: out of their life, their interests and"
            " their convictions, not out of yours."
        )
        page = (
            f"The council has money left for one thing in quarter {item}. Which of these would you rather have built?\n\n"
            f"A) {options[0]} in quarter {item}\nB) {options[1]} in quarter {item}\n\n"
            "Which one do you choose? Reply with one of A, B and nothing else."
        )
        body = {
            "model": "test-model",
            "messages": [
                {"role": "system", "content": system},
                {"role": "user", "content": page},
                {"role": "assistant", "content": "Answer:"},
            ],
            "temperature": 0.0,
            "max_tokens": 1,
            "logprobs": True,
            "top_logprobs": 20,
        }
        async with gate, session.post(f"{base_url}/chat/completions", json=body) as response:
            found = await response.json()
        choice = found["choices"][0]
        answers.append(
            {
                "persona": persona,
                "item": item,
                "choice": choice["message"]["content"],
                "logprobs": choice["logprobs"]["content"][0]["top_logprobs"],
            }
        )

    async with aiohttp.ClientSession(headers={"Authorization": "Bearer sk-1"}) as session:
        await asyncio.gather(
            *(
                ask(session, persona, item, options)
                for persona in range(personas)
                for item in range(items)
                for options in (["a new park", "a wider road"], ["a wider road", "a new park"])
            )
        )
    with open(path, "w") as file:
        for answer in answers:
            file.write(json.dumps(answer) + "\n")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]))
