"""A client of the server, for programs and for the command line. See docs/client.md.

It needs neither the server nor torch.
"""

from __future__ import annotations

from nodegraph.client.async_client import AsyncClient
from nodegraph.client.client import Client
from nodegraph.client.entries import (
    Checked,
    Model,
    Plan,
    QueueState,
    Refreshed,
    Source,
    SourceLink,
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
from nodegraph.client.file_calls import ArtifactFilter
from nodegraph.client.job_calls import Filters, JobFields, Match, RunOptions, Saved, WishFields
from nodegraph.client.jobs import Artifact, Fault, Job, JobSummary, OutputFile, Outputs, State
from nodegraph.client.node_types import NodeTypes
from nodegraph.client.pulling import Pulled
from nodegraph.client.retries import NEVER, Retries
from nodegraph.client.server_calls import RetentionChange, SettingsChange
from nodegraph.client.workflows import App, AppItem, AppRun, SavedItem, SavedVersion, Template

__all__ = [
    "NEVER",
    "App",
    "AppItem",
    "AppRun",
    "Artifact",
    "ArtifactFilter",
    "AsyncClient",
    "Checked",
    "Client",
    "Conflict",
    "ConnectionLost",
    "Event",
    "Fault",
    "Filters",
    "Forbidden",
    "Job",
    "JobFailed",
    "JobFields",
    "JobNotFound",
    "JobSummary",
    "Match",
    "Model",
    "NodeTypes",
    "NotFound",
    "NotReachable",
    "OutputFile",
    "Outputs",
    "Plan",
    "Pulled",
    "QueueState",
    "Refreshed",
    "RetentionChange",
    "Retries",
    "RunOptions",
    "Saved",
    "SavedItem",
    "SavedVersion",
    "ServerError",
    "SettingsChange",
    "Source",
    "SourceLink",
    "State",
    "System",
    "Template",
    "TooManyRequests",
    "TookTooLong",
    "Unauthenticated",
    "UnexpectedAnswer",
    "Upload",
    "WishFields",
    "WrongDigest",
]
