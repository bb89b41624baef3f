"""Vision models: segmentation, matting, detection, depth and pose."""

from __future__ import annotations

from typing import Annotated, NamedTuple

from nodegraph import Advanced, Choices, Context, File, Image, Mask, Range, node
from nodegraph.models.model_files import computed_dtype
from nodegraph.models.model_recipes import DTYPES
from nodegraph.perception.vision.vision_model import VisionModel

from ._mask_facts import IMAGE_TO_MASK, SAME_SIZE_RGB
from ._vision_facts import (
    check_anything,
    check_classes,
    check_depth,
    check_foreground,
    check_matting,
    check_pose,
    check_text,
    check_things,
    check_vision_model,
    vision_outputs,
    vision_state,
    vision_weights,
)
from .segment import Unit

_CATEGORY = "mask/segment"


@node(
    category=_CATEGORY,
    lane="io",
    infer=vision_outputs,
    validate=check_vision_model,
    fingerprint=vision_state,
    estimate=vision_weights,
    tags=(
        "sam",
        "sam2",
        "clipseg",
        "segformer",
        "vitmatte",
        "depth anything",
        "vitpose",
        "BiRefNet",
        "RMBG",
        "rembg",
        "LoadBackgroundRemovalModel",
        "load",
        "segmenter",
    ),
)
def LoadVisionModel(
    ctx: Context,
    model: Annotated[str, File("model")],
    dtype: Annotated[str, Choices(DTYPES)] = "auto",
) -> VisionModel:
    """Load a vision model for segmentation, matting, detection, depth or pose.

    Folders in the transformers layout are supported. Segmentation: SAM, SAM-HQ, SAM 2, SAM 3,
    CLIPSeg, SegFormer, Mask2Former and other models with classes. Matting: ViTMatte. Depth: Depth
    Anything, DPT and GLPN. Pose: ViTPose. Detection: RT-DETR, D-FINE and YOLOS.

    Files and folders are supported for BiRefNet, RMBG, ISNet and U²-Net, and files for Depth
    Anything V2. Custom code in a folder is not run.

    Args:
        model: Name in a models folder, for example segment/sam2-hiera-tiny or
            background_removal/birefnet.safetensors.
        dtype: Precision in memory, as for LoadModel, but auto is always float32 on a CPU.
    """
    from nodegraph.perception.vision.vision_model import open_vision_model

    environment = ctx.environment
    return open_vision_model(
        model,
        environment.models,
        dtype=computed_dtype(dtype, environment.device),
        device=environment.device,
        allow_pickle=environment.allow_pickle,
    )


class Segmented(NamedTuple):
    """A mask, and the confidence of the model."""

    mask: Mask
    score: float


@node(
    category=_CATEGORY,
    lane="gpu",
    numerics=True,
    facts=IMAGE_TO_MASK,
    validate=check_anything,
    tags=(
        "sam",
        "sam2",
        "click",
        "box",
        "object selection",
        "segment by points",
        "detector",
        "segs",
    ),
)
def SegmentAnything(
    ctx: Context,
    model: VisionModel,
    image: Image,
    points: str = "0.5, 0.5",
    excluded: str = "",
    boxes: str = "",
    unit: Unit = "shares",
) -> Segmented:
    """Mask the object at given points, or the objects in boxes, with SAM or SAM 2.

    Args:
        model: SAM, SAM-HQ or SAM 2, from LoadVisionModel.
        image: Any image. Points and boxes apply to all images of a batch.
        points: x and y of points on the object, for example 0.5, 0.5 or [[0.2, 0.3], [0.8, 0.3]].
        excluded: Points outside the object.
        boxes: x, y, width and height of a box around the object. Several boxes without points mask
            one object each.
        unit: Unit of the coordinates: shares of the image's sides, 0 to 1, or pixels.
    """
    from nodegraph.media.images.classical_segmentation import pixel_points
    from nodegraph.media.images.regions import parse_points
    from nodegraph.perception.vision.segmentation import segment_anything

    size = image.shape[2], image.shape[1]
    wanted, other = (
        pixel_points(parse_points(text, port), size, unit, port)
        for port, text in (("points", points), ("excluded", excluded))
    )
    within = _boxes(boxes, size, unit)
    return Segmented(*segment_anything(ctx, model, image, wanted, other, within))


def _boxes(text: str, size: tuple[int, int], unit: str) -> list[tuple[float, float, float, float]]:
    """Boxes in pixels. An empty text has none."""
    from nodegraph.media.images.masks import box_to_pixels
    from nodegraph.media.images.regions import parse_boxes

    boxes = parse_boxes(text, unit=unit) if text.strip() else []
    return [box_to_pixels(box, size, unit) for box in boxes]


class Foreground(NamedTuple):
    """A mask of the foreground, and the image with a transparent background."""

    mask: Mask
    image: Image


@node(
    category=_CATEGORY,
    lane="gpu",
    numerics=True,
    facts=IMAGE_TO_MASK,
    validate=check_text,
    tags=(
        "sam3",
        "clipseg",
        "text mask",
        "prompt",
        "grounding",
        "words",
        "GroundingDINO",
        "SAM3_Detect",
    ),
)
def SegmentByText(
    ctx: Context,
    model: VisionModel,
    image: Image,
    text: str,
    threshold: Annotated[float, Range(0, 1, step=0.01)] = 0.4,
) -> Mask:
    """Mask what a text describes, with SAM 3 or CLIPSeg.

    Args:
        model: SAM 3 or CLIPSeg, from LoadVisionModel. SAM 3 finds objects and follows their edges.
        image: Any image.
        text: What to mask, for example a hat.
        threshold: Minimum confidence. 0 returns a soft mask of the confidence.
    """
    from nodegraph.perception.vision.detection import segment_by_text

    return segment_by_text(ctx, model, image, text, threshold)


@node(
    category=_CATEGORY,
    lane="gpu",
    numerics=True,
    facts=IMAGE_TO_MASK,
    validate=check_classes,
    tags=(
        "segformer",
        "mask2former",
        "clothes",
        "semantic",
        "panoptic",
        "label",
        "sky",
        "person",
        "segmentation",
    ),
)
def SegmentClass(ctx: Context, model: VisionModel, image: Image, labels: str) -> Mask:
    """Mask objects of classes that a model knows, for example sky, with SegFormer and others.

    Args:
        model: A segmentation model with classes, from LoadVisionModel.
        image: Any image.
        labels: Class names, separated by commas.
    """
    from nodegraph.perception.vision.segmentation import segment_classes

    return segment_classes(ctx, model, image, labels)


@node(
    category=_CATEGORY,
    lane="gpu",
    numerics=True,
    facts=IMAGE_TO_MASK,
    validate=check_matting,
    tags=("vitmatte", "matting", "hair", "edge", "remove background", "trimap", "alpha"),
)
def RefineMask(
    ctx: Context,
    model: VisionModel,
    image: Image,
    mask: Mask,
    width: Annotated[int, Range(1, 512)] = 10,
) -> Mask:
    """Refine the edge of a mask, for example for hair, with ViTMatte.

    Use it with SetAlpha to remove a background.

    Args:
        model: ViTMatte, from LoadVisionModel.
        image: Any image.
        mask: A mask that is correct except at its edge. It is scaled to the size of the image.
        width: Width in pixels on both sides of the edge that is computed anew.
    """
    from nodegraph.perception.vision.segmentation import refine_mask

    return refine_mask(ctx, model, image, mask, width)


@node(
    category=_CATEGORY,
    lane="gpu",
    numerics=True,
    facts={"mask": IMAGE_TO_MASK["mask"], "image": SAME_SIZE_RGB["image"]},
    validate=check_foreground,
    tags=(
        "rembg",
        "BiRefNet",
        "RMBG",
        "ISNet",
        "U2Net",
        "remove background",
        "cut out",
        "subject",
        "transparent",
    ),
)
def ForegroundMask(
    ctx: Context,
    model: VisionModel,
    image: Image,
    resolution: Annotated[int, Range(0, 4096, step=32), Advanced()] = 0,
) -> Foreground:
    """Mask the foreground and remove the background, with BiRefNet, RMBG and others.

    Args:
        model: BiRefNet, RMBG, ISNet or U²-Net, from LoadVisionModel.
        image: Any image. The model sees it stretched to a square.
        resolution: Side of this square in pixels. 0 is 1024, or the value in the model's folder.
            Use 2048 for BiRefNet-HR.
    """
    from nodegraph.media.images.masks import with_alpha
    from nodegraph.perception.vision.segmentation import foreground_mask

    mask = foreground_mask(ctx, model, image, resolution)
    return Foreground(mask, with_alpha(image, mask, transparent=False))


class Detected(NamedTuple):
    """Boxes of detected objects, a mask of them, and their number."""

    boxes: str
    mask: Mask
    number: int


@node(
    category=_CATEGORY,
    lane="gpu",
    numerics=True,
    facts=IMAGE_TO_MASK,
    validate=check_things,
    tags=("detector", "bbox", "RT-DETR", "YOLOS", "D-FINE", "object detection", "face", "person"),
)
def DetectThings(
    ctx: Context,
    model: VisionModel,
    image: Image,
    labels: str = "",
    threshold: Annotated[float, Range(0, 1, step=0.01)] = 0.5,
    most: Annotated[int, Range(1, 1000), Advanced()] = 100,
    unit: Annotated[Unit, Advanced()] = "shares",
) -> Detected:
    """Detect objects of classes that a model knows, for example people, and return their boxes.

    Link the boxes to SegmentAnything, EstimatePose or MaskFromBoxes.

    Args:
        model: RT-DETR, D-FINE or YOLOS, from LoadVisionModel.
        image: Any image. For a batch, boxes and number are those of the first image. Masks are made
            for each image.
        labels: Class names, separated by commas. Empty for all classes of the model.
        threshold: Minimum confidence.
        most: Maximum number of boxes per image, the most confident first.
        unit: Unit of the returned boxes: shares of the image's sides, 0 to 1, or pixels.
    """
    from nodegraph.perception.vision.detection import boxes_text, detect_objects

    boxes, mask = detect_objects(ctx, model, image, labels, threshold, most)
    first = boxes_text(boxes[0], image.shape[2], image.shape[1], unit)
    return Detected(first, mask, len(boxes[0]))


@node(
    category="control/preprocess",
    lane="gpu",
    numerics=True,
    facts=SAME_SIZE_RGB,
    validate=check_depth,
    tags=("depth anything", "midas", "dpt", "z", "ControlNet", "depth map", "zoe"),
)
def EstimateDepth(ctx: Context, model: VisionModel, image: Image) -> Image:
    """Estimate a depth map: near is white, far is black.

    Args:
        model: Depth Anything, DPT or GLPN, from LoadVisionModel.
        image: Any image. The range of each image of a batch is normalized separately.
    """
    from nodegraph.perception.vision.segmentation import estimate_depth

    return estimate_depth(ctx, model, image)


@node(
    category="control/preprocess",
    lane="gpu",
    numerics=True,
    facts=SAME_SIZE_RGB,
    validate=check_pose,
    tags=("openpose", "dwpose", "vitpose", "skeleton", "keypoints", "ControlNet", "people"),
)
def EstimatePose(
    ctx: Context,
    model: VisionModel,
    image: Image,
    boxes: str = "",
    unit: Unit = "shares",
    threshold: Annotated[float, Range(0, 1, step=0.01)] = 0.3,
    thickness: Annotated[float, Range(0.1, 10, step=0.1), Advanced()] = 1.0,
) -> Image:
    """Draw the skeletons of people on black, for a pose ControlNet.

    Args:
        model: ViTPose, from LoadVisionModel.
        image: Any image. The boxes apply to all images of a batch.
        boxes: x, y, width and height of a box around each person. If empty, one person in the whole
            image is assumed.
        unit: Unit of the coordinates: shares of the image's sides, 0 to 1, or pixels.
        threshold: Minimum confidence of a joint to draw.
        thickness: Thickness of the limbs. 1 is the thickness that ControlNets were trained on, at
            512 pixels.
    """
    from nodegraph.perception.vision.detection import draw_poses

    size = image.shape[2], image.shape[1]
    return draw_poses(ctx, model, image, _boxes(boxes, size, unit), threshold, thickness)
