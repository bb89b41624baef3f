"""A model that sees, as a value. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from nodegraph.core.ports import port_type
from nodegraph.core.values import PipelineComponent, VisionNetwork
from nodegraph.models.vision_classes import TASKS, Task

NODE_BY_TASK: Mapping[Task, str] = MappingProxyType(
    {
        "points": "SegmentAnything",
        "text": "SegmentByText",
        "classes": "SegmentClass",
        "matting": "RefineMask",
        "depth": "EstimateDepth",
        "foreground": "ForegroundMask",
        "pose": "EstimatePose",
        "boxes": "DetectThings",
    }
)
"""Nodes, by what they need."""


@port_type(color="#7fa8c9")
@dataclass(frozen=True, slots=True)
class VisionModel:
    """A model that sees: what it is made of, not its weights.

    Attributes:
        model: Recipe of its weights; the family is its class in transformers, or its
            architecture.
        preparation: What ``preprocessor_config.json`` says: how pictures are prepared for it.
        tokenizer: Of a model that reads words.
        labels: Names of the classes that it knows, in their order.
    """

    model: PipelineComponent | VisionNetwork
    preparation: Mapping[str, Any] = field(default_factory=dict)
    tokenizer: PipelineComponent | None = None
    labels: tuple[str, ...] = ()

    @property
    def task(self) -> Task:
        """What it does."""
        return TASKS[self.model.family]
