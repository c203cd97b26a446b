"""Randomness that belongs to a name, not to a moment."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def seed_for(run_seed: int, *names: str) -> int:
    """A 128-bit integer that belongs to `names` alone."""
    digest = hashlib.blake2b("\x1f".join((str(run_seed), *names)).encode(), digest_size=16).digest()
    return int.from_bytes(digest, "big")


def rng_for(run_seed: int, *names: str) -> np.random.Generator:
    """A generator that belongs to `names` alone.

    Adding a persona, shuffling the work or changing the concurrency leaves every
    other persona's draws untouched.
    """
    import numpy as np

    return np.random.default_rng(seed_for(run_seed, *names))


def one_of_each(n: int, every: int) -> NDArray[np.int64]:
    """One of every so many neighbouring rows, whichever: of what comes in turns, as the forms of a question do, all turns are met.

    >>> len(one_of_each(10, 4)), one_of_each(3, 1).tolist()
    (3, [0, 1, 2])
    """
    import numpy as np

    starts = np.arange(0, n, every, dtype=np.int64)
    return starts + rng_for(0, "one of each", str(every)).integers(0, np.minimum(every, n - starts))


def unit_for(run_seed: int, *names: str) -> float:
    """A number in [0, 1) that belongs to `names` alone: a coin that never changes its mind."""
    return seed_for(run_seed, *names) / 2**128
