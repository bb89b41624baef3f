"""Making a role ready to work."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from importlib import import_module
from importlib.util import find_spec

from nodegraph.core.patience import PATIENCE
from nodegraph.jobs.supervisor.launch import Launch
from nodegraph.jobs.worker.event_sender import EventSender
from nodegraph.jobs.worker.job_runner import JobRunner
from nodegraph.jobs.worker.pipes import Outbox
from nodegraph.jobs.worker.questions import Questions
from nodegraph.jobs.worker.role import Planner, Role
from nodegraph.jobs.worker.warming import Warming
from nodegraph.session.session import Session
from nodegraph.session.settings import load_settings

_LOG = logging.getLogger(__name__)
_MOST_OF_A_HOOK = 30.0
"""Seconds in the planner."""


@contextmanager
def opened(
    launch: Launch, outbox: Outbox, events: EventSender, loop: asyncio.AbstractEventLoop
) -> Iterator[tuple[Role, str]]:
    """The role that a process was started for, and its device; at the end its session is closed."""
    if launch.role == "planner":
        questions = Questions(lambda: _session(launch))
        try:
            yield Planner(questions, outbox, loop), questions.session.environment.device
        finally:
            questions.close()
        return
    with _session(launch) as session:
        device = session.environment.device
        has_torch = launch.warm and find_spec("torch") is not None
        _warm(session, device, libraries=has_torch)
        worker = JobRunner(session, outbox, events, loop)
        warming = Warming(lambda: worker.job is not None)
        if has_torch:
            warming.start()
        try:
            yield worker, device
        finally:
            warming.stop()


def _session(launch: Launch) -> Session:
    settings = load_settings(launch.settings)
    PATIENCE.is_planner = launch.role == "planner"
    PATIENCE.most_importing = settings.import_seconds
    # Whoever asked the planner has had an answer by then.
    PATIENCE.most = _MOST_OF_A_HOOK if PATIENCE.is_planner else settings.import_seconds
    PATIENCE.end = partial(os._exit, 1)
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
