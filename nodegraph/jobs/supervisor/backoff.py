"""How long to wait before a process that died is started again."""

from __future__ import annotations

from nodegraph.jobs.supervisor.rules import SupervisionRules


class Backoff:
    """Waits longer with each death, unless the process had proved that it is of use."""

    def __init__(self, rules: SupervisionRules) -> None:
        self._rules = rules
        self._next = rules.backoff_first

    def was_of_use(self) -> None:
        """It has done its work: the next death counts as a first one."""
        self._next = self._rules.backoff_first

    def delay(self, lived: float) -> float:
        """Seconds to wait after a death.

        Args:
            lived: Seconds that the process had lived.
        """
        if lived >= self._rules.backoff_reset:
            self.was_of_use()
        delay = self._next
        self._next = min(2 * delay, self._rules.backoff_most)
        return delay
