"""Names of personas that follow from who they are: one id is one person, whatever the seed and size of a draw."""

from __future__ import annotations

import hashlib

import numpy as np
import orjson
import polars as pl
from numpy.typing import NDArray

from prefgen.spec.population import Population

_ALPHABET = np.frombuffer(b"0123456789abcdefghjkmnpqrstvwxyz", dtype=np.uint8)  # no letter that looks like another
_LETTERS = 13  # of 5 bits, for 64: of a million people two share a name with a probability of 3 in 100 million

Hashes = NDArray[np.uint64]


def named_by_content(population: Population, people: pl.DataFrame) -> pl.Series:
    """`persona_id` of people by their attributes and the templates that portray them: `town-4qz7k2m9xw3ab`.

    people    one column an attribute; in the order in which a larger draw has them too

    The second of two who are alike in every way is `town-4qz7k2m9xw3ab-2`. Another template makes another id.
    """
    hashes = _hashes(people, population.population, population.text)
    named = pl.DataFrame({"id": pl.Series(_letters(hashes, _LETTERS)), "first": hashes}).with_columns(
        copy=pl.int_range(1, pl.len() + 1).over("first")
    )
    suffix = pl.when(pl.col("copy") > 1).then("-" + pl.col("copy").cast(pl.String)).otherwise(pl.lit(""))
    return named.select((pl.lit(f"{population.population}-") + pl.col("id") + suffix).alias("persona_id")).to_series()


def named_apart(people: pl.DataFrame) -> pl.Series:
    """Six letters that follow from the columns of each row, to tell apart rows that already share a long name."""
    return pl.Series(_letters(_hashes(people), 6))


def _hashes(people: pl.DataFrame, *also: object) -> Hashes:
    hashes = np.full(people.height, _hash(*also), dtype=np.uint64)
    for name in sorted(people.columns):
        values = people[name].unique()
        known = pl.Series([_hash(name, value) for value in values.to_list()], dtype=pl.UInt64)
        hashes = _mixed(hashes ^ people[name].replace_strict(values, known, return_dtype=pl.UInt64).to_numpy())
    return hashes


def _hash(*content: object) -> int:
    packed = orjson.dumps(content, option=orjson.OPT_SORT_KEYS)
    return int.from_bytes(hashlib.blake2b(packed, digest_size=8).digest(), "little")


def _mixed(hashes: Hashes) -> Hashes:
    """Every bit spread over all 64, one to one. Source: the finaliser of SplitMix64, Steele et al. 2014."""
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB), (31, 1)):
        hashes = (hashes ^ (hashes >> np.uint64(shift))) * np.uint64(factor)
    return hashes


def _letters(hashes: Hashes, n: int) -> NDArray[np.str_]:
    """The lowest bits, as `n` letters and digits."""
    places = np.arange(n, dtype=np.uint64) * np.uint64(5)
    signs = _ALPHABET[((hashes[:, None] >> places) & np.uint64(31)).astype(np.intp)]
    return signs.view(f"S{n}").reshape(-1).astype(f"U{n}")
