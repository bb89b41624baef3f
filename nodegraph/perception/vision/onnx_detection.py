"""Object detectors of the YOLO kind in ONNX files: their facts, and the detection with onnxruntime.

The forms of their outputs, for an image of 640 x 640 pixels, C classes and M mask coefficients:

- YOLOv8, YOLO11: (1, 4 + C + M, 8400), of each anchor x and y of the middle, width and height in
  pixels, and the confidence of each class.
- YOLOv5: (1, 25200, 5 + C + M), of each anchor the box, the confidence of an object, and the share
  of each class.
- With the suppression of overlaps in the file (YOLOv10, YOLO26): (1, detections, 6 + M), of each
  the left, upper, right and lower edge, confidence and class.

Segmentation adds M masks at a quarter of the size, (1, M, 160, 160), which the coefficients weigh.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from nodegraph.errors import InvalidFile
from nodegraph.media.images.masks import as_rgb
from nodegraph.media.images.regions import Box
from nodegraph.perception.vision.vision_model import VisionModel, check_runtime


@dataclass(frozen=True, slots=True)
class Detection:
    """One detected object.

    Attributes:
        box: x, y, width and height in pixels, within the image.
        score: Confidence, 0..1.
        label: Name of its class.
        mask: 0 or 1, (height, width) of the image. None if the model detects boxes alone.
    """

    box: Box
    score: float
    label: str
    mask: Tensor | None = None


@dataclass(frozen=True, slots=True)
class _Letterbox:
    """How an image stands in the square of a detector.

    Attributes:
        scale: Of the image.
        left, top: Pixels of the border.
        width, height: Of the scaled image.
    """

    scale: float
    left: int
    top: int
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class _Candidates:
    """What a detector answers, before overlaps are suppressed.

    Attributes:
        corners: Left, upper, right and lower edge in pixels of the input, (number, 4).
        scores: (number,).
        classes: int64, (number,).
        coefficients: Of masks, (number, masks).
        overlap: From which share of intersection over union on the surer one of a class alone
            stays. 1 keeps all.
    """

    corners: Tensor
    scores: Tensor
    classes: Tensor
    coefficients: Tensor
    overlap: float

    def select(self, chosen: Tensor) -> _Candidates:
        return _Candidates(
            self.corners[chosen],
            self.scores[chosen],
            self.classes[chosen],
            self.coefficients[chosen],
            self.overlap,
        )


_SIDE, _STRIDES, _GRAY = 640, (8, 16, 32, 64), 114 / 255
"""Input where the file leaves it open; pixels between anchors; color of the border. Source:
Jocher et al., the documentation of YOLOv5 and YOLOv8."""
_MOST_SIDE = 4096
"""Pixels of the input."""
_OVERLAP_V5, _OVERLAP_V8 = 0.45, 0.7
_MOST_CANDIDATES = 3000
"""Of an image; others are less sure."""

_SESSIONS: dict[tuple[str, str], Any] = {}
_LOCK = Lock()
_WEIGHTS_FOLDER = "session.model_external_initializers_file_folder_path"
_MOST_SESSIONS = 4


def detect_with_onnx(
    model: VisionModel, picture: Tensor, device: str, threshold: float
) -> list[Detection]:
    """Objects in one image, the surest first.

    Args:
        picture: (height, width, channels).
        threshold: Minimum confidence, not included.
    Raises:
        InvalidFile: The file is damaged, it cannot be run, or its outputs have none of the known
            forms.
        InvalidValue: onnxruntime is not installed.
    """
    recipe = model.model.files[0]
    session = _session(Path(recipe.path), recipe.digest, device)
    taken = next(iter(session.get_inputs()), None)
    if taken is None:
        raise InvalidFile(f"{recipe.path} takes no input", expected="a detector")
    size = _input_size(taken.shape, recipe.path)
    pixels, letterbox = _letterboxed(picture, size)
    values = pixels.half() if taken.type == "tensor(float16)" else pixels
    answers = _answers(session, {taken.name: values.numpy()}, recipe.path)
    # Other forms than these, empty ones too, are not of a detector.
    protos = next((answer[0] for answer in answers if answer.ndim == 4 and answer.numel()), None)
    rows = next((answer[0] for answer in answers if answer.ndim == 3 and len(answer)), None)
    if rows is None:
        raise _unknown_form(recipe.path, answers)
    masks = 0 if protos is None else len(protos)
    candidates = _candidates(rows, size, masks, len(model.labels))
    if candidates is None:
        raise _unknown_form(recipe.path, answers)
    # A network may answer anything: boxes that are no numbers are none.
    is_box = candidates.corners.isfinite().all(1)
    kept = _suppressed(candidates.select(is_box & (candidates.scores > threshold)))
    return list(_detections(kept, protos, letterbox, size, picture.shape[:2], model.labels))


def _answers(session: Any, inputs: Mapping[str, Any], path: str) -> list[Tensor]:
    """What the network answers, as float32.

    Raises:
        InvalidFile: It cannot be run with this input, or its outputs are no tensors of numbers.
    """
    try:
        return [torch.from_numpy(answer).float() for answer in session.run(None, inputs)]
    except Exception as error:  # the runtime has no common base of its errors
        raise InvalidFile(
            f"cannot run {path}: {error}", expected="a detector that takes one image"
        ) from error


def _unknown_form(path: str, answers: Sequence[Tensor]) -> InvalidFile:
    return InvalidFile(
        f"{path} has outputs of no known detector",
        given=", ".join(str(tuple(answer.shape)) for answer in answers),
        expected="YOLOv5, YOLOv8, YOLO11 or YOLOv10 for boxes or segmentation",
    )


def _session(path: Path, digest: str, device: str) -> Any:
    """The network, opened once. Its file was digested when the recipe was made."""
    check_runtime("onnx")
    with _LOCK:
        if (digest, device) not in _SESSIONS:
            while len(_SESSIONS) >= _MOST_SESSIONS:
                del _SESSIONS[next(iter(_SESSIONS))]
            _SESSIONS[digest, device] = open_session(path, device)
        return _SESSIONS[digest, device]


def open_session(path: Path, device: str) -> Any:
    """An ONNX file, ready to run.

    Raises:
        InvalidFile: onnxruntime cannot read it, or it has weights in other files, whose content its
            digest does not cover.
    """
    import onnxruntime

    providers = ["CPUExecutionProvider"]
    if device.startswith("cuda") and "CUDA" in "".join(onnxruntime.get_available_providers()):
        providers.insert(0, "CUDAExecutionProvider")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    try:
        # Weights in other files would be looked for in this folder.
        with TemporaryDirectory() as empty:
            options.add_session_config_entry(_WEIGHTS_FOLDER, empty)
            return onnxruntime.InferenceSession(path.read_bytes(), options, providers=providers)
    except Exception as error:  # the runtime has no common base of its errors
        raise InvalidFile(
            f"cannot read {path}: {error}", expected="an ONNX file that holds all its weights"
        ) from error


def _input_size(shape: Sequence[Any], path: str) -> tuple[int, int]:
    """Width and height that the network takes."""
    if len(shape) != 4 or (shape[1] not in (3, None) and not isinstance(shape[1], str)):
        raise InvalidFile(
            f"{path} does not take images", given=str(shape), expected="[1, 3, 640, 640]"
        )
    height, width = (side if isinstance(side, int) and side > 0 else _SIDE for side in shape[2:])
    if max(height, width) > _MOST_SIDE:
        raise InvalidFile(
            f"{path} takes images that are too large",
            given=f"{width} x {height}",
            expected=f"up to {_MOST_SIDE} pixels a side",
        )
    return width, height


def _letterboxed(picture: Tensor, size: tuple[int, int]) -> tuple[Tensor, _Letterbox]:
    """An image scaled into the middle of a gray one of some size, (1, 3, height, width)."""
    height, width = picture.shape[:2]
    scale = min(size[0] / width, size[1] / height)
    wide, high = max(1, round(width * scale)), max(1, round(height * scale))
    left, top = round((size[0] - wide) / 2 - 0.1), round((size[1] - high) / 2 - 0.1)
    planes = as_rgb(picture[None]).movedim(-1, 1)
    scaled = functional.interpolate(planes, (high, wide), mode="bilinear", align_corners=False)
    square = torch.full((1, 3, size[1], size[0]), _GRAY)
    square[:, :, top : top + high, left : left + wide] = scaled
    return square, _Letterbox(scale, left, top, wide, high)


def _candidates(
    rows: Tensor, size: tuple[int, int], masks: int, classes: int
) -> _Candidates | None:
    """What the rows of an output say. None if they have no known form.

    Args:
        rows: (anchors, features) or (features, anchors).
        masks: Coefficients of masks in each.
        classes: Names that the file has; 0 if it has none.
    """
    for levels in (3, 4):
        anchors = sum((size[0] // s) * (size[1] // s) for s in _STRIDES[:levels])
        if rows.shape[1] == anchors and rows.shape[0] > 4 + masks:
            return _by_class(rows.mT, masks, classes, has_object=False)
        if rows.shape[0] == anchors and rows.shape[1] > 4 + masks:
            return _by_class(rows, masks, classes, has_object=False)
        if rows.shape[0] == 3 * anchors and rows.shape[1] > 5 + masks:
            return _by_class(rows, masks, classes, has_object=True)
    if rows.shape[1] != 6 + masks:
        return None
    return _Candidates(rows[:, :4], rows[:, 4], rows[:, 5].long(), rows[:, 6:], 1.0)


def _by_class(rows: Tensor, masks: int, classes: int, *, has_object: bool) -> _Candidates:
    middle, extent = rows[:, :2], rows[:, 2:4]
    first = 5 if has_object else 4
    last = first + classes if classes else rows.shape[1] - masks
    shares = rows[:, first:last] * (rows[:, 4:5] if has_object else 1)
    scores, best = shares.max(1)
    corners = torch.cat((middle - extent / 2, middle + extent / 2), 1)
    coefficients = rows[:, rows.shape[1] - masks :]
    return _Candidates(
        corners, scores, best, coefficients, _OVERLAP_V5 if has_object else _OVERLAP_V8
    )


def _suppressed(candidates: _Candidates) -> _Candidates:
    """The surest first, without those that overlap a surer one of their class."""
    order = candidates.scores.argsort(descending=True, stable=True)[:_MOST_CANDIDATES]
    ordered = candidates.select(order)
    if ordered.overlap >= 1 or not len(order):
        return ordered
    # Each class lies on a separate plane, so that boxes of two classes never overlap.
    extent = ordered.corners.abs().max() + 1
    corners = ordered.corners + (ordered.classes * 2 * extent)[:, None]
    waiting = torch.ones(len(order), dtype=torch.bool)
    kept = []
    for at in range(len(order)):
        if waiting[at]:
            kept.append(at)
            waiting &= _intersection_over_union(corners[at], corners) <= ordered.overlap
    return ordered.select(torch.tensor(kept, dtype=torch.long))


def _intersection_over_union(box: Tensor, others: Tensor) -> Tensor:
    """Of one box with others, by corners."""
    first, last = torch.maximum(box[:2], others[:, :2]), torch.minimum(box[2:], others[:, 2:])
    shared = (last - first).clamp(min=0).prod(1)
    area = (others[:, 2:] - others[:, :2]).clamp(min=0).prod(1)
    own = (box[2:] - box[:2]).clamp(min=0).prod()
    return shared / (area + own - shared).clamp(min=1e-9)


def _detections(
    candidates: _Candidates,
    protos: Tensor | None,
    letterbox: _Letterbox,
    size: tuple[int, int],
    picture: Sequence[int],
    labels: Sequence[str],
) -> Iterator[Detection]:
    """Candidates in the image.

    Args:
        protos: Masks that coefficients weigh, (masks, height, width).
        size: Width and height of the input.
        picture: Height and width of the image.
    """
    border = torch.tensor([letterbox.left, letterbox.top] * 2)
    sides = torch.tensor([picture[1], picture[0]] * 2)
    corners = ((candidates.corners - border) / letterbox.scale).clamp(min=0).minimum(sides)
    for at, (left, top, right, bottom) in enumerate(corners.tolist()):
        if right <= left or bottom <= top:
            continue
        number = int(candidates.classes[at])
        mask = None
        if protos is not None:
            logits = torch.einsum("m,mhw->hw", candidates.coefficients[at], protos)
            mask = _mask(logits, letterbox, size, picture, (left, top, right, bottom))
        yield Detection(
            (left, top, right - left, bottom - top),
            min(float(candidates.scores[at]), 1.0),
            labels[number] if 0 <= number < len(labels) else str(number),
            mask,
        )


def _mask(
    logits: Tensor,
    letterbox: _Letterbox,
    size: tuple[int, int],
    picture: Sequence[int],
    corners: tuple[float, float, float, float],
) -> Tensor:
    """A mask of the image, 0 outside of the box."""
    height, width = picture
    square = functional.interpolate(
        logits[None, None], (size[1], size[0]), mode="bilinear", align_corners=False
    )
    rows = slice(letterbox.top, letterbox.top + letterbox.height)
    columns = slice(letterbox.left, letterbox.left + letterbox.width)
    own = functional.interpolate(
        square[:, :, rows, columns], (height, width), mode="bilinear", align_corners=False
    )[0, 0]
    left, top, right, bottom = corners
    inside = torch.zeros(height, width, dtype=torch.bool)
    inside[int(top) : int(bottom) + 1, int(left) : int(right) + 1] = True
    return ((own > 0) & inside).float()
