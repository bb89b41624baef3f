"""Set up a worker's role, and preload libraries while it is idle."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from threading import Event as Flag
from threading import Thread

from nodegraph.core.garbage_collection import PausedGC
from nodegraph.core.pack_faults import WATCHDOG
from nodegraph.jobs.supervisor.worker_spec import Launch
from nodegraph.jobs.worker.distributed_run import HelperRunner
from nodegraph.jobs.worker.job_runner import JobRunner
from nodegraph.jobs.worker.pipes import EventSender, Outbox
from nodegraph.jobs.worker.planner import Planner, PlannerAnswers, Role
from nodegraph.session.devices import share_cores
from nodegraph.session.session import Session
from nodegraph.session.settings import load_settings

_LOG = logging.getLogger(__name__)
_MOST_OF_A_HOOK = 30.0
"""Seconds in the planner."""
_FIRST = 0.05
"""Seconds before it begins: a job that waits for the worker has the processor alone."""
_BUSY = 0.5
"""Seconds after which it looks again whether a job has ended."""
_SWITCH = 0.0005
"""Seconds after which an import lets other threads go on, rather than Python's 5 ms."""
LIBRARIES = (
    "nodegraph.models.loading",
    "nodegraph.sampling.denoise",
    "nodegraph.models.conditioning",
    "nodegraph.models.vae",
    "nodegraph.media.images.images",
    "nodegraph.media.images.output_files",
)
"""What models and images take; the first one takes seconds, as it imports models' classes."""


@contextmanager
def open_role(
    launch: Launch, outbox: Outbox, events: EventSender, loop: asyncio.AbstractEventLoop
) -> Iterator[tuple[Role, Session]]:
    """The role that a process was started for, and its session, which is closed at the end."""
    if launch.role == "planner":
        answers = PlannerAnswers(lambda: _session(launch))
        try:
            yield Planner(answers, outbox, loop), answers.session
        finally:
            answers.close()
        return
    has_torch = launch.warm and find_spec("torch") is not None
    if has_torch:
        # Before packs are read: where they are new, the planner has written them down meanwhile.
        share_cores()  # which has an effect before torch is there, and none after
        import_module("torch")
    with _session(launch) as session:
        device = session.environment.device
        _warm(session, device, libraries=has_torch)
        runner = JobRunner(session, outbox, events, loop)
        worker = HelperRunner(runner, session, outbox, loop)
        warming = Preloader(lambda: worker.is_busy)
        if has_torch:
            warming.start()
        try:
            yield worker, session
        finally:
            warming.stop()


def _session(launch: Launch) -> Session:
    settings = load_settings(launch.settings)
    WATCHDOG.is_planner = launch.role == "planner"
    WATCHDOG.import_limit = settings.import_seconds
    # Whoever asked the planner has had an answer by then.
    WATCHDOG.limit = _MOST_OF_A_HOOK if WATCHDOG.is_planner else settings.import_seconds
    WATCHDOG.end = partial(os._exit, 1)
    session = Session(settings, packs=launch.packs)
    # Reads what packs declare, and writes it down where that has changed.
    for problem in session.registry.problems:
        _LOG.warning("%s", problem)
    return session


def _warm(session: Session, device: str, *, libraries: bool) -> None:
    """Do before the first job what would hold it up.

    Args:
        libraries: Whether to load those that only some jobs need.
    """
    assert session.engine is not None
    for problem in session.problems:
        _LOG.warning("%s", problem)
    session.problems.clear()
    if not libraries:
        return
    torch = import_module("torch")
    if device != "cpu":
        torch.zeros(1, device=device)  # starting a device up takes seconds
        session.measure_machine()  # the planner can't, as it has no torch


class Preloader:
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
        """Begin, almost at once."""
        self._thread.start()

    def stop(self) -> None:
        """Begin with nothing more."""
        self._is_over.set()

    def _is_idle(self) -> bool:
        """Wait until there is no job; False if it is over before."""
        while self._is_busy():
            if self._is_over.wait(_BUSY):
                return False
        return not self._is_over.is_set()

    def _work(self) -> None:
        before = sys.getswitchinterval()
        self._is_over.wait(_FIRST)
        for module in self._modules:
            if module in sys.modules:
                continue
            if not self._is_idle():
                return
            sys.setswitchinterval(_SWITCH)
            try:
                with PausedGC():
                    import_module(module)
                    self._put_aside()
            except Exception as error:  # noqa: BLE001 - whoever needs it is told
                _LOG.warning("%s cannot be imported: %s", module, error)
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
