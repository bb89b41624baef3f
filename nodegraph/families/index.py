"""Index of the built-in families: identify one without importing it.

Importing a family imports all that it computes with. `python docs/generate_families.py` writes
`_FAMILIES` and ``index.json`` from the families' modules, in the order that they have, and appends
new ones.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from nodegraph.families.base import Family


class IndexedFamily(NamedTuple):
    """A family, not imported yet.

    Attributes:
        family: Imports it.
        latent: Name of its latent format.
        pipelines: Classes of diffusers whose folders hold it.
        denoisers, controls: Classes that its denoiser and its control networks may be of.
        marks: Parts of tensor names in files of it or its control networks; see `FileLayout.marks`.
        control_modes, text_width, lora_signs, comfyui_type, resolutions, accepts_prompts_of: As in
            `Family`, by names.
        encoder_files: Whether its text encoders are read from files of their own.
    """

    family: Callable[[], Family]
    latent: str
    pipelines: tuple[str, ...] = ()
    denoisers: tuple[str, ...] = ()
    marks: tuple[str, ...] = ()
    controls: tuple[str, ...] = ()
    control_modes: tuple[str, ...] = ()
    text_width: int = 0
    lora_signs: tuple[tuple[str, str], ...] = ()
    comfyui_type: str = ""
    resolutions: tuple[str, ...] = ()
    encoder_files: bool = True
    accepts_prompts_of: tuple[str, ...] = ()


_FAMILIES: Mapping[str, Callable[[], Family]] = {
    "sd1": lambda: import_module("nodegraph.families.stable_diffusion").SD1,
    "sd2": lambda: import_module("nodegraph.families.stable_diffusion").SD2,
    "sdxl": lambda: import_module("nodegraph.families.sdxl").SDXL,
    "sdxl-refiner": lambda: import_module("nodegraph.families.sdxl").SDXL_REFINER,
    "sd3": lambda: import_module("nodegraph.families.sd3").SD3,
    "pixart-sigma": lambda: import_module("nodegraph.families.pixart").PIXART_SIGMA,
    "flux": lambda: import_module("nodegraph.families.flux").FLUX,
    "sana": lambda: import_module("nodegraph.families.sana").SANA,
    "ltx": lambda: import_module("nodegraph.families.ltx").LTX,
    "lumina2": lambda: import_module("nodegraph.families.lumina2").LUMINA2,
    "wan": lambda: import_module("nodegraph.families.wan").WAN,
    "chroma": lambda: import_module("nodegraph.families.chroma").CHROMA,
    "hidream": lambda: import_module("nodegraph.families.hidream").HIDREAM,
    "wan22-5b": lambda: import_module("nodegraph.families.wan").WAN22_5B,
    "qwen-image": lambda: import_module("nodegraph.families.qwen_image").QWEN_IMAGE,
    "qwen-image-edit": lambda: import_module("nodegraph.families.qwen_image_edit").QWEN_IMAGE_EDIT,
    "qwen-image-edit-plus": lambda: (
        import_module("nodegraph.families.qwen_image_edit").QWEN_IMAGE_EDIT_PLUS
    ),
    "hunyuan-image": lambda: import_module("nodegraph.families.hunyuan_image").HUNYUAN_IMAGE,
    "flux2": lambda: import_module("nodegraph.families.flux2").FLUX2,
    "z-image": lambda: import_module("nodegraph.families.z_image").Z_IMAGE,
    "flux2-klein": lambda: import_module("nodegraph.families.flux2").FLUX2_KLEIN,
    "molecules": lambda: import_module("nodegraph.families.item_family").MOLECULES,
    "shapes": lambda: import_module("nodegraph.families.item_family").SHAPES,
    "sounds": lambda: import_module("nodegraph.families.sounds").SOUNDS,
    "motions": lambda: import_module("nodegraph.families.item_family").MOTIONS,
    "auraflow": lambda: import_module("nodegraph.families.auraflow").AURAFLOW,
    "ltx2": lambda: import_module("nodegraph.families.ltx2").LTX2,
    "qwen-image-21": lambda: import_module("nodegraph.families.qwen_image_21").QWEN_IMAGE_21,
    "krea2": lambda: import_module("nodegraph.families.krea2").KREA2,
    "ovis-image": lambda: import_module("nodegraph.families.ovis_image").OVIS_IMAGE,
    "longcat-image": lambda: import_module("nodegraph.families.longcat_image").LONGCAT_IMAGE,
    "longcat-image-edit": lambda: (
        import_module("nodegraph.families.longcat_image").LONGCAT_IMAGE_EDIT
    ),
    "ace-step": lambda: import_module("nodegraph.families.ace_step").ACE_STEP,
    "mochi": lambda: import_module("nodegraph.families.mochi").MOCHI,
    "cosmos-predict2": lambda: import_module("nodegraph.families.cosmos").COSMOS_PREDICT2,
    "cosmos": lambda: import_module("nodegraph.families.cosmos").COSMOS,
    "stable-audio": lambda: import_module("nodegraph.families.stable_audio").STABLE_AUDIO,
    "stable-audio-3": lambda: import_module("nodegraph.families.stable_audio_3").STABLE_AUDIO_3,
    "ernie-image": lambda: import_module("nodegraph.families.ernie_image").ERNIE_IMAGE,
    "ideogram4": lambda: import_module("nodegraph.families.ideogram4").IDEOGRAM4,
    "hunyuan-video-15": lambda: (
        import_module("nodegraph.families.hunyuan_video_15").HUNYUAN_VIDEO_15
    ),
    "hunyuan-video": lambda: import_module("nodegraph.families.hunyuan_video").HUNYUAN_VIDEO,
    "hunyuan-video-i2v": lambda: (
        import_module("nodegraph.families.hunyuan_video_i2v").HUNYUAN_VIDEO_I2V
    ),
    "hunyuan-video-i2v-v1": lambda: (
        import_module("nodegraph.families.hunyuan_video_i2v").HUNYUAN_VIDEO_I2V_V1
    ),
    "kandinsky5-image": lambda: import_module("nodegraph.families.kandinsky5").KANDINSKY5_IMAGE,
    "kandinsky5-video": lambda: import_module("nodegraph.families.kandinsky5").KANDINSKY5_VIDEO,
    "kandinsky5-edit": lambda: import_module("nodegraph.families.kandinsky5").KANDINSKY5_EDIT,
    "anima": lambda: import_module("nodegraph.families.anima").ANIMA,
    "fibo2": lambda: import_module("nodegraph.families.fibo2").FIBO2,
    "joyimage-edit": lambda: import_module("nodegraph.families.joyimage").JOYIMAGE_EDIT,
    "cogview4": lambda: import_module("nodegraph.families.cogview4").COGVIEW4,
    "cogvideox": lambda: import_module("nodegraph.families.cogvideox").COGVIDEOX,
    "sana-video": lambda: import_module("nodegraph.families.sana_video").SANA_VIDEO,
    "sana-video-720p": lambda: import_module("nodegraph.families.sana_video").SANA_VIDEO_720,
    "minimax-h3": lambda: import_module("nodegraph.families.minimax_h3").MINIMAX_H3,
    "prx-dc": lambda: import_module("nodegraph.families.prx").PRX_DC,
    "prx": lambda: import_module("nodegraph.families.prx").PRX,
    "nucleusmoe-image": lambda: (
        import_module("nodegraph.families.nucleusmoe_image").NUCLEUSMOE_IMAGE
    ),
    "flux3-klein": lambda: import_module("nodegraph.families.flux3").FLUX3_KLEIN,
    "qwen-image-layered": lambda: (
        import_module("nodegraph.families.qwen_image_layered").QWEN_IMAGE_LAYERED
    ),
    "minimax-music3": lambda: import_module("nodegraph.families.minimax_music3").MINIMAX_MUSIC3,
    "longcat-audio": lambda: import_module("nodegraph.families.longcat_audio").LONGCAT_AUDIO,
    "ltx25": lambda: import_module("nodegraph.families.ltx2").LTX25,
    "kolors": lambda: import_module("nodegraph.families.kolors").KOLORS,
    "hunyuan-dit": lambda: import_module("nodegraph.families.hunyuan_dit").HUNYUAN_DIT,
    "glm-image": lambda: import_module("nodegraph.families.glm_image").GLM_IMAGE,
    "stable-cascade": lambda: import_module("nodegraph.families.stable_cascade").STABLE_CASCADE,
    "stable-cascade-decoder": lambda: (
        import_module("nodegraph.families.stable_cascade").STABLE_CASCADE_DECODER
    ),
    "wan-animate-2": lambda: import_module("nodegraph.families.wan_animate2").WAN_ANIMATE2,
    "shap-e": lambda: import_module("nodegraph.families.shap_e").SHAP_E,
    "shap-e-image": lambda: import_module("nodegraph.families.shap_e").SHAP_E_IMAGE,
    "skyreels-v2-df": lambda: import_module("nodegraph.families.skyreels").SKYREELS_V2_DF,
    "skyreels-v2": lambda: import_module("nodegraph.families.skyreels").SKYREELS_V2,
    "z-image-omni": lambda: import_module("nodegraph.families.z_image_omni").Z_IMAGE_OMNI,
    "cosmos-predict25": lambda: import_module("nodegraph.families.cosmos25").COSMOS_PREDICT25,
    "cosmos-transfer25": lambda: (
        import_module("nodegraph.families.cosmos_transfer25").COSMOS_TRANSFER25
    ),
}
"""Modules stand here as literals: from the source it is read what code is behind a node."""


def _indexed() -> Iterator[tuple[str, IndexedFamily]]:
    records = json.loads((Path(__file__).parent / "index.json").read_text("utf-8"))
    for name, import_family in _FAMILIES.items():
        fields = {key: _frozen(value) for key, value in records[name].items()}
        yield name, IndexedFamily(import_family, **fields)


def _frozen(value: Any) -> Any:
    return tuple(map(_frozen, value)) if isinstance(value, list) else value


INDEX: Mapping[str, IndexedFamily] = MappingProxyType(dict(_indexed()))
"""By name, in the order in which files are asked whether they are of one."""
FORMATS: Mapping[str, str] = {INDEX[name].latent: name for name in reversed([*INDEX])}
"""The first family of each latent format, by its name."""
