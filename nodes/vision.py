"""Models that see: masks by points, boxes, words and classes, and how near things are."""

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
    """Open a model that sees: one that masks things, or tells depths or poses.

    It is a folder as transformers saves it: SAM, SAM-HQ or SAM 2; SAM 3 or CLIPSeg; SegFormer,
    Mask2Former and others that know classes; ViTMatte; Depth Anything, DPT or GLPN; ViTPose;
    RT-DETR, D-FINE or YOLOS. Or it is a file or folder of BiRefNet, RMBG, ISNet or U²-Net, or a
    file of Depth Anything V2. Code that a folder brings isn't run.

    Args:
        model: Name under a models folder, such as segment/sam2-hiera-tiny or
            background_removal/birefnet.safetensors.
        dtype: Precision in memory, as for LoadModel.
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
    """A mask, and how sure the model is of it."""

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
    """Mask the thing that points are on, or the things in boxes, by SAM or SAM 2.

    Args:
        model: Of LoadVisionModel: SAM, SAM-HQ or SAM 2.
        image: Points and boxes are the same in all of a batch.
        points: x and y of points on it, such as 0.5, 0.5 or [[0.2, 0.3], [0.8, 0.3]].
        excluded: Points on what is not to be masked.
        boxes: x, y, width and height of a box round it; several boxes, without points, mask a thing
            each.
        unit: Shares of the picture's sides, 0 to 1, or pixels.
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
    """In pixels; none of an empty text."""
    from nodegraph.media.images.masks import box_to_pixels
    from nodegraph.media.images.regions import parse_boxes

    boxes = parse_boxes(text, unit=unit) if text.strip() else []
    return [box_to_pixels(box, size, unit) for box in boxes]


class Foreground(NamedTuple):
    """A mask of what stands in front, and the picture with all else transparent."""

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
    """Mask what a text says, by SAM 3 or CLIPSeg.

    Args:
        model: Of LoadVisionModel: SAM 3, which finds things and follows their edges, or CLIPSeg.
        image: Any.
        text: What to mask, such as a hat.
        threshold: How sure the model is to be; 0 gives a soft mask of how sure it is.
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
    """Mask things of the classes that a model knows, such as sky, by SegFormer and others.

    Args:
        model: Of LoadVisionModel: one that was trained on classes.
        image: Any.
        labels: Names of classes, with commas between them.
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
    """Give a mask a fine edge, such as of hair, by ViTMatte. With SetAlpha it removes a background.

    Args:
        model: Of LoadVisionModel: ViTMatte.
        image: Any.
        mask: Right but for its edge; scaled to the picture.
        width: Pixels on both sides of the edge that are decided anew.
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
    """Mask what stands before the background, by BiRefNet, RMBG and others; removes any background.

    Args:
        model: Of LoadVisionModel: BiRefNet, RMBG, ISNet or U²-Net.
        image: Any; it is seen at one size, stretched to a square.
        resolution: Pixels of that square's side; 0 is 1024, or what the model's folder says. 2048
            is right for BiRefNet-HR.
    """
    from nodegraph.media.images.masks import with_alpha
    from nodegraph.perception.vision.segmentation import foreground_mask

    mask = foreground_mask(ctx, model, image, resolution)
    return Foreground(mask, with_alpha(image, mask, transparent=False))


class Detected(NamedTuple):
    """Boxes round things, a mask of them, and how many there are."""

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
    """Find boxes round things of classes that a model knows, such as people.

    The boxes go to SegmentAnything, EstimatePose or MaskFromBoxes.

    Args:
        model: Of LoadVisionModel: RT-DETR, D-FINE or YOLOS.
        image: Of a batch, boxes and number are those of the first picture; masks are of each.
        labels: Names of classes, with commas between them; empty for all that it knows.
        threshold: How sure it is to be of each.
        most: Boxes in a picture, the surest first.
        unit: What boxes are told in: shares of the picture's sides, 0 to 1, or pixels.
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
    """Tell how near things are: the nearest white, the furthest black.

    Args:
        model: Of LoadVisionModel: Depth Anything, DPT or GLPN.
        image: Any; each of a batch has its own nearest and furthest.
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
    """Draw people's skeletons on black, for a ControlNet for poses.

    Args:
        model: Of LoadVisionModel: ViTPose.
        image: Any; the boxes are the same in all of a batch.
        boxes: x, y, width and height of a box round each person; empty for one person in all of the
            picture.
        unit: Shares of the picture's sides, 0 to 1, or pixels.
        threshold: How sure the model is to be of a joint that is drawn.
        thickness: Of limbs; 1 is what control networks were trained on, at 512 pixels.
    """
    from nodegraph.perception.vision.detection import draw_poses

    size = image.shape[2], image.shape[1]
    return draw_poses(ctx, model, image, _boxes(boxes, size, unit), threshold, thickness)
