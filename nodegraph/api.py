"""All that a node pack needs. Importing it is quick: no torch, no engine."""

from nodegraph.core.context import Checkpoint, Context, Environment, Preview
from nodegraph.core.hints import (
    Advanced,
    Body,
    Choices,
    File,
    Group,
    Multiline,
    MultipleOf,
    Range,
    Seed,
)
from nodegraph.core.hooks import Estimate, Facts, Finding, HookInputs
from nodegraph.core.node import node
from nodegraph.core.ports import (
    BLOCKED,
    Expand,
    Image,
    Lazy,
    Mask,
    PortType,
    Subgraph,
    Value,
    port_type,
)
from nodegraph.core.types import TypeInfo
from nodegraph.core.values import (
    Adapter,
    Conditioning,
    ConditioningEntry,
    DiffusionModel,
    Latent,
    Recipe,
    TextEncoder,
    Vae,
)
from nodegraph.errors import (
    Cancelled,
    InvalidFile,
    InvalidValue,
    NodegraphError,
    OutputError,
)

__all__ = [
    "BLOCKED",
    "Adapter",
    "Advanced",
    "Body",
    "Cancelled",
    "Checkpoint",
    "Choices",
    "Conditioning",
    "ConditioningEntry",
    "Context",
    "DiffusionModel",
    "Environment",
    "Estimate",
    "Expand",
    "Facts",
    "File",
    "Finding",
    "Group",
    "HookInputs",
    "Image",
    "InvalidFile",
    "InvalidValue",
    "Latent",
    "Lazy",
    "Mask",
    "Multiline",
    "MultipleOf",
    "NodegraphError",
    "OutputError",
    "PortType",
    "Preview",
    "Range",
    "Recipe",
    "Seed",
    "Subgraph",
    "TextEncoder",
    "TypeInfo",
    "Vae",
    "Value",
    "node",
    "port_type",
]
