"""Importing what most jobs need while a worker has nothing to do."""

from __future__ import annotations

import gc
import logging
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from threading import Event as Flag
from threading import Thread

from nodegraph.core.collecting import NoCollecting

_LOG = logging.getLogger(__name__)

_IDLE = 0.5
"""Seconds before it begins: a job that comes right after the start has the processor alone."""
_SWITCH = 0.0005
"""Seconds after which an import lets other threads go on, rather than Python's 5 ms."""
LIBRARIES = (
    "nodegraph.diffusion.loading",
    "nodegraph.diffusion.denoise",
    "nodegraph.diffusion.text",
    "nodegraph.diffusion.vae",
    "nodegraph.images.images",
    "nodegraph.images.output_files",
)
"""What models and pictures take; the first one takes seconds, as it imports models' classes."""


class Warming:
    """Imports modules, one after the other, as long as there is no job.

    A job that needs one meanwhile waits for the rest of that import, which is less than all of it.

    Args:
        is_busy: Whether there is a job.
    """

    def __init__(self, is_busy: Callable[[], bool], modules: Sequence[str] = LIBRARIES) -> None:
        self._is_busy = is_busy
        self._modules = modules
        self._is_over = Flag()
        self._thread = Thread(target=self._work, name="nodegraph-warming", daemon=True)

    def start(self) -> None:
        """Begin, soon."""
        self._thread.start()

    def stop(self) -> None:
        """Begin with nothing more."""
        self._is_over.set()

    def _is_idle(self) -> bool:
        """Wait until there has been no job for a moment; False if it is over before."""
        while not self._is_over.wait(_IDLE):
            if not self._is_busy():
                return True
        return False

    def _work(self) -> None:
        before = sys.getswitchinterval()
        for module in self._modules:
            if module in sys.modules:
                continue
            if not self._is_idle():
                return
            sys.setswitchinterval(_SWITCH)
            try:
                with NoCollecting():
                    import_module(module)
                    self._put_aside()
            except Exception as error:  # noqa: BLE001 - whoever needs it is told
                _LOG.warning("%s can't be imported: %s", module, error)
                return
            finally:
                sys.setswitchinterval(before)

    def _put_aside(self) -> None:
        """What was imported stays: jobs needn't have the collector of garbage go through it.

        Not what a job holds at this moment, which goes, nor garbage of one that was there.
        """
        if not self._is_busy():
            gc.collect()
        if not self._is_busy():
            gc.freeze()
