"""What an error of the Hub's client means: which one it was, and whether another try may cure it."""

from __future__ import annotations

from typing import Any


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
