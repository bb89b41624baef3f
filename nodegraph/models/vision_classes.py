"""Classes of transformers that see, and what each does; `nodegraph.perception.vision` uses them.

Imports no torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from nodegraph.errors import NodegraphError
from nodegraph.families import diffusers_folder as layout
from nodegraph.families.helper_networks import BIREFNET, U2NET

Task = Literal["points", "text", "classes", "matting", "depth", "foreground", "pose", "boxes"]
"""What a model does: masks by points and boxes, by words, by classes that it knows, a fine edge to
a mask, how near things are, what stands before the background, people's poses,
or boxes round things."""

TASKS: Mapping[str, Task] = MappingProxyType(
    {
        "SamModel": "points",
        "SamHQModel": "points",
        "Sam2Model": "points",
        "CLIPSegForImageSegmentation": "text",
        "Sam3Model": "text",
        "SegformerForSemanticSegmentation": "classes",
        "BeitForSemanticSegmentation": "classes",
        "DPTForSemanticSegmentation": "classes",
        "UperNetForSemanticSegmentation": "classes",
        "MobileViTForSemanticSegmentation": "classes",
        "MobileNetV2ForSemanticSegmentation": "classes",
        "Mask2FormerForUniversalSegmentation": "classes",
        "MaskFormerForInstanceSegmentation": "classes",
        "VitMatteForImageMatting": "matting",
        "DepthAnythingForDepthEstimation": "depth",
        "DPTForDepthEstimation": "depth",
        "GLPNForDepthEstimation": "depth",
        "VitPoseForPoseEstimation": "pose",
        "RTDetrForObjectDetection": "boxes",
        "RTDetrV2ForObjectDetection": "boxes",
        "DFineForObjectDetection": "boxes",
        "YolosForObjectDetection": "boxes",
        BIREFNET: "foreground",
        U2NET: "foreground",
    }
)
"""By classes of transformers, and of networks that are built here."""
NATIVE_CLASSES = frozenset({BIREFNET, U2NET})
_SAME = {
    "Sam2VideoModel": "Sam2Model",
    "Sam3VideoModel": "Sam3Model",
    "BriaRMBG": U2NET,
    "ISNetDIS": U2NET,
}
"""Published for videos, with all that the model for images has; or by another name."""


def architecture(config: Mapping[str, Any]) -> str:
    """The class that a configuration names; empty if it names none."""
    named = config.get("architectures")
    class_name = str(named[0]) if isinstance(named, list) and named else ""
    return _SAME.get(class_name, class_name)


def vision_class_beside(path: Path) -> str | None:
    """The class that sees of whose weights a file is, by the configuration beside it; None else."""
    try:
        name = architecture(layout.read_config(path.parent / layout.CONFIG))
    except NodegraphError:
        return None
    return name if name in TASKS else None
