"""Client of a nodegraph server, for programs and for the command line. See docs/client.md.

It needs neither the server nor torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from nodegraph.client.answers import NodeTypes
from nodegraph.client.downloads import Pulled
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
from nodegraph.client.request_fields import (
    ArtifactFilter,
    DownloadChoice,
    Filters,
    GridFields,
    JobFields,
    LibraryChange,
    Match,
    ModelRecordChange,
    RetentionChange,
    RunOptions,
    Saved,
    ScheduleFields,
    SettingsChange,
    WebhookFields,
    WishFields,
)
from nodegraph.client.requests import NEVER, Retries
from nodegraph.client.shapes import (
    App,
    AppItem,
    AppRun,
    Artifact,
    AvailablePack,
    AvailablePacks,
    Board,
    CarriedTexts,
    Checked,
    Delivery,
    Difference,
    DownloadFile,
    DownloadOffer,
    Event,
    Fault,
    FileCredentials,
    InputFile,
    Job,
    JobGroup,
    JobSummary,
    LinkedFolder,
    MissingModel,
    Model,
    ModelDownload,
    ModelRecord,
    ModelSettings,
    ModelUpdate,
    ModelUses,
    NeededModel,
    NodeWarning,
    OfferedModel,
    OutputFile,
    Outputs,
    PackChange,
    PackEntry,
    PackList,
    Plan,
    QueueState,
    Refreshed,
    SavedItem,
    SavedVersion,
    Schedule,
    Source,
    SourceLink,
    StarterModel,
    State,
    System,
    TagCount,
    Template,
    TemplateLesson,
    Translated,
    UntranslatedNode,
    Upload,
    VerifiedFile,
    WebhookTest,
)
from nodegraph.client.webhooks import InvalidSignature, verify_webhook

if TYPE_CHECKING:
    from nodegraph.client.asynchronous.client import AsyncClient
    from nodegraph.client.blocking.client import Client

__all__ = [
    "NEVER",
    "App",
    "AppItem",
    "AppRun",
    "Artifact",
    "ArtifactFilter",
    "AsyncClient",
    "AvailablePack",
    "AvailablePacks",
    "Board",
    "CarriedTexts",
    "Checked",
    "Client",
    "Conflict",
    "ConnectionLost",
    "Delivery",
    "Difference",
    "DownloadChoice",
    "DownloadFile",
    "DownloadOffer",
    "Event",
    "Fault",
    "FileCredentials",
    "Filters",
    "Forbidden",
    "GridFields",
    "InputFile",
    "InvalidSignature",
    "Job",
    "JobFailed",
    "JobFields",
    "JobGroup",
    "JobNotFound",
    "JobSummary",
    "LibraryChange",
    "LinkedFolder",
    "Match",
    "MissingModel",
    "Model",
    "ModelDownload",
    "ModelRecord",
    "ModelRecordChange",
    "ModelSettings",
    "ModelUpdate",
    "ModelUses",
    "NeededModel",
    "NodeTypes",
    "NodeWarning",
    "NotFound",
    "NotReachable",
    "OfferedModel",
    "OutputFile",
    "Outputs",
    "PackChange",
    "PackEntry",
    "PackList",
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
    "Schedule",
    "ScheduleFields",
    "ServerError",
    "SettingsChange",
    "Source",
    "SourceLink",
    "StarterModel",
    "State",
    "System",
    "TagCount",
    "Template",
    "TemplateLesson",
    "TooManyRequests",
    "TookTooLong",
    "Translated",
    "Unauthenticated",
    "UnexpectedAnswer",
    "UntranslatedNode",
    "Upload",
    "VerifiedFile",
    "WebhookFields",
    "WebhookTest",
    "WishFields",
    "WrongDigest",
    "verify_webhook",
]


_HOMES = {
    "AsyncClient": "nodegraph.client.asynchronous.client",
    "Client": "nodegraph.client.blocking.client",
}
"""They import the HTTP libraries, which users of the shapes alone, such as the server, do not
need."""


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
