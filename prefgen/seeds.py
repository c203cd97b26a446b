"""Randomness that belongs to a name, not to a moment."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np


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


def unit_for(run_seed: int, *names: str) -> float:
    """A number in [0, 1) that belongs to `names` alone: a coin that never changes its mind."""
    return seed_for(run_seed, *names) / 2**128
