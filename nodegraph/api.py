"""All that a node pack needs. Importing it is quick: no torch, no engine."""

from nodegraph.core.context import Checkpoint, Context, Environment, Preview
from nodegraph.core.dataset_values import (
    Augmentation,
    Dataset,
    Example,
    ExampleFile,
    LabeledBox,
)
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
    Widget,
)
from nodegraph.core.hooks import Estimate, Facts, Finding, HookInputs
from nodegraph.core.links import Expand, Value
from nodegraph.core.node import node
from nodegraph.core.panels import Panel
from nodegraph.core.plots import Plot, Series
from nodegraph.core.ports import BLOCKED, Image, Lazy, Mask, PortType, Subgraph, port_type
from nodegraph.core.preprocessor import Preprocessor
from nodegraph.core.spatial_values import AtomSites, Mesh, Molecule, PointCloud
from nodegraph.core.trained_values import TrainedWeights
from nodegraph.core.types import TypeInfo
from nodegraph.core.values import (
    Adapter,
    Area,
    Audio,
    Conditioning,
    ConditioningEntry,
    Control,
    ControlNet,
    DiffusionModel,
    ImageEncoder,
    Latent,
    Recipe,
    RecipeFile,
    StepSpan,
    TextEncoder,
    Vae,
    Video,
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
    "Area",
    "AtomSites",
    "Audio",
    "Augmentation",
    "Body",
    "Cancelled",
    "Checkpoint",
    "Choices",
    "Conditioning",
    "ConditioningEntry",
    "Context",
    "Control",
    "ControlNet",
    "Dataset",
    "DiffusionModel",
    "Environment",
    "Estimate",
    "Example",
    "ExampleFile",
    "Expand",
    "Facts",
    "File",
    "Finding",
    "Group",
    "HookInputs",
    "Image",
    "ImageEncoder",
    "InvalidFile",
    "InvalidValue",
    "LabeledBox",
    "Latent",
    "Lazy",
    "Mask",
    "Mesh",
    "Molecule",
    "Multiline",
    "MultipleOf",
    "NodegraphError",
    "OutputError",
    "Panel",
    "Plot",
    "PointCloud",
    "PortType",
    "Preprocessor",
    "Preview",
    "Range",
    "Recipe",
    "RecipeFile",
    "Seed",
    "Series",
    "StepSpan",
    "Subgraph",
    "TextEncoder",
    "TrainedWeights",
    "TypeInfo",
    "Vae",
    "Value",
    "Video",
    "Widget",
    "node",
    "port_type",
]
