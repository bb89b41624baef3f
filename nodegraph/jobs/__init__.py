"""Jobs: submitted runs of workflows, kept in a durable queue."""

from __future__ import annotations

from nodegraph.jobs.errors import (
    JobNotFound,
    KeyReused,
    QueueFull,
    QueueInUse,
    StaleAttempt,
    TooMuchKept,
    WrongState,
)
from nodegraph.jobs.events import EventPage, JobEvent
from nodegraph.jobs.fairness import Limits
from nodegraph.jobs.job import Job, JobSummary
from nodegraph.jobs.listing import Counts, Filter, Page
from nodegraph.jobs.queue import JobQueue
from nodegraph.jobs.reader import QueueReader
from nodegraph.jobs.retention import Rules
from nodegraph.jobs.states import STATES, State, Wanted
from nodegraph.jobs.submission import Submission
from nodegraph.jobs.submitting import Submitted
from nodegraph.jobs.turns import Turn
from nodegraph.jobs.working import Death

__all__ = [
    "STATES",
    "Counts",
    "Death",
    "EventPage",
    "Filter",
    "Job",
    "JobEvent",
    "JobNotFound",
    "JobQueue",
    "JobSummary",
    "KeyReused",
    "Limits",
    "Page",
    "QueueFull",
    "QueueInUse",
    "QueueReader",
    "Rules",
    "StaleAttempt",
    "State",
    "Submission",
    "Submitted",
    "TooMuchKept",
    "Turn",
    "Wanted",
    "WrongState",
]
