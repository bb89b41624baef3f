"""Generation settings that an image of another tool carries, and a careful reader of fields."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from nodegraph.core.text_format import to_well_formed
from nodegraph.errors import InvalidFile

MAX_SEED = 2**64 - 1
MAX_STEPS = 10_000
MAX_SIDE = 16_384
MAX_LORAS = 50
MAX_CONTROLS = 10
MAX_DETAILS = 10
MAX_PROMPT = 100_000
"""Characters of a prompt. Longer ones are refused: no encoder reads them."""
_MAX_FINDINGS = 60
_SHOWN = 60
_HEX = re.compile(r"[0-9a-f]{8,64}")

Convention: TypeAlias = Literal["diffusers", "comfyui"]


@dataclass(frozen=True)
class ModelReference:
    """A model as another tool names it.

    Attributes:
        name: Name or file name, maybe with folders of that tool. Empty if only hashes are known.
        hashes: Lower-case hexadecimal digits: AutoV1 (8), AutoV2 (10), AutoV3 (12), SHA-256 or
            BLAKE3 (64).
        url: Where the file can be downloaded. Empty if unknown.
    """

    name: str = ""
    hashes: tuple[str, ...] = ()
    url: str = ""

    def __bool__(self) -> bool:
        return bool(self.name or self.hashes)


def parse_hashes(*texts: object) -> tuple[str, ...]:
    """Return the hashes among some values, without prefixes such as ``0x`` and ``blake3:``."""
    plain = (
        text.strip().lower().rpartition(":")[2].removeprefix("0x")
        for text in texts
        if isinstance(text, str)
    )
    return tuple(dict.fromkeys(text for text in plain if _HEX.fullmatch(text)))


@dataclass(frozen=True)
class LoraReference:
    """A LoRA and its strengths on the model and on the text encoder."""

    model: ModelReference
    weight: float = 1.0
    encoder_weight: float = 1.0


@dataclass
class HiresPass:
    """A second sampling at a larger size; None and empty texts mean: as in the first one.

    Attributes:
        model: Another model for it; empty for the same one.
        upscaler: Name of the upscale model or of the interpolation.
        scale: Factor of the sides; 0 if the size is known instead.
        steps: Steps that are run, see `steps_are_share`.
        steps_are_share: Whether only the share `denoise` of the steps is run.
        denoise: None if it is not known.
    """

    upscaler: str = ""
    scale: float = 0.0
    width: int = 0
    height: int = 0
    model: ModelReference = ModelReference()
    steps: int | None = None
    steps_are_share: bool = False
    denoise: float | None = 0.5
    cfg: float | None = None
    sampler: str = ""
    schedule: str = ""
    prompt: str = ""
    negative: str = ""


@dataclass(frozen=True)
class Refiner:
    """A model that takes over within the sampling, after a share of the steps."""

    model: ModelReference
    switch: float


@dataclass(frozen=True)
class SeedVariation:
    """Noise of a second seed, mixed in as A1111 does: by an angle, 0 to 1 of a quarter turn."""

    seed: int
    strength: float


@dataclass(frozen=True)
class SourceMask:
    """A mask that a request brings: white is sampled.

    Attributes:
        path: Reference of the mask's file.
        channel: The channel of the file that is the mask, as in MaskFromChannel.
        is_inverted: Whether black is sampled instead.
        blur: Pixels over which the result fades into the source image.
        fill: What the masked part starts from: ``original``, ``blurred``, ``noise``, ``empty``.
        margin: Pixels around the mask if only its surroundings are sampled, at full size. None if
            the whole image is.
        has_source_size: Whether it is as large as the source image.
    """

    path: str
    channel: str = "luminance"
    is_inverted: bool = False
    blur: float = 4.0
    fill: str = "original"
    margin: int | None = None
    has_source_size: bool = True


@dataclass(frozen=True)
class SourceImage:
    """An image that the sampling started from. Metadata never contain the image.

    Attributes:
        strength: Share of the sampling that was run. None if it is not known.
        name: File name; empty if it is not known.
        is_masked: Whether only the masked part was sampled.
        path: Reference of the image's file; empty if it has to be chosen.
        fit: How it is brought to size, as in ResizeImage.
        is_latent_resized: Whether its latent is resized instead of the image.
        width, height: Its size in pixels; 0 if it is not known.
        mask: The mask, if it has a file of its own.
    """

    strength: float | None = None
    name: str = ""
    is_masked: bool = False
    path: str = ""
    fit: str = "crop"
    is_latent_resized: bool = False
    width: int = 0
    height: int = 0
    mask: SourceMask | None = None


@dataclass(frozen=True)
class ControlUnit:
    """A ControlNet and how it was used.

    Attributes:
        preprocessor: Of the control image, as the tool names it; empty for none.
        start, end: Share of the sampling that was controlled.
        image: File name of the control image; empty if it is not known.
        path, mask: References of the control image and of a mask of what is controlled; empty if
            the image has to be chosen, and if there is no mask.
        thresholds: Options of the preprocessor, as A1111's extension has them.
        resolution: Shorter side at which the preprocessor works. 0 for the image's own.
        fit: How the hint is brought to size, as in ResizeImage; empty to leave that to the node.
        is_guess: Whether the ControlNet counts more than the prompt.
        detector: Vision model for preprocessors that need one.
    """

    model: ModelReference
    preprocessor: str = ""
    weight: float = 1.0
    start: float = 0.0
    end: float = 1.0
    image: str = ""
    path: str = ""
    mask: str = ""
    thresholds: tuple[float | None, float | None] = (None, None)
    resolution: int = 0
    fit: str = ""
    is_guess: bool = False
    detector: str = ""


@dataclass(frozen=True)
class DetailPass:
    """A part of the image that was detected and sampled again, as by ADetailer.

    Attributes:
        detector: File name of the detection model.
        labels: What it detects.
        grow, margin: Pixels around the mask: that are sampled, and that the model sees.
        model: Vision model that detects; empty if it has to be chosen.
        is_by_text: Whether that model masks what a text describes, rather than known classes.
        steps, cfg: Of the sampling; None for those of the image.
        blur: Pixels over which the part fades into the image; None for the usual ones.
    """

    detector: str
    labels: str
    prompt: str = ""
    negative: str = ""
    confidence: float = 0.3
    denoise: float = 0.4
    grow: int = 4
    margin: int = 32
    model: str = ""
    is_by_text: bool = False
    steps: int | None = None
    cfg: float | None = None
    blur: float | None = None


@dataclass
class Generation:
    """How an image was made, as far as its metadata say.

    Attributes:
        tool: Name of the tool, such as ``A1111``.
        prompt: As the tool shows it.
        encoded_prompt: What is encoded, if that differs: in this package's syntax, with styles.
        sampler, schedule: Names as in nodegraph.
        guidance: Scale that a guidance-distilled model reads. None if there is none.
        clip_skip: 1 is the last layer. None for the default of the model.
        modules: Files of text encoders and a VAE, loaded beside the diffusion model.
        embeddings: Textual inversions; their names are the words in prompts.
        sampler_options: Options of the sampler, by the names of SelectSampler's inputs.
        convention, draw: Inputs of KSampler that follow the tool.
        findings: What is not known or has no counterpart, a sentence each.
    """

    tool: str
    prompt: str = ""
    negative: str = ""
    encoded_prompt: str = ""
    encoded_negative: str = ""
    seed: int | None = None
    sampler: str = ""
    schedule: str = ""
    steps: int | None = None
    cfg: float | None = None
    guidance: float | None = None
    clip_skip: int | None = None
    width: int | None = None
    height: int | None = None
    batch_size: int = 1
    model: ModelReference = ModelReference()
    vae: ModelReference = ModelReference()
    modules: tuple[str, ...] = ()
    loras: list[LoraReference] = field(default_factory=list)
    embeddings: list[ModelReference] = field(default_factory=list)
    hires: HiresPass | None = None
    refiner: Refiner | None = None
    variation: SeedVariation | None = None
    source: SourceImage | None = None
    controls: list[ControlUnit] = field(default_factory=list)
    details: list[DetailPass] = field(default_factory=list)
    sampler_options: dict[str, float] = field(default_factory=dict)
    convention: Convention = "diffusers"
    draw: str = "per item"
    findings: list[str] = field(default_factory=list)

    def report(self, message: str) -> None:
        """Add a finding; of too many, the last one says so."""
        if len(self.findings) < _MAX_FINDINGS and message not in self.findings:
            self.findings.append(to_well_formed(message))
        elif len(self.findings) == _MAX_FINDINGS:
            self.findings.append("There is more in the metadata that is not used.")

    def add_source_image(
        self, strength: object, *, name: str = "", is_masked: bool = False
    ) -> None:
        """Note that the image was made from another one, and report it."""
        share = to_number(strength)
        if share is not None and not 0 <= share <= 1:
            share = None
        self.source = SourceImage(share, shorten(name), is_masked)
        called = f"`{shorten(name)}`" if name else "another image"
        masked = " Paint the mask, or choose an image whose transparent part is the mask."
        self.report(
            f"The image was made from {called}, with strength {shorten(strength)}. The metadata "
            f"do not contain that image: choose it in `picture`.{masked if is_masked else ''}"
        )

    def add_control(self, unit: ControlUnit) -> None:
        """Add a ControlNet, and report the image that it lacks."""
        if len(self.controls) >= MAX_CONTROLS:
            self.report(f"Only the first {MAX_CONTROLS} ControlNets are used.")
            return
        self.controls.append(unit)
        number = len(self.controls)
        node = "control_image" if number == 1 else f"control_image_{number}"
        called = f"the image `{shorten(unit.image)}`" if unit.image else "an image"
        self.report(
            f"The ControlNet `{shorten(unit.model.name)}` used {called} that the metadata do not "
            f"contain: choose it in `{node}`."
        )

    def add_lora(
        self, model: ModelReference, weight: float = 1.0, encoder_weight: float | None = None
    ) -> None:
        """Add a LoRA, unless it has no effect or is there already."""
        if any(lora.model.name == model.name for lora in self.loras if model.name):
            return
        if len(self.loras) >= MAX_LORAS:
            self.report(f"Only the first {MAX_LORAS} LoRAs are used.")
            return
        encoder = weight if encoder_weight is None else encoder_weight
        limited = [min(10.0, max(-10.0, value)) for value in (weight, encoder)]
        if limited != [weight, encoder]:
            self.report(f"The strength of LoRA `{shorten(model.name)}` is limited to -10 to 10.")
        self.loras.append(LoraReference(model, *limited))


def shorten(value: object) -> str:
    """Return a value as one short line of text."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    line = " ".join(text.split())
    return line if len(line) <= _SHOWN else f"{line[: _SHOWN - 1]}…"


def escape_markup(text: str) -> str:
    """Return text whose brackets are plain characters for `EncodePrompt`."""
    return re.sub(r"([\\()\[\]])", r"\\\1", text)


def escape_words(text: str) -> str:
    """Return text whose words AND and BREAK are plain for `EncodePrompt`."""
    return re.sub(r"(?<![\w\\])(AND|BREAK)(?!\w)", r"\\\1", text)


def parse_json(text: str) -> Any:
    """Return the value of a JSON text; None if it is none. Python's NaN is accepted."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


class Fields:
    """Reads fields of foreign metadata by name; what nobody reads can be reported.

    Values of a wrong type or out of range are reported and count as missing.

    Args:
        values: By name; texts or JSON values.
        generation: Receives the findings.
    """

    def __init__(self, values: Mapping[str, Any], generation: Generation) -> None:
        self.values = values
        self.generation = generation
        self._read: set[str] = set()

    def __contains__(self, name: str) -> bool:
        return self.values.get(name) not in (None, "")

    def get(self, *names: str) -> Any:
        """Return the first field that there is, of any type; None if there is none."""
        self._read.update(names)
        return next((self.values[name] for name in names if name in self), None)

    def text(self, *names: str) -> str:
        """Return a field as text; empty if there is none.

        Raises:
            InvalidFile: It is longer than any prompt.
        """
        value = self.get(*names)
        if value is None:
            return ""
        if isinstance(value, (dict, list)):
            self._reject(names[0], value, "a text")
            return ""
        text: str = to_well_formed(str(value).replace("\0", ""))
        if len(text) > MAX_PROMPT:
            raise InvalidFile(
                f"the image's metadata have too much text in `{names[0]}`",
                given=f"{len(text):,} characters",
                expected=f"at most {MAX_PROMPT:,}",
            )
        return text

    def number(self, low: float, high: float, *names: str) -> float | None:
        """Return a number in a range."""
        value = self.get(*names)
        if value is None:
            return None
        number = to_number(value)
        if number is None or not low <= number <= high:
            self._reject(names[0], value, f"a number from {low:g} to {high:g}")
            return None
        return number

    def integer(self, low: int, high: int, *names: str) -> int | None:
        """Return a whole number in a range."""
        value = self.get(*names)
        if value is None:
            return None
        number = to_integer(value)
        if number is None or not low <= number <= high:
            self._reject(names[0], value, f"a whole number from {low} to {high}")
            return None
        return number

    def flag(self, *names: str) -> bool:
        """Return whether a field is true, in JSON or as a word."""
        value = self.get(*names)
        return value is True or (isinstance(value, str) and value.strip().lower() == "true")

    def items(self, *names: str) -> Sequence[Any]:
        """Return a list; a single value counts as one item."""
        value = self.get(*names)
        if value is None:
            return ()
        return value if isinstance(value, list) else (value,)

    def skip(self, *names: str) -> None:
        """Mark fields as known and without effect on the image."""
        self._read.update(names)

    def skip_prefix(self, *prefixes: str) -> None:
        self._read.update(name for name in self.values if name.startswith(prefixes))

    def unread(self) -> Iterator[tuple[str, Any]]:
        """Yield the fields that have a value and that nobody has read."""
        for name, value in self.values.items():
            if name not in self._read and value not in (None, "", False, [], {}):
                yield name, value

    def report_unread(self) -> None:
        """Add a finding for the fields that nobody has read."""
        names = [f"`{shorten(name)}` ({shorten(value)})" for name, value in self.unread()]
        for at in range(0, len(names), 5):
            self.generation.report(f"Not used: {', '.join(names[at : at + 5])}.")

    def _reject(self, name: str, value: object, expected: str) -> None:
        self.generation.report(
            f"`{name}` is `{shorten(value)}`, expected {expected}. It is not used."
        )


def to_number(value: object) -> float | None:
    """Return a finite number from JSON or text; None if it is none."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        number = float(value) if not isinstance(value, str) else float(value.strip()[:_SHOWN])
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def to_integer(value: object) -> int | None:
    """Return a whole number from JSON or text, with all digits of a seed; None if it is none."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and re.fullmatch(r"\s*[+-]?[0-9]{1,30}\s*", value, re.ASCII):
        return int(value)
    number = to_number(value)
    return int(number) if number is not None and number.is_integer() else None


def parse_size(text: str) -> tuple[int, int] | None:
    """Return width and height from texts such as ``512x768`` and ``(512, 768)``."""
    match = re.fullmatch(r"\s*\(?\s*(\d{1,6})\s*[x×X*,]\s*(\d{1,6})\s*\)?\s*", text, re.ASCII)
    return (int(match[1]), int(match[2])) if match else None


def read_size(generation: Generation, width: int | None, height: int | None) -> None:
    """Set the size; sides that no latent has are rounded, and reported."""
    if width is None or height is None:
        generation.report("The metadata do not have the size of the image: set it.")
        return
    sides = [min(MAX_SIDE, max(8, side // 8 * 8)) for side in (width, height)]
    if sides != [width, height]:
        generation.report(
            f"The size {width} × {height} is rounded to {sides[0]} × {sides[1]}, as latents have "
            "cells of 8 pixels."
        )
    generation.width, generation.height = sides
