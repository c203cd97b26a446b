"""A text as a vector: /embeddings of an OpenAI-compatible server. Pure: no network, no clock."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import orjson

from prefgen.engines.reply import UnreadableError, read_reply
from prefgen.engines.wire import Form
from prefgen.records import Request, Response

METHOD = "embeddings"
_MOST_NUMBERS = 65_536  # of one vector


def vector_payload(request: Request, *, model: str, extra: Mapping[str, Any]) -> dict[str, Any]:
    """One text as the JSON object of /embeddings.

    extra   further keys (`dimensions`, say), which win over ours
    """
    return {"model": model, "input": request.messages[-1][1], **extra}


def to_vector(request: Request, request_id: str, raw: bytes, form: Form) -> Response:  # noqa: ARG001 - as `to_response`
    """The vector in a reply with status 200, as JSON of its numbers in single precision.

    Raises FailedInReplyError for an error in disguise, UnreadableError for what else is no vector.
    """
    reply, (prompt, _, cached) = read_reply(raw)
    try:
        said = reply["data"][0]["embedding"]
        with np.errstate(over="ignore"):  # what single precision does not hold is no finite number below
            numbers = np.asarray(said[0] if isinstance(said[0], list) and len(said) == 1 else said, dtype=np.float32)
    except (KeyError, IndexError, TypeError, ValueError, OverflowError):
        raise UnreadableError("the reply has not the shape of an embedding") from None
    if numbers.ndim == 2:
        raise UnreadableError("the reply has a vector for every token: start the server with `--pooling mean`")
    if numbers.ndim != 1 or not 0 < len(numbers) <= _MOST_NUMBERS or not np.isfinite(numbers).all():
        raise UnreadableError("the reply holds no vector of finite numbers")
    text = orjson.dumps(numbers, option=orjson.OPT_SERIALIZE_NUMPY).decode()
    return Response(request_id, text, method=METHOD, finish="stop", prompt_tokens=prompt, cached_tokens=cached)
