"""Telling how far a long measurement is."""

import time


class Clock:
    """Prints how far a run of known cost is, and how long it will take; every ten seconds."""

    def __init__(self) -> None:
        self.doing = ""
        self.start(0.0)

    def start(self, total: float) -> None:
        """Begin a run of so much cost."""
        self._total, self._done = max(total, 1e-9), 0.0
        self._started = self._told = time.monotonic()

    def add(self, cost: float) -> None:
        """So much more is done."""
        self._done += cost
        now = time.monotonic()
        if now - self._told < 10.0:
            return
        self._told = now
        share = min(1.0, self._done / self._total)
        left = (now - self._started) * (1.0 - share) / share
        print(f"{self.doing}: {100 * share:.0f} % of all, {left / 60:.1f} min left", flush=True)
