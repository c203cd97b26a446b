"""What an error of the Hub's client means: which one it was, and whether another try may cure it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError, RevisionNotFoundError

from prefgen.errors import FileError

NO_ANSWER = (KeyError, TypeError, ValueError, AttributeError, IndexError, RecursionError, OSError)
"""What the client raises, or Parquet's reader, over an answer that is none."""


def origin(error: BaseException) -> BaseException:
    """What went wrong in truth: the client wraps a failed upload in a RuntimeError."""
    while type(error) is RuntimeError and error.__cause__ is not None:
        error = error.__cause__
    return error


def status(error: BaseException) -> int | None:
    """The HTTP status that came, or None."""
    response: Any = getattr(error, "response", None)
    return getattr(response, "status_code", None)


def is_transport(error: BaseException) -> bool:
    """Whether the network failed: connection refused, reset, timed out. The client wraps its HTTP library's errors rarely."""
    return isinstance(error, ConnectionError | TimeoutError) or type(error).__module__.partition(".")[0] in (
        "httpx",
        "httpx2",
        "httpcore2",
        "httpcore",
    )


def may_pass(error: BaseException) -> bool:
    """Whether another try may cure it."""
    error = origin(error)
    code = status(error)
    return (code is not None and (code >= 500 or code == 429)) or (code is None and is_transport(error))


def translated(
    error: BaseException, place: str, revision: str | None, masked: Callable[[str], str]
) -> FileError | None:
    """What the Hub's client raised, as an error for people; None where that is our own mistake.

    masked    a server's words without the token
    """
    code = status(error)
    if isinstance(error, RevisionNotFoundError):
        return FileError(f"{place}: no revision {revision!r}", fix="give a branch, a tag or a commit that it has")
    if isinstance(error, GatedRepoError) or code == 403:
        return FileError(
            f"{place}: this token may not do that (HTTP 403)",
            fix="use a token with write access to this namespace, or ask its owner",
        )
    if isinstance(error, RepositoryNotFoundError):
        return FileError(
            f"{place}: no such dataset, or one that this token cannot see",
            fix="check the name; for a private dataset set HF_TOKEN or log in with `hf auth login`",
        )
    if code == 401:
        return FileError(
            f"{place}: the token is missing or not accepted (HTTP 401)",
            fix="set HF_TOKEN, or log in with `hf auth login`",
        )
    if code is not None:
        said = masked(getattr(error, "server_message", None) or "")
        return FileError(
            f"{place}: HTTP {code}{f' ({said})' if said else ''}",
            fix="run the same command again; what was uploaded is not uploaded twice",
        )
    return _without_answer(error, place)


def _without_answer(error: BaseException, place: str) -> FileError | None:
    if is_transport(error):
        return FileError(
            f"{place}: cannot be reached ({type(error).__name__})",
            fix="check the network and HF_ENDPOINT, then run the same command again",
        )
    if isinstance(error, NO_ANSWER):
        return FileError(
            f"{place}: its answer cannot be read ({type(error).__name__})",
            fix="check HF_ENDPOINT, then run the same command again",
        )
    return None
