"""Rate limits per client: token buckets that refill steadily."""

from __future__ import annotations

import ipaddress
import time
from collections import OrderedDict
from collections.abc import Callable
from functools import lru_cache

_MOST_REMEMBERED = 10_000


class RateLimiter:
    """A bucket for each key; one that isn't known is full.

    Args:
        per_second: That flow in.
        burst: That fit in.
        clock: Seconds; only differences count.
    """

    def __init__(
        self, per_second: float, burst: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._per_second = per_second
        self._burst = float(burst)
        self._clock = clock
        self._filled: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def acquire(self, key: str) -> float:
        """Take one out; seconds until there is one, 0 if there was."""
        now = self._clock()
        level, since = self._filled.pop(key, (self._burst, now))
        level = min(self._burst, level + (now - since) * self._per_second)
        if level < 1.0:
            self._filled[key] = (level, now)
            return (1.0 - level) / self._per_second
        self._filled[key] = (level - 1.0, now)
        if len(self._filled) > _MOST_REMEMBERED:
            # Who was silent for longest has the fullest bucket, so that little is forgiven.
            self._filled.popitem(last=False)
        return 0.0


@lru_cache(maxsize=4096)
def network(address: str) -> str:
    """Whom an address stands for: of IPv6, a household has 2 ** 64 of them at least."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if parsed.version == 4:
        return address
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.ip_network((parsed, 64), strict=False))
