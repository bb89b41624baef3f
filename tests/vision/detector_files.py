"""ONNX files of detectors whose answers are constants."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper

SIDE = 64
ANCHORS = 84
"""8², 4² and 2², of an image of that side."""
MASKS = 4


def save_detector(
    path: Path,
    *outputs: np.ndarray[Any, Any],
    names: Any = ("face",),
    task: str = "detect",
    named: str | None = None,
    image: Sequence[int] | None = (1, 3, SIDE, SIDE),
    weights: str | None = None,
) -> None:
    """A network that takes images of 64 x 64 pixels and answers constants.

    Args:
        names: As the exporter of YOLO models writes them into the file; None for none.
        named: The text of the names, instead.
        image: Shape of the images. None for a network without an input.
        weights: File beside it that holds the constants.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    nodes, declared, constants = [], [], []
    for number, output in enumerate(outputs):
        name = f"output{number}"
        constant = numpy_helper.from_array(output.astype(np.float32), f"{name}_value")
        if weights is not None:
            constant.data_location = TensorProto.EXTERNAL
            constant.external_data.add(key="location", value=weights)
        constants.append(constant)
        nodes.append(helper.make_node("Identity", [constant.name], [name]))
        declared.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, output.shape))
    inputs = (
        [] if image is None else [helper.make_tensor_value_info("images", TensorProto.FLOAT, image)]
    )
    graph = helper.make_graph(nodes, "detector", inputs, declared, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    if names is not None:
        texts = {"names": named or str(dict(enumerate(names))), "task": task}
        helper.set_model_props(model, texts)
    path.write_bytes(model.SerializeToString())


def yolo8(*objects: tuple[Any, ...], classes: int = 1, masks: int = 0) -> np.ndarray[Any, Any]:
    """Of each object: middle, width and height, confidence of each class, mask coefficients."""
    rows = np.zeros((1, 4 + classes + masks, ANCHORS), np.float32)
    for at, values in enumerate(objects):
        rows[0, :, at] = values
    return rows


def yolo5(*objects: tuple[Any, ...], classes: int = 1) -> np.ndarray[Any, Any]:
    rows = np.zeros((1, 3 * ANCHORS, 5 + classes), np.float32)
    for at, values in enumerate(objects):
        rows[0, at] = values
    return rows
