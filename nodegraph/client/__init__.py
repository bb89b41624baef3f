"""A client of the server, for programs and for the command line. See docs/client.md.

It needs neither the server nor torch.
"""

from __future__ import annotations

from nodegraph.client.async_client import AsyncClient
from nodegraph.client.client import Client
from nodegraph.client.entries import (
    App,
    AppItem,
    AppRun,
    Checked,
    Model,
    Plan,
    SavedItem,
    SavedVersion,
    System,
    Upload,
)
from nodegraph.client.errors import (
    Conflict,
    ConnectionLost,
    Forbidden,
    JobFailed,
    JobNotFound,
    NotFound,
    NotReachable,
    ServerError,
    TookTooLong,
    TooManyRequests,
    Unauthenticated,
    UnexpectedAnswer,
    WrongDigest,
)
from nodegraph.client.events import Event
from nodegraph.client.job_calls import Filters, JobFields, RunOptions, Saved, WishFields
from nodegraph.client.jobs import Artifact, Job, JobSummary, OutputFile, Outputs, State
from nodegraph.client.node_types import NodeTypes
from nodegraph.client.pulling import Pulled
from nodegraph.client.retries import NEVER, Retries

__all__ = [
    "NEVER",
    "App",
    "AppItem",
    "AppRun",
    "Artifact",
    "AsyncClient",
    "Checked",
    "Client",
    "Conflict",
    "ConnectionLost",
    "Event",
    "Filters",
    "Forbidden",
    "Job",
    "JobFailed",
    "JobFields",
    "JobNotFound",
    "JobSummary",
    "Model",
    "NodeTypes",
    "NotFound",
    "NotReachable",
    "OutputFile",
    "Outputs",
    "Plan",
    "Pulled",
    "Retries",
    "RunOptions",
    "Saved",
    "SavedItem",
    "SavedVersion",
    "ServerError",
    "State",
    "System",
    "TooManyRequests",
    "TookTooLong",
    "Unauthenticated",
    "UnexpectedAnswer",
    "Upload",
    "WishFields",
    "WrongDigest",
]
