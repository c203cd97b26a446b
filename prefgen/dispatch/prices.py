"""What a model costs: a dated table of hosted models, and the user's own table over it."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from pydantic import Field

from prefgen.spec.document import read_document
from prefgen.spec.fields import Spec
from prefgen.spec.models import BatchModel, ModelSpec, OpenAIModel

_SHIPPED = Path(__file__).with_name("prices.yaml")
_DATED = re.compile(r"-\d{4}-\d{2}-\d{2}$")


@dataclass(frozen=True, slots=True)
class Price:
    """US dollars per million tokens; `cached` prompt tokens have a price of their own.

    batch_factor    what a batch costs of it
    said_by         the table that says so, its date and its source
    """

    input_usd_per_mtok: float
    cached_usd_per_mtok: float
    output_usd_per_mtok: float
    batch_factor: float = 0.5
    said_by: str = ""


class _Row(Spec):
    input: float = Field(ge=0, description="US dollars per million prompt tokens.")
    output: float = Field(ge=0, description="US dollars per million tokens of the answer.")
    cached: float | None = Field(
        None, ge=0, description="US dollars per million cached prompt tokens; by default as `input`."
    )


class _Prices(Spec):
    as_of: str = Field("undated", description="Day of the prices.")
    source: str = Field("your own table", description="Who says so.")
    batch_factor: float = Field(0.5, ge=0, le=1, description="What a batch costs of the price.")
    prices: dict[str, _Row] = Field(description="Prices by name of the model.")


def own_prices_path() -> Path:
    """Where the user's own prices are looked for: `prefgen/prices.yaml` in the folder for settings."""
    settings = os.environ.get("XDG_CONFIG_HOME") or "~/.config"
    return Path(settings).expanduser() / "prefgen" / "prices.yaml"


def price_of(spec: ModelSpec) -> Price | None:
    """What a model costs by its name, None where nobody knows; what runs on this machine or is stored costs nothing.

    A name with a date behind it (`gpt-4o-mini-2024-07-18`) costs what the name alone does, unless it is listed.
    SpecError, with its line, for a table of the user's own that is not right.
    """
    if not isinstance(spec, OpenAIModel | BatchModel):
        return Price(0.0, 0.0, 0.0, said_by="nothing is paid for")
    own = own_prices_path()
    tables = [_read(own, own.stat().st_mtime_ns)] if own.is_file() else []
    for prices in (*tables, _read(_SHIPPED, 0)):
        row = prices.prices.get(spec.model) or prices.prices.get(_DATED.sub("", spec.model))
        if row is not None:
            cached = row.input if row.cached is None else row.cached
            return Price(row.input, cached, row.output, prices.batch_factor, f"{prices.source} ({prices.as_of})")
    return None


@lru_cache(maxsize=8)
def _read(path: Path, _changed: int) -> _Prices:
    from prefgen.spec.validation import validated  # only a paid model has a price to be read

    document = read_document(path)
    return validated(_Prices, document, document.data, (), path.parent)
