"""Putting the collector of cyclic garbage off while much is made that stays."""

from __future__ import annotations

import gc


class PausedGC:
    """Puts the collector off to the end of the `with`.

    A graph of many nodes is thousands of objects that stay; collecting again and again while they
    are made takes as long as making them.
    """

    __slots__ = ("_was_enabled",)

    def __enter__(self) -> None:
        self._was_enabled = gc.isenabled()
        gc.disable()

    def __exit__(self, *_: object) -> None:
        if self._was_enabled:
            gc.enable()
