"""Masks and depth by vision models, and image preprocessing for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import torch
import transformers
from torch import Tensor
from torch.nn import functional

from nodegraph.core.context import Context
from nodegraph.core.suggest import did_you_mean
from nodegraph.errors import InvalidFile, InvalidValue
from nodegraph.families.helper_networks import U2NET, Task
from nodegraph.media.images.images import to_pil
from nodegraph.media.images.mask_morphology import grow_mask
from nodegraph.media.images.masks import as_rgb, mask_to_image, match_mask
from nodegraph.media.images.regions import Box, Region
from nodegraph.perception.vision.vision_model import NODE_BY_TASK, VisionModel


@torch.inference_mode()
def foreground_mask(ctx: Context, model: VisionModel, image: Tensor, resolution: int = 0) -> Tensor:
    """How surely each pixel is of the foreground; by BiRefNet, RMBG, ISNet or U²-Net.

    Args:
        image: (batch, height, width, channels).
        resolution: Side of the square that the network sees, in pixels, a multiple of 32; 0 for
            what it was published for.
    Returns:
        0..1, (batch, height, width).
    Raises:
        InvalidValue: The model is for something else.
    """
    check_task(model, "foreground")
    size = {"size": {"height": resolution, "width": resolution}} if resolution else {}
    preparation = {**model.preparation, **size}
    masks = []
    with ctx.weights(model.model) as component:
        for at, picture in enumerate(image):
            pixels = resize_for_sam2(preparation, picture).to(component.device, component.dtype)
            mask = component.module(pixels).float().cpu()
            if model.model.family == U2NET:
                # These tell what stands out the most: their own examples stretch it to 0..1, too.
                mask = _spread(mask)
            masks.append(scaled(mask, (picture.shape[0], picture.shape[1]))[0, 0])
            ctx.progress(at + 1, len(image))
    return torch.stack(masks).clamp(0, 1)


def _spread(mask: Tensor) -> Tensor:
    low, high = mask.min(), mask.max()
    return (mask - low) / (high - low) if high > low else mask


_USUAL: Mapping[str, str] = {
    "SamModel": "SamImageProcessor",
    "SamHQModel": "SamImageProcessor",
    "CLIPSegForImageSegmentation": "ViTImageProcessor",
    "SegformerForSemanticSegmentation": "SegformerImageProcessor",
    "BeitForSemanticSegmentation": "BeitImageProcessor",
    "DPTForSemanticSegmentation": "DPTImageProcessor",
    "UperNetForSemanticSegmentation": "SegformerImageProcessor",
    "MobileViTForSemanticSegmentation": "MobileViTImageProcessor",
    "MobileNetV2ForSemanticSegmentation": "MobileNetV2ImageProcessor",
    "Mask2FormerForUniversalSegmentation": "Mask2FormerImageProcessor",
    "MaskFormerForInstanceSegmentation": "MaskFormerImageProcessor",
    "VitMatteForImageMatting": "VitMatteImageProcessor",
    "DepthAnythingForDepthEstimation": "DPTImageProcessor",
    "DPTForDepthEstimation": "DPTImageProcessor",
    "GLPNForDepthEstimation": "GLPNImageProcessor",
    "VitPoseForPoseEstimation": "VitPoseImageProcessor",
    "RTDetrForObjectDetection": "RTDetrImageProcessor",
    "RTDetrV2ForObjectDetection": "RTDetrImageProcessor",
    "DFineForObjectDetection": "RTDetrImageProcessor",
    "YolosForObjectDetection": "YolosImageProcessor",
    "DetrForObjectDetection": "DetrImageProcessor",
    "ConditionalDetrForObjectDetection": "ConditionalDetrImageProcessor",
    "DeformableDetrForObjectDetection": "DeformableDetrImageProcessor",
    "BlipForConditionalGeneration": "BlipImageProcessor",
    "Florence2ForConditionalGeneration": "CLIPImageProcessor",
}
"""Classes of transformers that prepare images, where the folder doesn't say."""


def image_processor(model: VisionModel) -> Any:
    """What prepares images for a model, as its folder says; by Pillow, without torchvision.

    Raises:
        InvalidFile: The installed transformers has none such.
    """
    settings = dict(model.preparation)
    named = settings.get("image_processor_type") or settings.get("feature_extractor_type") or ""
    plain = str(named).removesuffix("Fast").replace("FeatureExtractor", "ImageProcessor")
    for name in (plain, _USUAL.get(model.model.family, "")):
        kind = getattr(transformers, f"{name}Pil", None) if name else None
        if kind is not None:
            return kind.from_dict(settings)
    raise InvalidFile(
        f"{model.model.source} uses the image processor {named or '(not named)'}, "
        "which the installed transformers does not include"
    )


def preprocess(model: VisionModel, picture: Tensor, **further: Any) -> Mapping[str, Any]:
    """What a model takes of an image: ``pixel_values`` and what else its preparation gives.

    Args:
        picture: (height, width, channels).
    """
    inputs: Mapping[str, Any] = image_processor(model)(
        images=to_pil(as_rgb(picture[None])[0]), return_tensors="pt", **further
    )
    return inputs


_SIDE, _MEAN, _DEVIATION = 1024, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""How SAM 2 was trained. Source: Ravi et al. 2024, arXiv:2408.00714, and its published files."""


def resize_for_sam2(preparation: Mapping[str, Any], picture: Tensor) -> Tensor:
    """An image for SAM 2, whose own preparation needs torchvision: stretched to a square.

    Args:
        preparation: Of the model; it may name another size, mean and deviation.
        picture: (height, width, channels).
    Returns:
        (1, 3, side, side).
    """
    size = preparation.get("size")
    named = size if isinstance(size, Mapping) else {}
    side = int(named.get("height", _SIDE)), int(named.get("width", _SIDE))
    planes = as_rgb(picture[None]).movedim(-1, 1)
    square = functional.interpolate(
        planes, size=side, mode="bilinear", align_corners=False, antialias=True
    )
    mean = torch.tensor(preparation.get("image_mean") or _MEAN).view(1, 3, 1, 1)
    deviation = torch.tensor(preparation.get("image_std") or _DEVIATION).view(1, 3, 1, 1)
    return (square - mean) / deviation


def scaled(logits: Tensor, size: tuple[int, int]) -> Tensor:
    """Planes, (number, channels, height, width), in another height and width."""
    return functional.interpolate(logits.float(), size=size, mode="bilinear", align_corners=False)


Points = Sequence[tuple[float, float]]
Boxes = Sequence[tuple[float, float, float, float]]


def check_task(model: VisionModel, task: Task) -> None:
    """Refuse a model that does something else.

    Raises:
        InvalidValue: It does.
    """
    if model.task != task:
        raise InvalidValue(
            f"a {model.model.family} has another task",
            port="model",
            expected=f"a model for {NODE_BY_TASK[task]}",
            hint=f"Use this model with {NODE_BY_TASK[model.task]}.",
        )


@torch.inference_mode()
def segment_anything(
    ctx: Context,
    model: VisionModel,
    image: Tensor,
    points: Points,
    excluded: Points,
    boxes: Boxes,
) -> tuple[Tensor, float]:
    """What some points are on, or what is in boxes; by SAM, SAM-HQ or SAM 2.

    Args:
        image: (batch, height, width, channels).
        points, excluded: x and y in pixels: on it, and on what isn't it.
        boxes: x, y, width and height in pixels. One goes with the points; of several without
            points each is a thing of its own, and all are masked.
    Returns:
        0 or 1, (batch, height, width); how sure the model is of the least sure one, 0..1.
    Raises:
        InvalidValue: Nothing is asked for, or points go with several boxes.
    """
    check_task(model, "points")
    if not points and not boxes:
        raise InvalidValue("neither a point nor a box is given", port="points")
    if points and len(boxes) > 1:
        raise InvalidValue(
            "points can be combined with one box only", port="boxes", given=str(len(boxes))
        )
    masks, sure = [], []
    with ctx.weights(model.model) as component:
        for at, picture in enumerate(image):
            mask, score = _things(component.module, model, picture, points, excluded, boxes)
            masks.append(mask)
            sure.append(score)
            ctx.progress(at + 1, len(image))
    return torch.stack(masks), min(sure, default=0.0)


def _things(
    module: Any,
    model: VisionModel,
    picture: Tensor,
    points: Points,
    excluded: Points,
    boxes: Boxes,
) -> tuple[Tensor, float]:
    """All that is asked for in one mask: of each thing the best of those that the model offers."""
    pixels, scale, restore = _picture_inputs(model, picture)
    # Places stay in float32: in half precision they would be pixels off.
    prompts: dict[str, Tensor] = {"pixel_values": pixels.to(module.dtype)}
    if points or excluded:
        places = torch.tensor([*points, *excluded]) * torch.tensor(scale)
        labels = torch.tensor([1] * len(points) + [0] * len(excluded))
        prompts |= {"input_points": places[None, None], "input_labels": labels[None, None]}
    if boxes:
        corners = torch.tensor([[x, y, x + wide, y + high] for x, y, wide, high in boxes])
        prompts["input_boxes"] = (corners * torch.tensor((*scale, *scale)))[None]
    inputs = {name: value.to(module.device) for name, value in prompts.items()}
    # One click may mean a part or the whole: of several masks the surest is taken.
    answer = module(**inputs, multimask_output=len(points) + len(excluded) == 1 and not boxes)
    mask, sure = torch.zeros(picture.shape[:2]), 1.0
    for scores, logits in zip(answer.iou_scores[0], answer.pred_masks[0], strict=True):
        best = int(scores.argmax())
        whole = restore(logits[best].float().cpu(), (picture.shape[0], picture.shape[1]))
        mask = torch.maximum(mask, (whole > 0).float())
        sure = min(sure, float(scores[best].clamp(0, 1)))
    return mask, sure


Hint = Literal["center", "horizontal", "vertical", "rectangle", "diamond", "mask", "none"]
"""Points in a region that belong to its object, besides its box."""
_THIRDS = (1 / 3, 2 / 3)
_HINTS: Mapping[str, Points] = {
    "center": [(0.5, 0.5)],
    "horizontal": [(share, 0.5) for share in _THIRDS],
    "vertical": [(0.5, share) for share in _THIRDS],
    "rectangle": [*((share, 0.5) for share in _THIRDS), *((0.5, share) for share in _THIRDS)],
    "diamond": [(x, y) for y in _THIRDS for x in _THIRDS],
    "none": [],
}
"""In shares of the box."""
_MASK_POINTS, _LEAST_STEP = 20, 3
"""Points of a mask along each side, and pixels between them at the least."""


@torch.inference_mode()
def segment_regions(
    ctx: Context,
    model: VisionModel,
    image: Tensor,
    regions: Sequence[Region],
    *,
    hint: Hint,
    threshold: float,
    expand: int,
    mask_threshold: float,
) -> Tensor:
    """Masks of the objects in regions; by SAM, SAM-HQ or SAM 2.

    A model offers three masks for each region. All of them with at least the threshold count
    together; if there is none, the surest one.

    Args:
        image: (1, height, width, channels).
        hint: Points that are on the object.
        threshold: Confidence, 0..1.
        expand: Pixels by which boxes are enlarged on each side.
        mask_threshold: Values of the region's mask above it are points for the hint mask.
    Returns:
        0 or 1, (regions, height, width).
    """
    check_task(model, "points")
    height, width = image.shape[1:3]
    masks: list[Tensor] = []
    with ctx.weights(model.model) as component:
        module = component.module
        pixels, scale, restore = _picture_inputs(model, image[0])
        for at, region in enumerate(regions):
            box = _expanded(region.object_box, expand, (width, height))
            points = _hint_points(region, box, hint, mask_threshold)
            prompts = {"pixel_values": pixels.to(module.dtype), **_prompts(points, box, scale)}
            inputs = {name: value.to(module.device) for name, value in prompts.items()}
            answer = module(**inputs, multimask_output=True)
            scores, logits = answer.iou_scores[0, 0], answer.pred_masks[0, 0]
            sure = scores >= min(threshold, float(scores.max()))
            own = [restore(each.float().cpu(), (height, width)) > 0 for each in logits[sure]]
            masks.append(torch.stack(own).any(0).float())
            ctx.progress(at + 1, len(regions))
    return torch.stack(masks) if masks else torch.zeros(0, height, width)


def _expanded(box: Box, pixels: int, size: tuple[int, int]) -> Box:
    left, top = max(0.0, box[0] - pixels), max(0.0, box[1] - pixels)
    right = min(float(size[0]), box[0] + box[2] + pixels)
    bottom = min(float(size[1]), box[1] + box[3] + pixels)
    return left, top, right - left, bottom - top


def _hint_points(region: Region, box: Box, hint: Hint, threshold: float) -> Points:
    """Points on a region's object, in pixels of the image."""
    if hint != "mask":
        return [(box[0] + x * box[2], box[1] + y * box[3]) for x, y in _HINTS[hint]]
    mask = region.mask.amax(0)
    rows, columns = (max(_LEAST_STEP, side // _MASK_POINTS) for side in mask.shape)
    inside = (mask[::rows, ::columns] > threshold).nonzero().tolist()
    return [(region.x + column * columns, region.y + row * rows) for row, column in inside]


def _prompts(points: Points, box: Box, scale: tuple[float, float]) -> dict[str, Tensor]:
    """A box and points in the pixels that a model sees."""
    x, y, width, height = box
    corners = torch.tensor([[x, y, x + width, y + height]]) * torch.tensor((*scale, *scale))
    prompts = {"input_boxes": corners[None]}
    if points:
        places = torch.tensor(points) * torch.tensor(scale)
        prompts["input_points"] = places[None, None].float()
        prompts["input_labels"] = torch.ones(1, 1, len(points), dtype=torch.long)
    return prompts


def _picture_inputs(model: VisionModel, picture: Tensor) -> tuple[Tensor, tuple[float, float], Any]:
    """What the model takes of an image, how coordinates are scaled, and how masks come back."""
    height, width = picture.shape[:2]
    if model.model.family == "Sam2Model":
        pixels = resize_for_sam2(model.preparation, picture)
        scale = pixels.shape[3] / width, pixels.shape[2] / height
        return pixels, scale, lambda logits, size: scaled(logits[None, None], size)[0, 0]
    inputs = preprocess(model, picture)
    pixels = inputs["pixel_values"]
    high, wide = (int(side) for side in inputs["reshaped_input_sizes"][0])

    def restore(logits: Tensor, size: tuple[int, int]) -> Tensor:
        # The image stands in the upper left of a square.
        square = scaled(logits[None, None], (pixels.shape[2], pixels.shape[3]))
        return scaled(square[:, :, :high, :wide], size)[0, 0]

    return pixels, (wide / width, high / height), restore


@torch.inference_mode()
def segment_classes(ctx: Context, model: VisionModel, image: Tensor, labels: str) -> Tensor:
    """Where things of some classes are; by SegFormer, Mask2Former and others.

    Args:
        labels: Names of classes that the model knows, with commas between them.
    Returns:
        0 or 1, (batch, height, width).
    Raises:
        InvalidValue: The model doesn't know one.
    """
    check_task(model, "classes")
    wanted = torch.tensor(label_indices(model, labels))
    masks = []
    with ctx.weights(model.model) as component:
        module = component.module
        for at, picture in enumerate(image):
            inputs = {
                name: value.to(module.device, module.dtype if value.is_floating_point() else None)
                for name, value in preprocess(model, picture).items()
                if isinstance(value, Tensor)
            }
            answer = module(**inputs)
            [classes] = image_processor(model).post_process_semantic_segmentation(
                answer, target_sizes=[tuple(picture.shape[:2])]
            )
            masks.append(torch.isin(classes.cpu(), wanted).float())
            ctx.progress(at + 1, len(image))
    return torch.stack(masks)


def label_indices(model: VisionModel, labels: str) -> list[int]:
    """Numbers of the classes that a text names.

    Raises:
        InvalidValue: The model doesn't know one, or none is named.
    """
    known: Mapping[str, int] = {name.lower(): at for at, name in enumerate(model.labels)}
    names = [name.strip().lower() for name in labels.split(",") if name.strip()]
    unknown = next((name for name in names if name not in known), None)
    if unknown is not None or not names:
        raise InvalidValue(
            "the model has no such class" if names else "no class is named",
            port="labels",
            given=unknown,
            expected=", ".join(model.labels[:40]) + (", …" if len(model.labels) > 40 else ""),
            hint=did_you_mean(unknown or "", model.labels) or None,
        )
    return [known[name] for name in names]


@torch.inference_mode()
def refine_mask(
    ctx: Context, model: VisionModel, image: Tensor, mask: Tensor, width: int
) -> Tensor:
    """A mask with a fine edge, such as of hair; by ViTMatte.

    Args:
        mask: What is surely inside and outside but for the edge.
        width: Pixels on both sides of the edge that are decided anew.
    Returns:
        0..1, (batch, height, width).
    """
    check_task(model, "matting")
    image, mask = match_mask(image, mask)
    trimaps = trimap(mask, width)
    mattes = []
    with ctx.weights(model.model) as component:
        module = component.module
        for at, (picture, known) in enumerate(zip(image, trimaps, strict=True)):
            # Pixels of a trimap are 0, 128 and 255.
            levels = (known * 255).round().byte().numpy()
            pixels = preprocess(model, picture, trimaps=levels)["pixel_values"]
            alphas = module(pixel_values=pixels.to(module.device, module.dtype)).alphas
            own = alphas[0, 0, : picture.shape[0], : picture.shape[1]].float().cpu()
            mattes.append(torch.where(known == 0.5, own, known))
            ctx.progress(at + 1, len(image))
    return torch.stack(mattes).clamp(0, 1)


def trimap(mask: Tensor, width: int) -> Tensor:
    """1 where a mask surely is, 0 where it surely isn't, and a half around its edge."""
    hard = (mask >= 0.5).float()
    inner, outer = grow_mask(hard, -width), grow_mask(hard, width)
    return (inner + outer) / 2


@torch.inference_mode()
def estimate_depth(ctx: Context, model: VisionModel, image: Tensor) -> Tensor:
    """How near things are: the nearest of each image white, the furthest black.

    Returns:
        (batch, height, width, 3).
    """
    check_task(model, "depth")
    maps = []
    with ctx.weights(model.model) as component:
        module = component.module
        for at, picture in enumerate(image):
            pixels = preprocess(model, picture)["pixel_values"].to(module.device, module.dtype)
            depth = module(pixel_values=pixels).predicted_depth.float().cpu()
            planes = scaled(depth.reshape(1, 1, *depth.shape[-2:]), picture.shape[:2])[0, 0]
            low, high = planes.min(), planes.max()
            near = (planes - low) / (high - low).clamp(min=1e-6)
            maps.append(1 - near if _is_metric_depth(module) else near)
            ctx.progress(at + 1, len(image))
    return mask_to_image(torch.stack(maps))


def _is_metric_depth(module: Any) -> bool:
    """Whether a model's depth is how far things are; most tell how near."""
    is_metric = getattr(module.config, "depth_estimation_type", "relative") == "metric"
    return is_metric or type(module).__name__ == "GLPNForDepthEstimation"
