"""What the API tells, said once: the server answers with these shapes, and clients read them.

They are plain dataclasses. The API's description is made of them, docstrings included; see
`nodegraph.client.shapes.description`.
"""

from __future__ import annotations

from nodegraph.client.shapes.events import Event, EventPage
from nodegraph.client.shapes.jobs import (
    Artifact,
    CarriedTexts,
    Fault,
    Job,
    JobLinks,
    JobSummary,
    NodeWarning,
    OutputFile,
    Outputs,
    State,
)
from nodegraph.client.shapes.server import (
    Counts,
    Disk,
    InputFile,
    Memory,
    Model,
    QueueInfo,
    QueueState,
    Refreshed,
    Source,
    SourceLink,
    System,
    Upload,
    WorkerInfo,
)
from nodegraph.client.shapes.workflows import (
    App,
    AppItem,
    AppOutput,
    AppRun,
    Checked,
    Difference,
    NeededModel,
    Plan,
    SavedItem,
    SavedVersion,
    Template,
    Translated,
    UntranslatedNode,
)

__all__ = [
    "App",
    "AppItem",
    "AppOutput",
    "AppRun",
    "Artifact",
    "CarriedTexts",
    "Checked",
    "Counts",
    "Difference",
    "Disk",
    "Event",
    "EventPage",
    "Fault",
    "InputFile",
    "Job",
    "JobLinks",
    "JobSummary",
    "Memory",
    "Model",
    "NeededModel",
    "NodeWarning",
    "OutputFile",
    "Outputs",
    "Plan",
    "QueueInfo",
    "QueueState",
    "Refreshed",
    "SavedItem",
    "SavedVersion",
    "Source",
    "SourceLink",
    "State",
    "System",
    "Template",
    "Translated",
    "UntranslatedNode",
    "Upload",
    "WorkerInfo",
]
