"""What every spec object is made of: frozen models, paths relative to their file, safe names."""

from __future__ import annotations

import math
import os
import re
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationInfo

_NAME = re.compile(r"^[A-Za-z][A-Za-z0-9_-]{0,63}$")


class Spec(BaseModel):
    """A part of a YAML file: unknown keys are errors, nothing changes after it was read."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, populate_by_name=True)


def is_name(value: object) -> bool:
    """Whether a value may become a file or column name."""
    return isinstance(value, str) and _NAME.match(value) is not None


def _named(value: str) -> str:
    if not is_name(value):
        raise ValueError(
            f"{value!r} is not a name\nfix: use letters, digits, '_' and '-', beginning with a letter (64 at most)"
        )
    return value


def beside_its_file(value: Path, info: ValidationInfo) -> Path:
    """A path relative to the YAML file that names it; ValueError for what no file can be called."""
    if "\0" in str(value) or any(len(os.fsencode(part)) > 255 for part in value.parts) or len(str(value)) > 4000:
        raise ValueError(f"{str(value)[:40]!r}... can be no file\nfix: write the name of a file")
    folder = info.context if isinstance(info.context, Path) else Path()
    return value if value.is_absolute() else folder / value


Name = Annotated[str, AfterValidator(_named)]
"""A word that may become a file or column name: no slashes, no dots, so no way out of a folder."""


def _column(value: str) -> str:
    name, dot, part = value.partition(".")
    return f"{_named(name)}{dot}{_named(part)}" if dot else _named(name)


ColumnName = Annotated[str, AfterValidator(_column)]
"""A column, or `column.part` for a part of one that has parts, as the reply of a side of a conversation."""

InputPath = Annotated[Path, AfterValidator(beside_its_file)]
"""A file to read, relative to the YAML file that names it (passed as validation context)."""


def as_json(value: Any) -> Any:
    """A value of YAML as the JSON that is sent, its keys as text. ValueError for what JSON has not."""
    if isinstance(value, dict):
        return {str(key): as_json(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [as_json(inner) for inner in value]
    if isinstance(value, bool | str) or value is None:
        return value
    if (isinstance(value, int) and abs(value) < 2**53) or (isinstance(value, float) and math.isfinite(value)):
        return value
    raise ValueError(
        f"{value!r} cannot be sent as JSON\nfix: write text (in quotes), a number, true or false, a list or a mapping"
    )


def check_address(url: str) -> None:
    """ValueError for what is no address of a server, or holds what belongs to the key."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"{url!r} is not an address\nfix: write e.g. http://127.0.0.1:8000/v1")
    if parts.username or parts.password:
        raise ValueError("it holds a name or password\nfix: put the key into the variable that api_key_env names")
    if parts.query or parts.fragment:
        raise ValueError(
            "an address ends before `?` and `#`\nfix: put a key into the variable that api_key_env names, "
            "and leave the rest out"
        )
