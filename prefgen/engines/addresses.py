"""Where a model is and what opens the door: base URLs, the key from the environment, the proxy."""

from __future__ import annotations

import ipaddress
import os
import urllib.request

from yarl import URL

from prefgen.errors import EngineError
from prefgen.spec.models import BatchModel, OpenAIModel

_HOSTED = "https://api.openai.com/v1"
_LOCAL_ENDINGS = (".local", ".localhost", ".internal", ".lan")


def base_urls(spec: OpenAIModel | BatchModel) -> list[str]:
    """The addresses of a model, each once, without a slash at the end. EngineError for what is no address."""
    told = spec.base_url or os.environ.get("OPENAI_BASE_URL") or _HOSTED
    written = [told] if isinstance(told, str) else told
    return list(dict.fromkeys(_checked(url.strip()) for url in written))


def _checked(url: str) -> str:
    fix = "write e.g. http://127.0.0.1:8000/v1"
    try:
        parsed = URL(url)
        port = parsed.port
    except ValueError:
        raise EngineError(f"base_url {url!r} is not an address", fix=fix) from None
    if parsed.user or parsed.password:
        raise EngineError(
            "base_url holds a user name or password",
            fix="put the key into the environment variable that `api_key_env` names",
        )
    if parsed.scheme not in ("http", "https") or not parsed.host or not port:
        raise EngineError(f"base_url {url!r} is not an http or https address", fix=fix)
    return url.rstrip("/").removesuffix("/chat/completions").rstrip("/")


def key_of(spec: OpenAIModel | BatchModel, urls: list[str]) -> str | None:
    """The key, or None where a server on this machine or in this network needs none.

    EngineError, naming the variable, for a hosted endpoint without a key and for a key no header can carry.
    """
    key = os.environ.get(spec.api_key_env, "").strip()
    hosted = [url for url in urls if not is_near(URL(url).host or "")]
    if not key and hosted:
        raise EngineError(
            f"{hosted[0]}: no key: the environment variable {spec.api_key_env} is not set",
            fix=f"export {spec.api_key_env}=..., or name another variable with `api_key_env`",
        )
    if not key.isprintable() or not key.isascii():
        raise EngineError(
            f"the key in {spec.api_key_env} holds characters that no header can carry",
            fix=f"copy the key into {spec.api_key_env} again, without line breaks",
        )
    return key or None


def is_near(host: str) -> bool:
    """Whether a host is this machine or in its own network, where servers often want no key."""
    try:
        return ipaddress.ip_address(host).is_private
    except ValueError:
        return "." not in host or host.endswith(_LOCAL_ENDINGS)


def proxy_of(url: str) -> str | None:
    """The proxy that the environment names for an address (HTTPS_PROXY, NO_PROXY and their kind), or None.

    This machine and its own network are never asked through a proxy.
    """
    parsed = URL(url)
    if not parsed.host or is_near(parsed.host) or urllib.request.proxy_bypass(parsed.host):
        return None
    return urllib.request.getproxies().get(parsed.scheme)
