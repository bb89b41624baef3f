"""What adapter files call the layers: prefixes that name a module, dots or underscores.

Imports no torch.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

DENOISERS = ("unet", "transformer", "transformer_2")
"""Names of the modules that denoise."""
ENCODERS = ("text_encoder", "text_encoder_2", "text_encoder_3", "text_encoder_4")
"""Names of the modules that encode prompts."""


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
    _Prefix("lora_unet_", DENOISERS, True),
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
    )
)
