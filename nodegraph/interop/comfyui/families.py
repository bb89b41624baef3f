"""Model families by ComfyUI loader type and file name.

ComfyUI looks into files and so needs no names of families; here a loader of parts is told one.
What no name of a file tells is said in ComfyUI's word, which no family has: validation then tells
that there is no such model here.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from nodegraph.core.weight_files import without_ending
from nodegraph.families.index import INDEX

ENCODER_TYPES = {name: entry.comfyui_type for name, entry in INDEX.items() if entry.comfyui_type}
"""What loaders of text encoders there call the kind of model, by the family that it is here."""

ENCODER_FAMILIES = {kind: name for name, kind in reversed(ENCODER_TYPES.items())} | {
    kind: name for name, kind in ENCODER_TYPES.items() if name.replace("-", "_") == kind
}
"""The family of each kind: that of its name, or the first."""

_BY_FILE: tuple[tuple[str, str, str], ...] = (
    ("stable_diffusion", r"clip_?h|sd2|open_?clip", "sd2"),
    ("stable_diffusion", r"clip_?g", "sdxl"),
    ("stable_diffusion", r"qwen_?3_?0?\.?6b", "anima"),
    ("lumina2", r"qwen", "z-image"),
    ("flux2", r"qwen_?3", "flux2-klein"),
    ("flux2", r"ministral|ernie", "ernie-image"),
    ("qwen_image", r"qwen_?3_?vl", "qwen-image-21"),
    ("qwen_image", r"qwen_?3|ling", "qwen_image"),
    ("stable_audio", r"t5.?gemma", "stable-audio-3"),
    ("minimax", r"music", "minimax-music3"),
    ("ltxv", r"gemma.?3", "ltx2"),
    ("ltxv", r"gemma.?4.?12b", "ltx25"),
    ("ltxv", r"gemma", "ltxv"),
)
"""Kinds that stand for several families: what a file's name has in it, and what that means."""

_CLIP = re.compile(r"clip|vit-?l|sd1|v1-5|text_encoder|model")

_SOUND = (
    (r"stable.?audio.?3", "stable-audio-3"),
    (r"stable.?audio", "stable-audio"),
)
_COMPOSED = (r"minimax.?music.?3", "minimax-music3")
_MODELS = (
    (r"qwen.?image.?layered", "qwen-image-layered"),
    (r"qwen.?image.?edit.?(2509|2511|plus)|edit.?plus", "qwen-image-edit-plus"),
    (r"qwen.?image.?edit|qwen.?edit", "qwen-image-edit"),
    (r"qwen.?image.?2[._]?1(?!\d)", "qwen-image-21"),
    (r"flux.?2.*klein", "flux2-klein"),
    (r"flux.?2", "flux2"),
    (r"flux.?3.*klein", "flux3-klein"),
    (r"z.?image.?omni", "z-image-omni"),
    (r"z.?image", "z-image"),
    (r"wan.?2.2.*5b", "wan22-5b"),
    (r"cosmos.?predict.?2(?![._]5)", "cosmos-predict2"),
    (r"wan.*animate.?2(?!\d)", "wan-animate-2"),
    (r"sky.?reels.?v2.*df", "skyreels-v2-df"),
    (r"(^|[^a-z])wan.?2", "wan"),
    (r"hunyuan.?video.?v2.?replace", "hunyuan-video-i2v"),
    (r"hunyuan.?video.?(custom|foley|avatar)", ""),
    (r"hunyuan.?video.?image.?to.?video", "hunyuan-video-i2v-v1"),
    (r"hunyuan.?video.?t2v|skyreels.?(v1|hunyuan)", "hunyuan-video"),
    (r"longcat.?image.?edit", "longcat-image-edit"),
    (r"longcat.?image", "longcat-image"),
    (r"kandinsky.?5.*i2i", "kandinsky5-edit"),
    (r"(^|[^a-z])anima([^a-z]|$)", "anima"),
    (r"fibo.?2", "fibo2"),
    (r"joy.?(ai.?)?image", "joyimage-edit"),
    *_SOUND,
    _COMPOSED,
)

ONE_STACK = frozenset(("wan", "wan22-5b", "wan-animate-2", "skyreels-v2", "skyreels-v2-df"))
"""Families whose models have one stack of blocks, so that numbers of "single" ones say nothing."""

_EDITING = ("qwen-image-edit", "longcat-image-edit", "wan-animate-2", "hunyuan-video-i2v")
"""Families whose diffusion models look as those of families that don't edit, don't begin with an
image, or are not driven by a video."""

_WRITERS = (
    (r"qwen_?3_?vl.?4b", "krea2"),
    (r"qwen_?3_?vl.?8b", "qwen-image-21"),
    (r"qwen_?3_?8b", "flux2-klein"),
    (r"qwen_?3_?4b", "z-image"),
    (r"qwen_?3_?0?6b", "anima"),
    (r"qwen_?2[._]?5_?vl", "qwen-image"),
    (r"gemma_?2_?2b", "lumina2"),
    (r"ministral.?3|ernie", "ernie-image"),
)
"""The families whose text encoder a language model's file holds."""
RAW_WRITERS = frozenset(("ernie-image",))
"""Families whose language models ComfyUI asks without a chat template, as prompts there hold it."""
_LANGUAGE_MODELS = re.compile(
    r"qwen_?3[._][5-9]|gemma_?[34](?!\d)|(?<!ernie.image.)prompt.?enhancer"
)
"""Files of language models that no family here reads prompts by."""

_WITHOUT_ENCODER = ((r"(^|[/_ -])ltx.?2", "ltx2"), (r"(^|[/_ -])ltx.?v", "ltx"), *_SOUND)
"""Whole models whose files hold all parts but the text encoder."""

_LATENTS = (
    (r"qwen.?image.?2[._]?1(?!\d).*vae", "qwen-image-21"),
    (r"qwen.?image.?layered.*vae", "qwen-image-layered"),
    (r"qwen.?image.*vae", "qwen-image"),
    (r"wan.?2.?1.*vae", "wan"),
    (r"(^|/)ae\.|flux[^2]?1?[^2]?(vae|ae)|(^|/)flux_ae", "flux"),
    (r"sdxl|xl.?vae", "sdxl"),
    (r"sd3", "sd3"),
    (r"vae-ft-|sd15|sd1.5|kl-f8|840000|orangemix|blessed", "sd"),
)


def encoder_family(kind: str, files: Sequence[str]) -> str:
    """The family whose prompts text encoders read.

    Args:
        kind: As the loader there says it.
        files: Names of their files; none if they aren't known.
    """
    named = " ".join(files).lower()
    for of_kind, pattern, family in _BY_FILE:
        if kind == of_kind and re.search(pattern, named):
            return family
    if kind == "stable_diffusion" and named and not _CLIP.search(named):
        return without_ending(files[0].rpartition("/")[2])
    # Some write the name of a family for which ComfyUI has no kind.
    name = kind.replace("_", "-")
    return ENCODER_FAMILIES.get(kind, name if name in INDEX else kind)


def model_family(file: str) -> str:
    """The family of a diffusion model, where its file alone doesn't tell: else ``auto``."""
    family = _first(_MODELS, file)
    # Others are told by what the file holds.
    return family if family.startswith(_EDITING) else "auto"


def family_of_name(file: str) -> str:
    """The family that a diffusion model's name tells; empty if it tells none."""
    return _first(_MODELS, file)


def writer_family(file: str) -> str:
    """The family whose text encoder this language model is; empty if the name tells none."""
    return "" if is_language_model(file) else _first(_WRITERS, file)


def is_language_model(file: str) -> bool:
    """Whether the name is that of a language model that is no family's text encoder here."""
    return _LANGUAGE_MODELS.search(file.lower()) is not None


def family_without_encoder(file: str) -> str:
    """The family of a whole model whose file holds no text encoder, by its name; else empty."""
    return _first(_WITHOUT_ENCODER, file)


def latent_format(file: str) -> str:
    """The format of latents that an autoencoder reads, by its name; ``auto`` if that tells none."""
    return _first(_LATENTS, file) or "auto"


def _first(patterns: Sequence[tuple[str, str]], file: str) -> str:
    named = file.lower()
    return next((family for pattern, family in patterns if re.search(pattern, named)), "")
