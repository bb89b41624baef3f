"""Nodes for images that a generation starts from or follows: sources, masks, control images.

Metadata name such images and do not contain them, so their nodes wait for a choice. A request
brings them: then they have a path, and more is known about how they are used.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from nodegraph.interop.image_metadata.generation import (
    ControlUnit,
    Generation,
    ModelReference,
    SourceImage,
    SourceMask,
    shorten,
)
from nodegraph.interop.image_metadata.model_finder import ListedModels

Link = dict[str, str]
Ports = dict[str, Link]
"""Links of a sampler's model, prompts and latent, by the names of its inputs."""
Options = dict[str, Any]

DESCRIPTION = "Made from a request to AUTOMATIC1111's API."
_SOFT_EDGE = 4.0
_CANNY = 1530.0
"""A threshold of OpenCV's Canny, times this, is a share of the steepest edge: as in ComfyUI's."""
_BLURRED = 16
"""The radius that hides what is masked, as a part of the longer side."""
_FINEST = 64
"""Pixels: smaller resolutions of preprocessors mean none, as -1 does."""


def _no_options(first: float | None, second: float | None) -> Options:
    return {}


def _canny(low: float | None, high: float | None) -> Options:
    thresholds = {"low": low, "high": high}
    return {
        port: min(1.0, max(0.0, value / _CANNY))
        for port, value in thresholds.items()
        if value is not None
    }


def _tile(factor: float | None, second: float | None) -> Options:
    return {} if factor is None else {"factor": min(64.0, max(1.0, factor))}


def _blur(radius: float | None, second: float | None) -> Options:
    return {} if radius is None else {"radius": min(500.0, max(0.0, radius))}


Preprocessor = tuple[str, Callable[[float | None, float | None], Options]]
PREPROCESSORS: Mapping[str, Preprocessor] = {
    "canny": ("CannyEdges", _canny),
    "lineart_standard": ("LineArt", _no_options),
    "softedge": ("SoftEdges", _no_options),
    "scribble": ("Scribble", _no_options),
    "tile": ("TileHint", _tile),
    "t2ia_color_grid": ("ColorBlocks", _no_options),
    "blur_gaussian": ("BlurImage", _blur),
    "invert": ("InvertImage", _no_options),
}
"""Nodes that need no model, by the beginning of the preprocessor's name, with what their inputs are
for the two thresholds of a request."""
DETECTORS: Mapping[str, str] = {"depth": "EstimateDepth", "openpose": "EstimatePose"}
"""Nodes that need a vision model, likewise."""


def find_preprocessor(name: str) -> str:
    """Return the beginning of a known preprocessor's name; empty if it is not known."""
    plain = name.strip().lower().replace(" ", "_")
    return next((each for each in (*PREPROCESSORS, *DETECTORS) if plain.startswith(each)), "")


@dataclass(frozen=True)
class BroughtImage:
    """An image that a request brings.

    Attributes:
        path: Reference of its upload.
        is_alpha: Whether it has transparent parts, so that a mask is its alpha channel.
    """

    path: str
    width: int
    height: int
    is_alpha: bool = False


@dataclass
class ImageNodes:
    """Writes the nodes of one workflow, in order.

    Attributes:
        nodes: By name, as in a workflow file.
    """

    generation: Generation
    nodes: dict[str, dict[str, Any]] = field(default_factory=dict)

    def add(self, name: str, node_type: str, /, **inputs: Any) -> Link:
        """Add a node and return a link to its output; inputs that are None are left out."""
        written = {port: value for port, value in inputs.items() if value is not None}
        self.nodes[name] = {"type": node_type, "inputs": written}
        return {"from": name}

    def load_image(self, node: str, path: str = "") -> Link:
        """Add a node that loads an image, which has to be chosen first if there is no path."""
        self.add(node, "LoadImage", path=path or None)
        if not path:
            self.nodes[node]["unread"] = ["path"]
        return {"from": f"{node}.image"}

    def start_latent(self, vae: Link) -> Link:
        """Add what the sampling starts from: noise of a size, or an image in that size."""
        generation, source = self.generation, self.generation.source
        if source is None:
            size = self._size()
            if generation.batch_size > 1:
                size["batch_size"] = generation.batch_size
            return self.add("size", "EmptyLatent", **size)
        image = self.load_image("picture", source.path)
        mask = None
        if source.mask is not None and source.mask.margin is not None:
            image, mask = self._masked_area(image, source.mask, source.mask.margin)
        else:
            if not source.is_latent_resized:
                image = self._fitted("fitted", image, source)
            if source.is_masked:
                mask = self._mask(source)
        if source.mask is not None and mask is not None and source.mask.fill == "blurred":
            image = self._hidden(image, mask)
        latent = self.add(
            "encode", "VAEEncode", vae=vae, image=image, crop=source.is_latent_resized or None
        )
        if source.is_latent_resized:
            latent = self.add(
                "resized", "ResizeLatent", latent=latent, **self._size(), method="bilinear"
            )
        if mask is not None:
            latent = self._without_masked(latent, mask, source)
            latent = self.add("masked", "SetNoiseMask", latent=latent, mask=mask)
        if generation.batch_size > 1:
            latent = self.add("batch", "RepeatLatent", latent=latent, times=generation.batch_size)
        return latent

    def keep_unmasked(self, image: Link) -> Link:
        """Add the nodes that keep all but the masked part as in the source image."""
        mask = None if self.generation.source is None else self.generation.source.mask
        if mask is not None and mask.margin is not None:
            return self.add(
                "result",
                "StitchCrop",
                image={"from": "picture.image"},
                part=image,
                region={"from": "area.region"},
                feather=mask.blur,
            )
        is_hard = mask is not None and mask.blur <= 0
        soft = (
            {"from": "mask"}
            if is_hard
            else self.add(
                "soft",
                "FeatherMask",
                mask={"from": "mask"},
                radius=_SOFT_EDGE if mask is None else mask.blur,
                side="inward" if mask is None else "both",
            )
        )
        return self.add(
            "result", "CompositeMasked", base={"from": "fitted"}, overlay=image, mask=soft
        )

    def control_hint(self, unit: ControlUnit, node: str, hint: str) -> Link:
        """Add the image of a ControlNet with its preprocessor.

        Args:
            node, hint: Names of the nodes.
        """
        image = self.load_image(node, unit.path)
        if unit.resolution >= _FINEST:
            sides = {"width": unit.resolution, "height": unit.resolution}
            image = self.add(f"{hint}_size", "ResizeImage", image=image, **sides, fit="outside")
        if unit.preprocessor:
            image = self._preprocessed(unit, hint, image)
        if unit.fit:
            image = self.add(
                f"{hint}_fitted", "ResizeImage", image=image, **self._size(), fit=unit.fit
            )
        return image

    def control_mask(self, unit: ControlUnit, node: str) -> Link | None:
        """Add the mask of the area that a ControlNet controls; None if it controls all."""
        if not unit.mask:
            return None
        image = self.load_image(node, unit.mask)
        image = self.add(
            f"{node}_fitted", "ResizeImage", image=image, **self._size(), fit=unit.fit or "crop"
        )
        return self.add(f"{node}_mask", "MaskFromChannel", image=image)

    def _preprocessed(self, unit: ControlUnit, node: str, image: Link) -> Link:
        start = find_preprocessor(unit.preprocessor)
        if start in DETECTORS and unit.detector:
            self.add(f"{node}_model", "LoadVisionModel", model=unit.detector)
            model = {"from": f"{node}_model"}
            return self.add(node, DETECTORS[start], model=model, image=image)
        if start not in PREPROCESSORS:
            self.generation.report(
                f"The preprocessor `{shorten(unit.preprocessor)}` made the control image. It is "
                "left out: choose an image that is processed, or add the node that does that."
            )
            return image
        kind, options_of = PREPROCESSORS[start]
        return self.add(node, kind, image=image, **options_of(*unit.thresholds))

    def _size(self) -> Options:
        return {"width": self.generation.width, "height": self.generation.height}

    def _fitted(self, name: str, image: Link, source: SourceImage) -> Link:
        """An image in the size of what is made."""
        width, height = self.generation.width, self.generation.height
        if source.fit != "pad" or not (source.width and source.height and width and height):
            return self.add(name, "ResizeImage", image=image, **self._size(), fit=source.fit)
        # The border continues the image's edge, which ResizeImage cannot do.
        scale = min(width / source.width, height / source.height)
        inner = [
            min(most, max(1, round(side * scale)))
            for side, most in ((source.width, width), (source.height, height))
        ]
        left, top = (width - inner[0]) // 2, (height - inner[1]) // 2
        small = self.add(
            f"{name}_inner", "ResizeImage", image=image, width=inner[0], height=inner[1]
        )
        return self.add(
            name,
            "PadImage",
            image=small,
            left=left,
            top=top,
            right=width - inner[0] - left,
            bottom=height - inner[1] - top,
            border="edge",
        )

    def _mask(self, source: SourceImage) -> Link:
        """The mask in the size of what is made."""
        mask = source.mask
        if mask is None:
            image = {"from": "picture.mask"}  # as an image, to cut it as the image is cut
            image = self.add("mask_image", "ResizeImage", image=image, **self._size(), fit="crop")
            return self.add("mask", "MaskFromChannel", image=image)
        image = self._fitted("mask_image", self.load_image("mask_file", mask.path), source)
        return self._hard(image, mask)

    def _hard(self, image: Link, mask: SourceMask) -> Link:
        """A mask of whole pixels, named ``mask``."""
        is_inverted = mask.is_inverted
        channel = self.add("mask_channel", "MaskFromChannel", image=image, channel=mask.channel)
        hard = self.add(
            "mask_hard" if is_inverted else "mask", "ThresholdMask", mask=channel, low=0.5
        )
        return self.add("mask", "InvertMask", mask=hard) if is_inverted else hard

    def _masked_area(self, image: Link, mask: SourceMask, margin: int) -> tuple[Link, Link]:
        """The surroundings of the mask in the size of what is made, and the mask in them."""
        mask_image = self.load_image("mask_file", mask.path)
        if not mask.has_source_size:
            mask_image = self.add("mask_image", "ResizeImage", image=mask_image, like=image)
        hard = self._hard(mask_image, mask)
        self.add(
            "area",
            "CropToMask",
            image=image,
            mask=hard,
            margin=margin,
            **self._size(),
            empty="whole picture",
        )
        return {"from": "area.image"}, {"from": "area.mask"}

    def _hidden(self, image: Link, mask: Link) -> Link:
        """An image whose masked part is blurred beyond recognition."""
        longer = max(self.generation.width or 0, self.generation.height or 0)
        radius = min(500.0, max(4.0, longer / _BLURRED))
        blurred = self.add("blurred", "BlurImage", image=image, radius=radius)
        return self.add("filled", "CompositeMasked", base=image, overlay=blurred, mask=mask)

    def _without_masked(self, latent: Link, mask: Link, source: SourceImage) -> Link:
        """A latent whose masked part is empty or noise, if the request says so."""
        fill = "original" if source.mask is None else source.mask.fill
        if fill not in ("empty", "noise"):
            return latent
        # A latent minus itself is an empty one of the model's own kind.
        zero = self.add("zero", "AddLatents", first=latent, second=latent, scale=-1.0)
        latent = self.add("emptied", "CompositeLatent", destination=latent, source=zero, mask=mask)
        if fill == "empty":
            return latent
        seed = self.generation.seed
        return self.add("noised", "InjectNoise", latent=latent, strength=1.0, seed=seed, mask=mask)


def plan_upscale(
    request: Mapping[str, Any], image: BroughtImage, models: ListedModels
) -> tuple[dict[str, Any], list[str]]:
    """Return the workflow that enlarges an image as ``extra-single-image`` says, and notes.

    Raises:
        InvalidValue: There is no such upscale model.
    """
    factor = request["upscaling_resize"]
    width, height = round(image.width * factor), round(image.height * factor)
    fit = "stretch"
    if request["resize_mode"] == 1:
        width, height = request["upscaling_resize_w"], request["upscaling_resize_h"]
        fit = "crop" if request["upscaling_crop"] else "inside"
    nodes: dict[str, Any] = {"picture": {"type": "LoadImage", "inputs": {"path": image.path}}}
    size = {"width": max(1, width), "height": max(1, height), "fit": fit}

    def enlarged(name: str, number: str) -> dict[str, str]:
        link = {"from": "picture.image"}
        plain = name.strip().lower()
        method = plain if plain in ("lanczos", "nearest") else "lanczos"
        if plain not in ("", "none", "lanczos", "nearest"):
            model = models.find(ModelReference(name), "upscale_models")[0]
            nodes[f"upscaler{number}"] = {"type": "LoadUpscaleModel", "inputs": {"model": model}}
            inputs = {"model": {"from": f"upscaler{number}"}, "image": link}
            nodes[f"larger{number}"] = {"type": "UpscaleImage", "inputs": inputs}
            link = {"from": f"larger{number}"}
        elif plain in ("", "none") and request["resize_mode"] == 0 and not number:
            return link  # A1111 leaves the image as it is
        nodes[f"fitted{number}"] = {
            "type": "ResizeImage",
            "inputs": {"image": link, **size, "method": method},
        }
        return {"from": f"fitted{number}"}

    result = enlarged(request["upscaler_1"], "")
    share = request["extras_upscaler_2_visibility"]
    if share > 0 and request["upscaler_2"].strip().lower() not in ("", "none"):
        other = enlarged(request["upscaler_2"], "_2")
        inputs = {"image": result, "other": other, "opacity": share}
        nodes["blended"] = {"type": "BlendImages", "inputs": inputs}
        result = {"from": "blended"}
    nodes["save"] = {"type": "SaveImage", "inputs": {"image": result, "name": "upscaled"}}
    notes = [
        f"Not used: `{name}`: there is no face restorer."
        for name in ("gfpgan_visibility", "codeformer_visibility")
        if request[name] > 0
    ]
    return {"format": "nodegraph/1", "description": DESCRIPTION, "nodes": nodes}, notes
