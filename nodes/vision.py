"""Vision models: segmentation, matting, detection, depth, pose, captions and tags."""

from __future__ import annotations

from typing import Annotated, Literal, NamedTuple

from nodegraph import (
    Advanced,
    Choices,
    Context,
    Expand,
    File,
    Image,
    Mask,
    PromptText,
    Range,
    TextEncoder,
    Value,
    node,
)
from nodegraph.models.model_files import computed_dtype
from nodegraph.models.model_recipes import DTYPES
from nodegraph.perception.language_model import LanguageModel
from nodegraph.perception.vision.vision_model import VisionModel

from ._mask_facts import IMAGE_TO_MASK, SAME_SIZE_RGB
from ._vision_facts import (
    check_anything,
    check_captions,
    check_classes,
    check_depth,
    check_foreground,
    check_matting,
    check_pose,
    check_tagger,
    check_text,
    check_things,
    check_vision_model,
    tagger_state,
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
        "yolo",
        "ultralytics",
        "SAMLoader",
        "BiRefNet",
        "RMBG",
        "rembg",
        "LoadBackgroundRemovalModel",
        "blip",
        "florence",
        "load",
        "segmenter",
    ),
)
def LoadVisionModel(
    ctx: Context,
    model: Annotated[str, File("model")],
    dtype: Annotated[str, Choices(DTYPES)] = "auto",
) -> VisionModel:
    """Load a vision model for segmentation, matting, detection, depth, pose or captions.

    Folders in the transformers layout are supported. Segmentation: SAM, SAM-HQ, SAM 2, SAM 3,
    CLIPSeg, SegFormer, Mask2Former and other models with classes. Matting: ViTMatte. Depth: Depth
    Anything, DPT and GLPN. Pose: ViTPose. Detection: RT-DETR, D-FINE, YOLOS and DETR. Captions:
    BLIP and Florence-2.

    Files and folders are supported for BiRefNet, RMBG, ISNet and U²-Net, and files for Depth
    Anything V2, SAM, SAM 3 and SAM 3.1. YOLO detectors are ONNX files, which need the package
    onnxruntime: pip install "nodegraph[onnx]". Custom code in a folder is not run.

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
    text: Annotated[str, PromptText()],
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
        model: RT-DETR, D-FINE, YOLOS, DETR, or a YOLO model as an ONNX file, from LoadVisionModel.
        image: Any image. For a batch, boxes and number are those of the first image. Masks are made
            for each image.
        labels: Class names, separated by commas. Empty for all classes of the model.
        threshold: Minimum confidence.
        most: Maximum number of boxes per image, the most confident first.
        unit: Unit of the returned boxes: shares of the image's sides, 0 to 1, or pixels.
    """
    from nodegraph.perception.vision.detection import (
        boxes_text,
        detect_objects,
        detection_boxes,
        detections_mask,
    )

    detections = detect_objects(ctx, model, image, labels, threshold, most)
    boxes = detection_boxes(detections[0])
    first = boxes_text(boxes, image.shape[2], image.shape[1], unit)
    return Detected(first, detections_mask(detections, image), len(boxes))


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


class Captions(NamedTuple):
    """The caption of the first image, and those of all images of the batch."""

    caption: str
    captions: list[str]


_QUESTIONS = {
    "short": "Describe this image in one short sentence.",
    "detailed": "Describe this image in two or three sentences.",
    "long": "Describe this image in one detailed paragraph.",
}


@node(
    category="text",
    lane="gpu",
    numerics=True,
    validate=check_captions,
    tags=("caption", "describe", "interrogate", "blip", "florence", "VLM", "image to text"),
)
def CaptionImage(
    ctx: Context,
    model: VisionModel | LanguageModel | TextEncoder,
    image: Image,
    detail: Literal["short", "detailed", "long"] = "detailed",
    prompt: Annotated[str, PromptText()] = "",
    max_tokens: Annotated[int, Range(1, 4096), Advanced()] = 256,
    beams: Annotated[int, Range(1, 16), Advanced()] = 3,
) -> Captions:
    """Describe images, with Florence-2, BLIP, or a language model that sees images.

    Args:
        model: Florence-2 or BLIP from LoadVisionModel, a model of ConnectLanguageModel that sees
            images, or the text encoder of Qwen-Image.
        image: Any image. Each image of a batch gets a caption.
        detail: Length of the caption. BLIP writes short ones only.
        prompt: Start of the caption for BLIP; question for language models. Florence-2 takes none.
        max_tokens: Maximum number of tokens of a caption.
        beams: Candidates that BLIP and Florence-2 compare at each word.
    """
    if not isinstance(model, VisionModel):
        nodes = {
            str(at): {
                "type": "GenerateText",
                "inputs": {
                    "encoder": Value(model),
                    "images": Value([image[at : at + 1]]),
                    "prompt": prompt.strip() or _QUESTIONS[detail],
                    "sampling": False,
                    "max_tokens": max_tokens,
                },
            }
            for at in range(len(image))
        }
        return Expand(nodes, {"caption": "0", "captions": list(nodes)})
    from nodegraph.perception.vision.captions import caption_images

    captions = caption_images(ctx, model, image, detail, prompt.strip(), max_tokens, beams)
    return Captions(captions[0], captions)


class Tagged(NamedTuple):
    """Tags of the first image, those of all images, and the rating of the first."""

    tags: str
    all_tags: list[str]
    rating: str


@node(
    category="text",
    lane="gpu",
    numerics=True,
    validate=check_tagger,
    fingerprint=tagger_state,
    tags=("wd14", "tagger", "danbooru", "booru", "interrogate", "deepdanbooru", "caption"),
)
def TagImage(
    ctx: Context,
    model: Annotated[str, File("model")],
    image: Image,
    general: Annotated[float, Range(0, 1, step=0.01)] = 0.35,
    character: Annotated[float, Range(0, 1, step=0.01)] = 0.85,
    excluded: str = "",
    underscores: bool = False,
    escape: Annotated[bool, Advanced()] = False,
    add_rating: Annotated[bool, Advanced()] = False,
    separator: Annotated[str, Advanced()] = ", ",
) -> Tagged:
    """Tag images in the form of Danbooru, with a tagger of the WD14 kind.

    It needs the package onnxruntime: pip install 'nodegraph[tag]'.

    Args:
        model: Folder with model.onnx and selected_tags.csv in a models folder, for example
            taggers/wd-vit-tagger-v3.
        image: Any image. Each image of a batch gets its tags.
        general: Minimum confidence of a general tag.
        character: Minimum confidence of a character.
        excluded: Tags to leave out, separated by commas.
        underscores: Write long_hair instead of long hair.
        escape: Write backslashes before parentheses, so that prompts do not read them as weights.
        add_rating: Add the rating, such as general or explicit, as the first tag.
        separator: Text between two tags.
    """
    from nodegraph.perception.vision.captions import TagForm, tag_images

    form = TagForm(
        general=general,
        character=character,
        excluded=frozenset(excluded.split(",")),
        has_underscores=underscores,
        escapes=escape,
        has_rating=add_rating,
        separator=separator,
    )
    tags, ratings = tag_images(ctx, model, image, form)
    return Tagged(tags[0], tags, ratings[0])
