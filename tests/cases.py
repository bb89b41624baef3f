"""Many small cases in one test, where a test for each would cost more than what it looks at."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def case(*named: object) -> Iterator[None]:
    """Name a case in whatever is wrong with it.

    Args:
        named: What tells it from the others of its test.
    """
    try:
        yield
    except Exception as error:
        about = ", ".join(map(str, named))
        raise AssertionError(f"{about}: {type(error).__name__}: {error}") from error
