"""Impact Pack's SEGS: regions of an image, by detectors, SAM and masks.

A detector there is a value; here it is a vision model that DetectRegions takes, or SegmentByText
where its text travels with the link under `BY_TEXT`. SEGS are a list of regions. The image in which
they were detected travels with them under `IMAGE`, and images of the regions under `PARTS`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nodegraph.interop.comfyui.entries import TableEntry, Translate, entry
from nodegraph.interop.comfyui.table.parts import compute_number, flag
from nodegraph.interop.comfyui.table.pipes import Pipe, pipe_of
from nodegraph.interop.comfyui.table.vision import BY_TEXT
from nodegraph.interop.comfyui.translating import MadeOutput, Passage, Signal, Untranslatable

IMAGE = "segs_image"
PARTS = "segs_parts"
CONTROLS = "segs_controls"  # inputs of the ApplyControlNet that a detailer adds to its prompts
BASIC = ("model", "clip", "vae", "positive", "negative")
"""What a basic pipe holds."""

_FACE = "face"


def held(pipe: Pipe, name: str) -> Signal:
    """What a pipe holds under a name.

    Raises:
        Untranslatable: It holds nothing there.
    """
    member = pipe.get(name)
    if member is None:
        raise Untranslatable(f"its pipe holds no {name}")
    return member


def refuse_connected(node: Passage, *names: str) -> None:
    """Refuse inputs that nothing here stands for.

    Raises:
        Untranslatable: One of them is connected.
    """
    for name in names:
        signal = node.inputs.get(name)
        if signal is not None and (signal.content is not None or signal.carried):
            raise Untranslatable(f"nodegraph has nothing like its input `{name}`")


def detected(
    node: Passage,
    detector: Signal,
    image: Signal,
    *,
    threshold: Any,
    dilation: Any,
    crop_factor: Any,
    drop_size: Any,
) -> tuple[Signal, MadeOutput]:
    """Regions by a detector, and a mask of all of them."""
    by_text: Mapping[str, Signal] | None = detector.carried.get(BY_TEXT)
    if by_text is None:
        name = node.add(
            "DetectRegions",
            model=detector,
            image=image,
            threshold=threshold,
            grow=dilation,
            crop=crop_factor,
            smallest=drop_size,
        )
        return segs(name, image), MadeOutput(name, "mask")
    mask = node.add(
        "SegmentByText",
        model=detector,
        image=image,
        text=by_text["text"] if by_text["text"].content else _FACE,
        threshold=by_text["threshold"],
    )
    grown = grown_mask(node, MadeOutput(mask, "mask"), by_text["dilation_factor"].content)
    name = node.add(
        "RegionsFromMask",
        mask=grown,
        crop=crop_factor,
        smallest=drop_size,
        boxes=True,
        order=_ORDER,
    )
    return segs(name, image), grown


_ORDER = "from the bottom"
"""Of the parts of a mask, as OpenCV finds them."""


def segs(name: str, image: Signal | None, port: str = "regions") -> Signal:
    """Regions that a node makes, of an image."""
    return Signal(MadeOutput(name, port), {} if image is None else {IMAGE: Signal(image.content)})


def changed_segs(node: Passage, name: str, port: str = "regions", source: str = "segs") -> Signal:
    """Regions that a node makes of others, without images that replace their parts."""
    of = node.inputs[source].carried
    made = segs(name, of.get(IMAGE), port)
    return made.with_carried(**{CONTROLS: of[CONTROLS]}) if CONTROLS in of else made


def grown_mask(node: Passage, mask: MadeOutput, side: Any) -> MadeOutput:
    """A mask grown by a square; one whose side is even reaches further to one side there."""
    if not isinstance(side, int) or isinstance(side, bool):
        raise Untranslatable("the number of pixels by which a mask grows is not known")
    if abs(side) < 2:
        return mask
    if side % 2 == 0:
        node.tell("the mask grows to both sides alike; ComfyUI's grows one pixel less to the left")
    pixels = side // 2 if side > 0 else -(-side // 2)
    return MadeOutput(node.add("GrowMask", mask=mask, pixels=pixels, corners="square"), "mask")


def mask_of(node: Passage, regions: Signal) -> MadeOutput:
    """One mask of all regions."""
    name = node.add("RegionsMask", regions=regions, image=regions.carried.get(IMAGE))
    return MadeOutput(name, "mask")


_EYES = {
    "eyes": ("left_eye", "right_eye"),
    "eyebrows": ("left_eyebrow", "right_eyebrow"),
    "pupils": ("left_pupil", "right_pupil"),
}


def _label_names(text: str) -> str:
    """Labels as FilterRegions takes them; empty for all."""
    names = [name.strip() for name in text.split(",")]
    if "all" in names or not text.strip():
        return ""
    return ", ".join([*names, *(each for name in names for each in _EYES.get(name, ()))])


def _detect(detector: str) -> Translate:
    """The way here of a detector that gives regions."""

    def forward(node: Passage) -> None:
        refuse_connected(node, "detailer_hook")
        names = ("threshold", "dilation", "crop_factor", "drop_size")
        own = detector if detector in node.inputs else "onnx_detector"
        regions, _ = detected(
            node,
            node.inputs[own],
            node.inputs["image"],
            **{name: node.inputs[name] for name in names},
        )
        labels = _label_names(str(node.literal("labels"))) if "labels" in node.inputs else ""
        if labels:
            name = node.add("FilterRegions", regions=regions, labels=labels)
            regions = segs(name, node.inputs["image"])
        node.give("SEGS", regions)

    return forward


def _detect_mask(detector: str) -> Translate:
    """The way here of a detector that gives one mask."""

    def forward(node: Passage) -> None:
        _, mask = detected(
            node,
            node.inputs[detector],
            node.inputs["image"],
            threshold=node.inputs["threshold"],
            dilation=node.inputs["dilation"],
            crop_factor=1.0,
            drop_size=0,
        )
        node.give("MASK", mask)

    return forward


_HINTS = {
    "center-1": "center", "horizontal-2": "horizontal", "vertical-2": "vertical",
    "rect-4": "rectangle", "diamond-4": "diamond", "mask-area": "mask",
    "mask-point-bbox": "center", "none": "none",
}  # fmt: skip


def sam_masks(
    node: Passage, sam: Signal, regions: Signal, image: Signal, names: Mapping[str, str]
) -> str:
    """The node that masks the objects of regions with SAM.

    Args:
        names: The node's inputs by what they are; `hint` and `negative` may lack.
    Raises:
        Untranslatable: The hints are of another kind than those here.
    """
    hint = str(node.literal(names["hint"])) if "hint" in names else "center-1"
    negative = str(node.literal(names["negative"])) if "negative" in names else "False"
    if hint not in _HINTS:
        raise Untranslatable(f"nodegraph has no detection hint {hint}")
    # Besides False and Small, its third choice puts points around the region.
    if negative != "False" and (negative != "Small" or hint == "mask-area"):
        raise Untranslatable(f"nodegraph has no negative hints ({negative})")
    inputs = {
        port: node.inputs[names[port]]
        for port in ("threshold", "expand", "grow", "mask_threshold")
        if port in names
    }
    return node.add(
        "SegmentRegions", model=sam, image=image, regions=regions, hint=_HINTS[hint], **inputs
    )


_SAM_INPUTS = {
    "hint": "detection_hint",
    "negative": "mask_hint_use_negative",
    "threshold": "threshold",
    "expand": "bbox_expansion",
    "grow": "dilation",
    "mask_threshold": "mask_hint_threshold",
}


def _segment(node: Passage) -> None:
    sam, regions, image = (node.inputs[name] for name in ("sam_model", "segs", "image"))
    name = sam_masks(node, sam, regions, image, _SAM_INPUTS)
    for output in ("MASK", "combined_mask"):
        node.give(output, MadeOutput(name, "mask"))
    if node.type == "SAMDetectorSegmented":
        node.tell("`batch_masks` has one mask for each region, not one for three masks of SAM")
    node.give("batch_masks", MadeOutput(name, "masks"))


def limited(node: Passage, regions: Signal, mask: Any) -> Signal:
    """Regions whose masks lie within a mask."""
    name = node.add("MaskRegions", regions=regions, mask=mask)
    return segs(name, regions.carried.get(IMAGE), "")


_SIMPLE_SAM = {
    "threshold": "sub_threshold",
    "expand": "sub_bbox_expansion",
    "grow": "sub_dilation",
    "mask_threshold": "sam_mask_hint_threshold",
}


def _simple(node: Passage) -> None:
    """Boxes, limited by SAM or by a model that segments."""
    pipe = pipe_of(node, "detailer_pipe") if "detailer_pipe" in node.inputs else Pipe({})
    if pipe.get("detailer_hook") is not None:
        raise Untranslatable("nodegraph has nothing like the `detailer_hook` of its pipe")
    names = ("bbox_detector", "sam_model_opt", "segm_detector_opt")
    own = {name: node.inputs[name] for name in names if name in node.inputs}
    is_piped = "detailer_pipe" in node.inputs
    bbox = held(pipe, "bbox_detector") if is_piped else node.inputs["bbox_detector"]
    sam, segm = (own.get(name) or pipe.get(name) for name in names[1:])
    image = node.inputs["image"]
    common = {name: node.inputs[name] for name in ("crop_factor", "drop_size")}
    regions, _ = detected(
        node,
        bbox,
        image,
        threshold=node.inputs["bbox_threshold"],
        dilation=node.inputs["bbox_dilation"],
        **common,
    )
    if sam is not None and sam.is_link:
        masks = sam_masks(node, sam, regions, image, _SIMPLE_SAM)
        regions = limited(node, regions, MadeOutput(masks, "mask"))
    elif segm is not None and segm.is_link:
        finer, _ = detected(
            node,
            segm,
            image,
            threshold=node.inputs["sub_threshold"],
            dilation=node.inputs["sub_dilation"],
            **common,
        )
        regions = limited(node, regions, mask_of(node, finer))
    if node.inputs["post_dilation"].content != 0:
        name = node.add("GrowRegions", regions=regions, pixels=node.inputs["post_dilation"])
        regions = segs(name, image, "")
    node.give("SEGS", regions)


def _mask_to_segs(node: Passage) -> None:
    name = node.add(
        "RegionsFromMask",
        mask=node.inputs["mask"],
        crop=node.inputs["crop_factor"],
        smallest=node.inputs["drop_size"],
        joined=flag(node, "combined"),
        boxes=flag(node, "bbox_fill"),
        fill_holes=flag(node, "contour_fill"),
        order=_ORDER,
    )
    node.give("SEGS", segs(name, None, ""))


def _segs_to_mask(node: Passage) -> None:
    node.give("MASK", mask_of(node, node.inputs["segs"]))


def _segs_to_masks(node: Passage) -> None:
    regions = node.inputs["segs"]
    name = node.add("RegionsMask", regions=regions, image=regions.carried.get(IMAGE))
    node.give("MASK", MadeOutput(name, "masks"))


def parts_of(node: Passage, regions: Signal, image: Signal | None) -> MadeOutput:
    """The images of regions: those that replace the original's parts, or these.

    Args:
        image: That they are cut out of, where nothing replaces them.
    Raises:
        Untranslatable: It isn't known which image they are of.
    """
    parts = regions.carried.get(PARTS)
    if isinstance(parts, MadeOutput):
        return parts
    source = image or regions.carried.get(IMAGE)
    if source is None:
        raise Untranslatable("the image of its regions is not known")
    return MadeOutput(node.add("CropRegion", image=source, region=regions), "image")


def _images(node: Passage) -> None:
    node.give("IMAGE", parts_of(node, node.inputs["segs"], node.inputs.get("fallback_image_opt")))


def _preview(node: Passage) -> None:
    parts = parts_of(node, node.inputs["segs"], node.inputs.get("fallback_image_opt"))
    node.keep(**{name: node.inputs[name].content for name in ("alpha_mode", "min_alpha")})
    node.add("PreviewImage", image=parts)
    node.give("IMAGE", parts)


def _default_image(node: Passage) -> None:
    regions, image = node.inputs["segs"], node.inputs["image"]
    if PARTS in regions.carried and not node.literal("override"):
        node.give("segs", regions)
        return
    name = node.add("CropRegion", image=image, region=regions)
    node.give("segs", regions.with_carried(**{IMAGE: image, PARTS: MadeOutput(name, "image")}))


def _paste(node: Passage) -> None:
    regions, image = node.inputs["segs"], node.inputs["image"]
    reference = node.inputs.get("ref_image_opt")
    if reference is not None:
        parts = MadeOutput(node.add("CropRegion", image=reference, region=regions), "image")
    elif PARTS in regions.carried:
        parts = parts_of(node, regions, None)
    else:
        node.tell("nothing is pasted: its regions hold no images")
        node.give("IMAGE", image)
        return
    name = node.add(
        "PasteRegions",
        image=image,
        regions=Signal(regions.content),
        parts=parts,
        feather=node.inputs["feather"],
        opacity=compute_number(node, "a / 255", lambda a: a / 255, a=node.inputs["alpha"]),
    )
    node.give("IMAGE", MadeOutput(name, "image"))


def _and_mask(node: Passage) -> None:
    mask = node.inputs["mask" if "mask" in node.inputs else "masks"]
    node.give("SEGS", limited(node, node.inputs["segs"], mask))


def _by_segs(keep: str) -> Translate:
    """The way here of regions that others limit."""

    def forward(node: Passage) -> None:
        node.tell("a region stays once, even if it overlaps several others or none")
        mask = mask_of(node, node.inputs["mask_segs"])
        name = node.add("MaskRegions", regions=node.inputs["base_segs"], mask=mask, keep=keep)
        node.give("SEGS", changed_segs(node, name, "", "base_segs"))

    return forward


def _dilate_segs(node: Passage) -> None:
    name = node.add("GrowRegions", regions=node.inputs["segs"], pixels=node.inputs["dilation"])
    made = changed_segs(node, name, "")
    parts = node.inputs["segs"].carried.get(PARTS)
    node.give("SEGS", made if parts is None else made.with_carried(**{PARTS: parts}))


_MEASURES = {
    "area(=w*h)": "area", "width": "width", "height": "height", "x1": "left", "y1": "top",
    "x2": "right", "y2": "bottom", "length_percent": "elongation",
}  # fmt: skip


def _measure(node: Passage) -> str:
    target = str(node.literal("target"))
    if target not in _MEASURES:
        raise Untranslatable(f"nodegraph has no measure {target} of regions")
    return _MEASURES[target]


def _refuse_parts(node: Passage) -> None:
    if PARTS in node.inputs["segs"].carried:
        raise Untranslatable("nodegraph cannot filter regions that hold changed images")


def _give_filtered(node: Passage, name: str, *, swapped: bool = False) -> None:
    ports = ("others", "regions") if swapped else ("regions", "others")
    for output, port in zip(("filtered_SEGS", "remained_SEGS"), ports, strict=True):
        node.give(output, changed_segs(node, name, port))


def _label_filter(node: Passage) -> None:
    _refuse_parts(node)
    labels = _label_names(str(node.literal("labels")))
    node.keep(preset=node.inputs["preset"].content)
    _give_filtered(node, node.add("FilterRegions", regions=node.inputs["segs"], labels=labels))


def _range_filter(node: Passage) -> None:
    _refuse_parts(node)
    name = node.add(
        "FilterRegions",
        regions=node.inputs["segs"],
        by=_measure(node),
        least=node.inputs["min_value"],
        most=node.inputs["max_value"],
        of="crop",
    )
    _give_filtered(node, name, swapped=not node.literal("mode"))


def _ordered_filter(node: Passage) -> None:
    _refuse_parts(node)
    name = node.add(
        "SortRegions",
        regions=node.inputs["segs"],
        by=_measure(node),
        descending=node.inputs["order"],
        first=node.inputs["take_start"],
        count=node.inputs["take_count"],
        of="crop",
    )
    _give_filtered(node, name)


def _concat(node: Passage) -> None:
    every = [node.inputs[name] for name in _SEVERAL if name in node.inputs]
    items = {f"item_{number}": Signal(item.content) for number, item in enumerate(every, 1)}
    name = node.add("List", **items)
    if any(CONTROLS in item.carried for item in every):
        raise Untranslatable("nodegraph cannot control only some of several SEGS")
    images = [item.carried[IMAGE] for item in every if IMAGE in item.carried]
    node.give("SEGS", segs(name, images[0] if images else None, "output"))


_SEVERAL = tuple(f"segs{number}" for number in range(1, 9))


def _not_empty(node: Passage) -> None:
    count = MadeOutput(node.add("Length", items=node.inputs["segs"]), "")
    node.give("BOOLEAN", MadeOutput(node.add("Formula", expression="a > 0", a=count), "truth"))


def _dilate(node: Passage) -> None:
    mask = node.inputs["mask"].content
    if not isinstance(mask, MadeOutput):
        raise Untranslatable("its mask is not connected")
    node.give("MASK", grown_mask(node, mask, node.literal("dilation")))


_DETECT = (
    "image: IMAGE, threshold: FLOAT = 0.5, dilation: INT = 10, crop_factor: FLOAT = 3.0, "
    'drop_size: INT = 10, labels: STRING = "all", detailer_hook: DETAILER_HOOK?'
)
_DETECT_MASK = "image: IMAGE, threshold: FLOAT = 0.5"
_SIMPLE = (
    "image: IMAGE, bbox_threshold: FLOAT = 0.5, bbox_dilation: INT = 0, "
    "crop_factor: FLOAT = 3.0, drop_size: INT = 10, sub_threshold: FLOAT = 0.5, "
    "sub_dilation: INT = 0, sub_bbox_expansion: INT = 0, sam_mask_hint_threshold: FLOAT = 0.7, "
    "post_dilation: INT = 0"
)
_SAM = (
    'sam_model: SAM_MODEL, segs: SEGS, image: IMAGE, detection_hint: COMBO = "center-1", '
    "dilation: INT = 0, threshold: FLOAT = 0.93, bbox_expansion: INT = 0, "
    'mask_hint_threshold: FLOAT = 0.7, mask_hint_use_negative: COMBO = "False"'
)
_TARGET = 'segs: SEGS, target: COMBO = "area(=w*h)"'
_FILTERED = "filtered_SEGS: SEGS, remained_SEGS: SEGS"

ENTRIES: tuple[TableEntry, ...] = (
    entry(
        f"BboxDetectorSEGS(bbox_detector: BBOX_DETECTOR, {_DETECT}) -> SEGS",
        _detect("bbox_detector"),
    ),
    entry(
        f"SegmDetectorSEGS(segm_detector: SEGM_DETECTOR, {_DETECT}) -> SEGS",
        _detect("segm_detector"),
    ),
    entry(
        "ONNXDetectorSEGS(bbox_detector: BBOX_DETECTOR?, onnx_detector: ONNX_DETECTOR?, "
        f"{_DETECT}) -> SEGS",
        _detect("bbox_detector"),
    ),
    *(
        entry(
            f"{kind}DetectorCombined{version}({kind.lower()}_detector: {kind.upper()}_DETECTOR, "
            f"{_DETECT_MASK}, dilation: INT = {dilation}) -> MASK",
            _detect_mask(f"{kind.lower()}_detector"),
        )
        for kind, dilation in (("Bbox", 4), ("Segm", 0))
        for version in ("", "_v2")
    ),
    entry(f"SAMDetectorCombined({_SAM}) -> MASK", _segment),
    entry(f"SAMDetectorSegmented({_SAM}) -> combined_mask: MASK, batch_masks: MASK", _segment),
    entry(
        f"ImpactSimpleDetectorSEGS(bbox_detector: BBOX_DETECTOR, {_SIMPLE}, "
        "sam_model_opt: SAM_MODEL?, segm_detector_opt: SEGM_DETECTOR?) -> SEGS",
        _simple,
    ),
    entry(
        f"ImpactSimpleDetectorSEGSPipe(detailer_pipe: DETAILER_PIPE, {_SIMPLE}) -> SEGS", _simple
    ),
    entry(
        "MaskToSEGS(mask: MASK, combined: COMBO = false, crop_factor: FLOAT = 3.0, "
        "bbox_fill: COMBO = false, drop_size: INT = 10, contour_fill: COMBO = false) -> SEGS",
        _mask_to_segs,
    ),
    entry(
        "EmptySegs() -> SEGS",
        lambda node: node.give("SEGS", segs(node.add("List"), None, "output")),
    ),
    entry("SegsToCombinedMask(segs: SEGS) -> MASK", _segs_to_mask),
    entry("ImpactSEGSToMaskList(segs: SEGS) -> MASK", _segs_to_masks),
    entry("SEGSToImageList(segs: SEGS, fallback_image_opt: IMAGE?) -> IMAGE", _images),
    entry(
        "SEGSPreview(segs: SEGS, alpha_mode: BOOLEAN = true, min_alpha: FLOAT = 0.2, "
        "fallback_image_opt: IMAGE?) -> IMAGE",
        _preview,
    ),
    entry(
        "SetDefaultImageForSEGS(segs: SEGS, image: IMAGE, override: BOOLEAN = true) -> segs: SEGS",
        _default_image,
    ),
    entry(
        "SEGSPaste(image: IMAGE, segs: SEGS, feather: INT = 5, alpha: INT = 255, "
        "ref_image_opt: IMAGE?) -> IMAGE",
        _paste,
    ),
    entry("ImpactSegsAndMask(segs: SEGS, mask: MASK) -> SEGS", _and_mask),
    entry("ImpactSegsAndMaskForEach(segs: SEGS, masks: MASK) -> SEGS", _and_mask),
    entry("BitwiseAndMaskForEach(base_segs: SEGS, mask_segs: SEGS) -> SEGS", _by_segs("inside")),
    entry("SubtractMaskForEach(base_segs: SEGS, mask_segs: SEGS) -> SEGS", _by_segs("outside")),
    entry("ImpactDilateMaskInSEGS(segs: SEGS, dilation: INT = 10) -> SEGS", _dilate_segs),
    entry(
        f'ImpactSEGSLabelFilter(segs: SEGS, preset: COMBO = "all", labels: STRING = "") '
        f"-> {_FILTERED}",
        _label_filter,
    ),
    entry(
        f"ImpactSEGSRangeFilter({_TARGET}, mode: BOOLEAN = true, min_value: INT = 0, "
        f"max_value: INT = 67108864) -> {_FILTERED}",
        _range_filter,
    ),
    entry(
        f"ImpactSEGSOrderedFilter({_TARGET}, order: BOOLEAN = true, take_start: INT = 0, "
        f"take_count: INT = 1) -> {_FILTERED}",
        _ordered_filter,
    ),
    entry(f"ImpactSEGSConcat({', '.join(f'{name}: SEGS?' for name in _SEVERAL)}) -> SEGS", _concat),
    entry("ImpactIsNotEmptySEGS(segs: SEGS) -> BOOLEAN", _not_empty),
    entry("ImpactDilateMask(mask: MASK, dilation: INT = 10) -> MASK", _dilate),
)
