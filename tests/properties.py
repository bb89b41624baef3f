"""How many examples property tests draw: few in a plain run, many in the long part.

The profile `quick` takes a tenth, the same ones each time where ``CI`` is set. `thorough`
(``--all``, ``--left-out``) takes all, drawn anew, and the run's header prints the seed.
"""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

QUICK_SHARE = 10
"""A plain run draws one part in this many of what the long part does."""
FEWEST = 5
"""A plain run draws this many at least, of a test that asks for as many."""
DEFAULT = 100

_thorough = False


def load_profile(*, thorough: bool) -> None:
    """Choose how many examples this run draws, before test modules are imported."""
    global _thorough  # decorators of tests ask it while modules are imported
    _thorough = thorough
    settings.register_profile(
        "thorough" if thorough else "quick",
        deadline=None,  # how long an example takes is the machine's affair, or making one
        suppress_health_check=[HealthCheck.too_slow],
        max_examples=examples(DEFAULT),
        derandomize=not thorough and "CI" in os.environ,
        print_blob=thorough,
    )
    settings.load_profile("thorough" if thorough else "quick")


def examples(thorough: int) -> int:
    """The number of examples for a test that draws `thorough` of them in the long part."""
    if _thorough:
        return thorough
    return min(thorough, max(FEWEST, thorough // QUICK_SHARE))
