"""Takes out of texts what is nobody's business: addresses of servers, and places on somebody's machine."""

from __future__ import annotations

import html
import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

ADDRESS = "(an address)"
"""What stands where an address stood."""

_URL = re.compile(r"\b(?:[a-z][a-z0-9+.-]*)://[^\s'\"<>|,;)\]}]+", re.I)
_PAIR = re.compile(r"\(\\?['\"][\w.:%-]+\\?['\"], ?\d+(?:, ?\d+)*\)")  # ('10.0.0.5', 8000), as Python says it
_AFTER_HOST = re.compile(r"(?<=\bhost )['\"]?[\w.-]+['\"]?(?::\d+)?", re.I)
_WITH_PORT = re.compile(
    r"(?<![\w.-])(?:localhost|[\w-]+(?:\.[\w-]+)+|[\w-]*[a-z][\w-]*(?=:\d{4}))(?::\d{2,5})(?!\w)", re.I
)
_IPV4 = re.compile(r"(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?::\d{1,5})?(?![\w.]*\d)")
_IPV6 = re.compile(r"(?<![\w:])\[?([0-9a-f]{0,4}(?::[0-9a-f]{0,4}){2,7})\]?(?::\d{1,5})?(?![\w:])", re.I)
_ADDRESSES = (_URL, _PAIR, _AFTER_HOST, _IPV4, _WITH_PORT)
_PATH = re.compile(
    r"(?<![\w/:.~<-])(?:(?:~|\.\.)?(?:/[\w.@+%=~-]+){2,}/?|(?:~|\.\.)/[\w.@+%=~-]+/?|[A-Za-z]:[\\/][^\s'\"<>|,;:)]+)"
)
_IS_PATH = re.compile(r"(?:~|\.{1,2})?/[^\n]*|[A-Za-z]:[\\/][^\n]*|\\\\[^\n]+")
_NO_FOLDER = frozenset({"", "/", "."})


def without_places(text: str) -> str:
    """Text with every path of a machine as the name of its file alone; addresses stay.

    >>> without_places("town survey (/home/ann/surveys/town.csv), https://example.org/a/b")
    'town survey (town.csv), https://example.org/a/b'
    """
    return _PATH.sub(lambda found: file_name(found[0]), text) if "/" in text or "\\" in text else text


def said_in(text: str) -> tuple[set[str], set[Path]]:
    """The addresses that a program says, and the folders of the files that it names.

    >>> said_in("Cannot connect to host gpu-box:8000, see /srv/log/a.txt")
    ({'gpu-box:8000'}, {PosixPath('/srv/log')})
    """
    found = {one[0].strip("'\"") for pattern in _ADDRESSES for one in pattern.finditer(text)}
    found |= {one[0] for one in _IPV6.finditer(text) if _is_ip(one[1])}
    paths = {one[0] for one in _PATH.finditer(text)} if "/" in text else set()
    return found, {Path(path).parent for path in paths if path.startswith("/")}


def without_addresses(text: str) -> str:
    """What a program says of an exchange, without addresses and without paths. Too much is taken out rather than too little.

    >>> without_addresses("Cannot connect to host gpu-box:8000 ssl:default [Connect call failed ('10.0.0.5', 8000)]")
    'Cannot connect to host (an address) ssl:default [Connect call failed (an address)]'
    """
    for pattern in _ADDRESSES:
        text = pattern.sub(ADDRESS, text)
    return without_places(_IPV6.sub(lambda found: ADDRESS if _is_ip(found[1]) else found[0], text))


def is_place(text: str) -> bool:
    """Whether a whole text is a path that leads out of the run: absolute, of somebody's home, or upwards."""
    return _IS_PATH.fullmatch(text) is not None and not text.startswith("./") and text.strip("/.~") != ""


def file_name(path: str) -> str:
    """The last part of a path, of any system."""
    return re.split(r"[\\/]", path.rstrip("\\/"))[-1]


@dataclass(frozen=True, slots=True)
class Private:
    """Strings known to be private, to be found in texts of which the rest must stay as it is.

    addresses    longest first
    folders      in which files of this machine lie
    """

    addresses: tuple[str, ...]
    folders: tuple[str, ...]

    @classmethod
    def of(cls, base_urls: Iterable[str], folders: Iterable[Path], addresses: Iterable[str] = ()) -> Private:
        """What may not be said of servers, and of files in some folders and the user's home."""
        found = set(addresses)
        for url in base_urls:
            parts = urlsplit(url)
            found |= {url, url.rstrip("/"), f"{parts.scheme}://{parts.netloc}", parts.netloc}
        places = {str(folder) for folder in (*folders, Path.home())} - _NO_FOLDER
        return cls(tuple(sorted(found, key=len, reverse=True)), tuple(sorted(places, key=len, reverse=True)))

    def out_of(self, text: str) -> str:
        """The text without them, however they are escaped in a page."""
        for address in self.addresses:
            escaped = html.escape(address)
            for form in {address, escaped, escaped.replace("&#x27;", "&#39;"), address.replace("://", "\\://")}:
                text = re.sub(rf"(?<![\w.-]){re.escape(form)}(?![\w-])", ADDRESS, text)
        for folder in self.folders:
            text = re.sub(
                rf"(?<![\w/.-]){re.escape(folder)}(?![\w.-])((?:/[^\s'\"<>|`,;:)&\]]*)?)",
                lambda found: file_name(found[1]) or "(a folder)",
                text,
            )
        return text


def _is_ip(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
