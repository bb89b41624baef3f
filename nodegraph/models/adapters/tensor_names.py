"""Names of an adapter file's tensors: module, layer, and part of the change.

Every training tool names the parts of a layer's change in its own way; here each part gets one
name. Imports no torch: names and shapes from a header are enough.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from math import prod

DENOISERS = ("unet", "transformer", "transformer_2", "prior", "decoder")
"""Names of the modules that denoise."""
ENCODERS = ("text_encoder", "text_encoder_2", "text_encoder_3", "text_encoder_4")
"""Names of the modules that encode prompts."""
CONDITIONER = "text_conditioner"
"""Name of Anima's module that reads prompts for the denoiser, which holds it."""


@dataclass(frozen=True, slots=True)
class LayerName:
    """What a file calls a layer, taken apart.

    Attributes:
        modules: Names of those that the layer may be in.
        layer: Its name in there, by whatever convention.
        is_flat: Whether that has underscores in place of dots.
        is_plain: Whether the file gives diffusers' name of the only denoiser, or the first of two.
    """

    modules: tuple[str, ...]
    layer: str
    is_flat: bool
    is_plain: bool

    @property
    def flat(self) -> str:
        """The layer's name with underscores in place of dots."""
        return self.layer.replace(".", "_")

    @property
    def is_of_encoder(self) -> bool:
        """Whether it is of what encodes prompts."""
        return self.modules[0] in ENCODERS


def parse_layer_name(stem: str) -> LayerName:
    """A layer's name in a file, understood."""
    prefix = next(item for item in _PREFIXES if stem.startswith(item.text))
    layer = stem.removeprefix(prefix.text)
    for second in _SECOND_PREFIXES:
        layer = layer.removeprefix(second)
    for pattern, plain in _IRREGULAR:
        layer = pattern.sub(plain, layer)
    return LayerName(prefix.modules, layer, prefix.is_flat, prefix.text == "transformer.")


@dataclass(frozen=True, slots=True)
class _Prefix:
    """The beginning of names in files, and what it says: see `LayerName`."""

    text: str
    modules: tuple[str, ...]
    is_flat: bool = False


_PREFIXES = (
    # Files call Anima's text conditioner a part of the transformer, whose names it partly has.
    *(
        _Prefix(f"{before}llm_adapter_", (CONDITIONER,), True)
        for before in ("lora_unet_", "lora_transformer_", "lycoris_")
    ),
    *(
        _Prefix(f"{before}llm_adapter.", (CONDITIONER,))
        for before in ("model.diffusion_model.", "diffusion_model.", "transformer.", "net.", "")
    ),
    _Prefix(f"{CONDITIONER}.", (CONDITIONER,)),
    _Prefix("lora_unet_", DENOISERS, True),
    # Of both stages of Stable Cascade.
    _Prefix("lora_prior_unet_", ("prior",), True),
    _Prefix("lora_decoder_unet_", ("decoder",), True),
    _Prefix("lora_prior_te_", ENCODERS, True),
    _Prefix("prior.", ("prior",)),
    _Prefix("lora_transformer_", DENOISERS, True),
    _Prefix("lycoris_", DENOISERS, True),
    _Prefix("lora_te1_", ("text_encoder",), True),
    _Prefix("lora_te2_", ("text_encoder_2",), True),
    # kohya counts T5 as the third, whether there is a second or not.
    _Prefix("lora_te3_", ("text_encoder_3", "text_encoder_2"), True),
    _Prefix("lora_te_", ENCODERS, True),
    _Prefix("text_encoders.clip_l.transformer.", ("text_encoder",)),
    _Prefix("text_encoders.clip_g.transformer.", ("text_encoder_2",)),
    _Prefix("text_encoders.t5xxl.transformer.", ("text_encoder_3", "text_encoder_2")),
    *(_Prefix(f"{name}.", (name,)) for name in ENCODERS),
    _Prefix("unet.", DENOISERS),
    _Prefix("transformer_2.", ("transformer_2",)),
    _Prefix("transformer.", DENOISERS),
    _Prefix("model.diffusion_model.", DENOISERS),
    _Prefix("diffusion_model.", DENOISERS),
    _Prefix("base_model.model.", DENOISERS),
    _Prefix("text_model.", ENCODERS),
    _Prefix("", DENOISERS),
)
_SECOND_PREFIXES = ("base_model.model.", "model.diffusion_model.", "diffusion_model.")
_IRREGULAR = tuple(
    (re.compile(pattern), plain)
    for pattern, plain in (
        # diffusers before it took to peft named what computes attention, too.
        (r"\.processor\.(to_[qkv])_lora$", r".\1"),
        (r"\.processor\.to_out_lora$", r".to_out.0"),
        (r"\.(?:lora|lora_linear_layer)$", ""),
        # XLabs
        (r"^(double_blocks\.\d+)\.processor\.(qkv|proj)_lora1$", r"\1.img_attn.\2"),
        (r"^(double_blocks\.\d+)\.processor\.(qkv|proj)_lora2$", r"\1.txt_attn.\2"),
        (r"^(single_blocks\.\d+)\.processor\.qkv_lora$", r"\1.qkv"),
        (r"^(single_blocks\.\d+)\.processor\.proj_lora$", r"\1.linear2"),
        # Stable Audio's trainer, for the parts of its whole model
        (
            r"^(?:model\.){1,2}(?=transformer\.|to_\w+_embed\.|(?:pre|post)process_conv$)",
            "",
        ),
        # ACE-Step 1.5, whose transformer is called so in ComfyUI and in its own file
        (r"^decoder[._](layers[._]\d+[._](?:self_attn|cross_attn|mlp)[._])", r"\1"),
    )
)


Shape = tuple[int, ...]

_NAME = r"(?:\.[^.]+)?"
"""peft writes the adapter's own name, such as ``default``, between a part and its ``weight``."""
TRAINER_MARK = r"\.parametrizations\.weight"
"""Pattern of what the trainer of Stable Audio 3 writes behind a layer's name.

Source: https://github.com/Stability-AI/stable-audio-3, ``stable_audio_3/models/lora``.
"""
_SUFFIXES: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern + "$"), part)
    for pattern, part in (
        (rf"\.lora_A{_NAME}\.weight", "down"),
        (rf"\.lora_B{_NAME}\.weight", "up"),
        (rf"\.lora_B{_NAME}\.bias", "up_bias"),
        (r"\.lora_down\.weight", "down"),
        (r"\.lora_up\.weight", "up"),
        (r"\.lora_mid\.weight", "mid"),
        # The trainer of Stable Audio 3, by torch's parametrizations.
        (rf"{TRAINER_MARK}\.\d+\.lora_A", "down"),
        (rf"{TRAINER_MARK}\.\d+\.lora_B", "up"),
        (rf"{TRAINER_MARK}\.\d+\.magnitude", "magnitude"),
        (rf"{TRAINER_MARK}\.\d+\.baked_vnorm_row", "norms"),
        (rf"\.lora_magnitude_vector{_NAME}(?:\.weight)?", "magnitude"),
        (r"\.dora_scale", "dora_scale"),
        (r"\.alpha", "alpha"),
        (r"\.hada_w1_a", "w1_a"),
        (r"\.hada_w1_b", "w1_b"),
        (r"\.hada_w2_a", "w2_a"),
        (r"\.hada_w2_b", "w2_b"),
        (r"\.hada_t1", "t1"),
        (r"\.hada_t2", "t2"),
        (r"\.lokr_w1", "left"),
        (r"\.lokr_w1_a", "left_a"),
        (r"\.lokr_w1_b", "left_b"),
        (r"\.lokr_w2", "right"),
        (r"\.lokr_w2_a", "right_a"),
        (r"\.lokr_w2_b", "right_b"),
        (r"\.lokr_t2", "right_core"),
        (r"\.(?:diff|w_norm)", "weight"),
        (r"\.(?:diff_b|b_norm)", "bias"),
        # diffusers before it took to peft, and the XLabs trainer. The layer keeps what is before.
        (r"\.down\.weight", "down"),
        (r"\.up\.weight", "up"),
        # The control LoRAs of Flux.1 bring norms that are to stand in for the model's.
        (r"(?<=\.query_norm)\.scale|(?<=\.key_norm)\.scale", "whole"),
        (r"(?<=\.norm_[qk])\.weight|(?<=\.norm_added_[qk])\.weight", "whole"),
    )
)


@dataclass(frozen=True, slots=True)
class LayerParts:
    """The change of one layer as a file holds it.

    Attributes:
        tensors: Name of the tensor in the file, by the part that it is.
        shapes: By the same parts.
    """

    tensors: Mapping[str, str]
    shapes: Mapping[str, Shape]

    @property
    def kind(self) -> str | None:
        """``lora``, ``loha``, ``lokr``, ``weight``, ``bias`` or ``whole``, a weight that stands in
        for the layer's; None if something is missing."""
        there = self.tensors.keys()
        for kind, needed in _NEEDED:
            if needed <= there:
                return kind
        if _is_kronecker(there):
            return "lokr"
        return next((kind for kind in ("weight", "bias", "whole") if kind in there), None)

    @property
    def is_plain_lora(self) -> bool:
        """Whether it is a LoRA that isn't one of DoRA."""
        return self.kind == "lora" and not self.tensors.keys() & {"magnitude", "dora_scale"}

    @property
    def size(self) -> tuple[int, int] | None:
        """Rows and columns of the change as a matrix: outputs, and inputs times the kernel.

        Returns:
            Columns are 0 where only the bias changes; None if something is missing, or doesn't go
            together.
        """
        kind = self.kind
        try:
            if kind is None or not _fits(self.shapes):
                return None
            return _SIZES[kind](self.shapes)
        except IndexError:
            return None


_NEEDED: tuple[tuple[str, frozenset[str]], ...] = (
    ("lora", frozenset({"down", "up"})),
    ("loha", frozenset({"w1_a", "w1_b", "w2_a", "w2_b"})),
)


def group_tensors(shapes: Mapping[str, Shape]) -> tuple[dict[str, LayerParts], list[str]]:
    """The changes in a file, by the layers' names as the file writes them.

    Args:
        shapes: Of the file's tensors.
    Returns:
        The changes, and the names of tensors that are no part of one.
    """
    parts_by_stem: dict[str, dict[str, str]] = {}
    others = []
    for name in shapes:
        stem, part = _split(name)
        if part is None:
            others.append(name)
        else:
            parts_by_stem.setdefault(stem, {})[part] = name
    changes = {
        stem: LayerParts(parts, {part: shapes[name] for part, name in parts.items()})
        for stem, parts in parts_by_stem.items()
    }
    for stem in [stem for stem, change in changes.items() if change.kind is None]:
        others += changes.pop(stem).tensors.values()
    if all(change.kind == "whole" for change in changes.values()):
        # Whole models have such, too.
        others += [name for change in changes.values() for name in change.tensors.values()]
        changes = {}
    return changes, others


def is_adapter(names: Iterable[str]) -> bool:
    """Whether the names of a file's tensors are those of an adapter."""
    return bool(group_tensors(dict.fromkeys(names, ()))[0])


def _split(name: str) -> tuple[str, str | None]:
    for suffix, part in _SUFFIXES:
        match = suffix.search(name)
        if match is not None:
            return name[: match.start()], part
    return name, None


def _fits(shapes: Mapping[str, Shape]) -> bool:
    """Whether what is multiplied has the ranks for it, and alpha is one number."""
    joints = [
        (shapes[left][left_side], shapes[right][right_side])
        for left, left_side, right, right_side in _JOINTS
        if left in shapes and right in shapes
    ]
    if "mid" not in shapes and {"down", "up"} <= shapes.keys():
        joints.append((shapes["up"][1], shapes["down"][0]))
    for first, core, second in (("w1_a", "t1", "w1_b"), ("w2_a", "t2", "w2_b")):
        if first in shapes and core not in shapes:
            joints.append((shapes[first][1], shapes[second][0]))
    if "right_a" in shapes and "right_core" not in shapes:
        joints.append((shapes["right_a"][1], shapes["right_b"][0]))
    return all(left == right for left, right in joints) and prod(shapes.get("alpha", ())) == 1


_JOINTS = (
    ("up", 1, "mid", 0),
    ("mid", 1, "down", 0),
    ("w1_a", 0, "t1", 0),
    ("t1", 1, "w1_b", 0),
    ("w2_a", 0, "t2", 0),
    ("t2", 1, "w2_b", 0),
    ("left_a", 1, "left_b", 0),
    ("right_a", 0, "right_core", 0),
    ("right_core", 1, "right_b", 0),
)
"""Dimensions that are multiplied with each other, where both are there."""


def _is_kronecker(parts: Iterable[str]) -> bool:
    there = set(parts)
    return all(side in there or {f"{side}_a", f"{side}_b"} <= there for side in ("left", "right"))


def _flat(shape: Shape) -> tuple[int, int]:
    return shape[0], prod(shape[1:])


def _low_rank_size(shapes: Mapping[str, Shape]) -> tuple[int, int]:
    # With a core between them, of a convolution, the kernel is the core's.
    kernel = prod(shapes["mid"][2:]) if "mid" in shapes else 1
    return shapes["up"][0], prod(shapes["down"][1:]) * kernel


def _hadamard_size(shapes: Mapping[str, Shape]) -> tuple[int, int]:
    if "t1" in shapes:
        # Here the first factor's columns are the layer's rows: see `changes.Hadamard`.
        return shapes["w1_a"][1], shapes["w1_b"][1] * prod(shapes["t1"][2:])
    return shapes["w1_a"][0], prod(shapes["w1_b"][1:])


def _kronecker_size(shapes: Mapping[str, Shape]) -> tuple[int, int]:
    left = shapes.get("left") or (shapes["left_a"][0], shapes["left_b"][1])
    if "right" in shapes:
        right = _flat(shapes["right"])
    elif "right_core" in shapes:
        kernel = prod(shapes["right_core"][2:])
        right = shapes["right_a"][1], shapes["right_b"][1] * kernel
    else:
        right = shapes["right_a"][0], prod(shapes["right_b"][1:])
    return left[0] * right[0], left[1] * right[1]


_SIZES: Mapping[str, Callable[[Mapping[str, Shape]], tuple[int, int]]] = {
    "lora": _low_rank_size,
    "loha": _hadamard_size,
    "lokr": _kronecker_size,
    "weight": lambda shapes: _flat(shapes["weight"]),
    "bias": lambda shapes: (shapes["bias"][0], 0),
    "whole": lambda shapes: _flat(shapes["whole"]),
}
