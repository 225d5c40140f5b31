"""How fast a client's messages are read."""

from __future__ import annotations


class Rate:
    """A token bucket: `per_second` on average, twice as many at once.

    >>> rate = Rate(10, now=0)
    >>> [round(rate.delay(now=0), 3) for _ in range(22)][-3:]
    [0.0, 0.1, 0.2]
    >>> rate.delay(now=60)
    0.0
    """

    def __init__(self, per_second: float, now: float) -> None:
        self._per_second = per_second
        self._burst = max(1.0, 2 * per_second)
        self._left = self._burst
        self._at = now

    def delay(self, now: float) -> float:
        """Take one, and say how many seconds it has to wait."""
        self._left = min(self._burst, self._left + (now - self._at) * self._per_second) - 1
        self._at = now
        return max(0.0, -self._left / self._per_second)
