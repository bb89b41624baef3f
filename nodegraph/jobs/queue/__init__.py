"""Jobs: submitted runs of workflows, kept in a durable queue."""

from __future__ import annotations

from nodegraph.jobs.queue.attempts import Death
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
from nodegraph.jobs.queue.job import STATES, Interruption, Job, JobSummary, State
from nodegraph.jobs.queue.job_order import ANY_JOB, BatchPartners, JobCriteria, Limits, Turn
from nodegraph.jobs.queue.job_queries import Counts, JobFilter, JobPage, ReadyCounts
from nodegraph.jobs.queue.queue import JobQueue
from nodegraph.jobs.queue.reader import QueueReader
from nodegraph.jobs.queue.retention import RetentionRules
from nodegraph.jobs.queue.submission import Submission, Submitted

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
