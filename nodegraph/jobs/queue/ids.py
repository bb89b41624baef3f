"""Names of jobs: they sort by time, as far as the clock can be trusted."""

from __future__ import annotations

import secrets

_LETTERS = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's: none easily taken for another
_PREFIX = "job_"
_LENGTH = 26
_RANDOM_BITS = 80
_LARGEST_TIME = (1 << 48) - 1


def new_id(now: float) -> str:
    """A name that no other job has.

    Args:
        now: Unix time; what is before 1970 counts as 1970.
    Returns:
        "job_" and 26 letters and digits: 48 bits of milliseconds, then 80 random ones.
    """
    milliseconds = min(max(int(now * 1000), 0), _LARGEST_TIME)
    number = milliseconds << _RANDOM_BITS | secrets.randbits(_RANDOM_BITS)
    return _PREFIX + "".join(_LETTERS[number >> 5 * at & 31] for at in reversed(range(_LENGTH)))


def is_id(text: str) -> bool:
    """Whether a text could be the name of a job."""
    letters = text[len(_PREFIX) :]
    return text.startswith(_PREFIX) and len(letters) == _LENGTH and set(letters) <= set(_LETTERS)
