"""Jobs: submitted runs of workflows, kept in a durable queue."""

from __future__ import annotations

from nodegraph.jobs.queue.choosing import ANY_JOB, BatchPartners, JobCriteria
from nodegraph.jobs.queue.errors import (
    JobNotFound,
    KeyReused,
    QueueFull,
    QueueInUse,
    StaleAttempt,
    TooMuchKept,
    WrongState,
)
from nodegraph.jobs.queue.events import EventPage, JobEvent
from nodegraph.jobs.queue.fairness import Limits
from nodegraph.jobs.queue.job import Job, JobSummary
from nodegraph.jobs.queue.listing import Counts, JobFilter, JobPage, ReadyCounts
from nodegraph.jobs.queue.queue import JobQueue
from nodegraph.jobs.queue.reader import QueueReader
from nodegraph.jobs.queue.retention import RetentionRules
from nodegraph.jobs.queue.states import STATES, Interruption, State
from nodegraph.jobs.queue.submission import Submission
from nodegraph.jobs.queue.submitting import Submitted
from nodegraph.jobs.queue.turns import Turn
from nodegraph.jobs.queue.working import Death

__all__ = [
    "ANY_JOB",
    "STATES",
    "BatchPartners",
    "Counts",
    "Death",
    "EventPage",
    "Interruption",
    "Job",
    "JobCriteria",
    "JobEvent",
    "JobFilter",
    "JobNotFound",
    "JobPage",
    "JobQueue",
    "JobSummary",
    "KeyReused",
    "Limits",
    "QueueFull",
    "QueueInUse",
    "QueueReader",
    "ReadyCounts",
    "RetentionRules",
    "StaleAttempt",
    "State",
    "Submission",
    "Submitted",
    "TooMuchKept",
    "Turn",
    "WrongState",
]
