"""How many requests one endpoint gets at once: more while it copes, fewer when it says so."""

from __future__ import annotations

_FIRST = 8
_FINE_S = 1.0  # below this nobody minds how latency grows
_SLOWER = 4.0  # times the best latency seen: from here on more requests only queue


class ConcurrencyLimiter:
    """The most requests in flight at one endpoint, adapted to what comes back.

    most        never more than this
    timeout_s   seconds after which a request is given up; half of that in latency means fewer at once

    `limit` doubles with every round of answers until the first sign of trouble, and from then on grows by a
    thirty-second of `most` a round. A round is as many answers as the limit.
    """

    __slots__ = ("_best_s", "_deaf", "_doubling", "_n", "_round", "_step", "_sum_s", "_timeout_s", "limit", "most")

    def __init__(self, most: int, *, timeout_s: float) -> None:
        self.most = most
        self.limit = min(_FIRST, most)
        self._timeout_s = timeout_s
        self._step = max(1, most // 32)
        self._doubling = True
        self._best_s = float("inf")
        self._sum_s = 0.0
        self._n = 0
        self._round = self.limit  # answers of the round under way
        self._deaf = 0  # outcomes of requests that were already out at the last cut: no news

    def answered(self, latency_s: float) -> None:
        """An answer came."""
        self._sum_s += latency_s
        self._n += 1
        if self._doubling and self.limit < self.most:
            self.limit += 1
        if self._n >= self._round:
            self._end_round()

    def cut(self, *, severe: bool = True) -> None:
        """The endpoint said it has too much to do; `severe` halves, else it is a tenth. Once a round counts."""
        self._doubling = False
        if self._deaf > 0:
            self._deaf -= 1
            return
        self._deaf = self.limit - 1
        self.limit = max(1, self.limit // 2 if severe else min(self.limit - 1, int(self.limit * 0.9)))

    def collapse(self) -> None:
        """Nobody answers: one request at a time finds out when that ends, and then it grows fast again."""
        self.limit = self._round = 1
        self._sum_s, self._n = 0.0, 0
        self._doubling = True
        self._deaf = 0

    def _end_round(self) -> None:
        mean_s = self._sum_s / self._n
        self._sum_s, self._n, self._deaf = 0.0, 0, 0
        self._best_s = min(self._best_s, mean_s)
        if mean_s > self._timeout_s / 2:
            self.cut()
        elif mean_s > max(_FINE_S, _SLOWER * self._best_s):
            self._doubling = False
        elif not self._doubling:
            self.limit = min(self.most, self.limit + self._step)
        self._round = self.limit
