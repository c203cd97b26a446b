"""Which coordinates of items are a sample of levels that could have been others."""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray


def sampled_factors(items: pl.DataFrame) -> list[NDArray[np.intp]]:
    """Placeholder until the analysis' rule is here."""
    del items
    return []
