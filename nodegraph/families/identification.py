"""Identify models and parts in files and folders by tensor names, shapes and configs.

Imports no torch, and reads no weights. The tensor names are those of ComfyUI
(``comfy/model_detection.py``) and of the models' own code.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from math import prod
from pathlib import Path
from typing import NamedTuple

from nodegraph.errors import InvalidFile
from nodegraph.families.base import Config, Family
from nodegraph.families.film_layout import is_film
from nodegraph.families.helper_networks import (
    LATENT_UPSAMPLER,
    is_depth,
    is_foreground,
    is_sam,
    is_sam3,
    is_upscaler,
)
from nodegraph.families.registry import (
    BUILT_IN,
    FAMILIES,
    brought_families,
    call_family,
    candidates,
    families_of_pipeline,
)
from nodegraph.weights.safetensors_header import READABLE_HINT, Shapes, find_packed_form
from nodegraph.weights.single_files.autoencoders import half_name
from nodegraph.weights.single_files.base import FileLayout, PrefixCache
from nodegraph.weights.single_files.clip import SIGLIP
from nodegraph.weights.single_files.renamed_layouts import PREFIXES

LOAD_MODEL = "LoadModel"
LOAD_DENOISER = "LoadDiffusionModel"
LOAD_ENCODER = "LoadTextEncoder"
LOAD_VAE = "LoadVae"
LOAD_CONTROL = "LoadControlNet"
LOAD_IP_ADAPTER = "LoadIPAdapter"
LOAD_GLIGEN = "LoadGLIGEN"
LOAD_REDUX = "LoadRedux"
LOAD_LORA = "LoadLora"
LOAD_PIPELINE = "LoadPipeline"
LOAD_INVERSION = "LoadTextualInversion"
LOAD_UPSCALER = "LoadUpscaleModel"
LOAD_LATENT_UPSCALER = "LoadLatentUpscaleModel"
LOAD_FRAME_INTERPOLATOR = "LoadFrameInterpolationModel"
LOAD_VISION = "LoadVisionModel"


NO_READER = (
    "which neither nodegraph, nor an installed family, nor diffusers reads. The package that "
    "brings it may be missing or broken: see `nodegraph doctor`"
)
"""End of the title of a pipeline class that is not known."""


class StandalonePart(NamedTuple):
    """A part that a file holds.

    Attributes:
        family: One that has such a part.
        layout: How it lies there.
        prefix: Before the names of its tensors.
        node: The node that takes it.
    """

    family: Family
    layout: FileLayout
    prefix: str
    node: str


def find_denoisers(shapes: Shapes) -> list[StandalonePart]:
    """The denoiser that a file holds, for each family that it may be of; the likeliest first.

    Args:
        shapes: Of all tensors in the file.
    """
    return _in_families(LOAD_DENOISER, _of_denoiser, shapes, candidates(shapes))


def denoisers_of_class(folder: Path, class_name: str, shapes: Shapes) -> list[StandalonePart]:
    """As `find_denoisers`, of the families that have the network class that a folder's config.json
    names.

    Raises:
        InvalidFile: The families that have such tensors have other classes.
    """
    alike = find_denoisers(shapes)
    own = [part for part in alike if has_class(part.family, class_name)]
    if own or not alike:
        return own
    named = (name for name, family in FAMILIES.items() if has_class(family, class_name))
    brought = [part for name in named if (part := find_family_denoiser(name, shapes)) is not None]
    if brought:
        return brought
    classes = (name for part in alike for name in part.family.denoisers[0].classes)
    raise InvalidFile(
        f"{folder} holds {alike[0].layout.title}, but its config.json names {class_name}",
        expected=" or ".join(dict.fromkeys(classes)),
        hint="Use the weights and the config.json of the same model.",
    )


def has_class(family: Family, class_name: str) -> bool:
    """Whether a family has denoisers of a class."""
    return any(class_name in part.classes for part in family.denoisers)


def find_family_denoiser(family: str, shapes: Shapes) -> StandalonePart | None:
    """The denoiser that a file holds if it is of a family; None if it isn't, or none is so
    called."""
    known = FAMILIES.get(family)
    if known is None:
        return None
    shapes = PrefixCache.of(shapes)
    identified = call_family(known, lambda each: _matching_layout(_of_denoiser(each), shapes), None)
    return None if identified is None else StandalonePart(known, *identified, LOAD_DENOISER)


def find_parts(shapes: Shapes) -> list[StandalonePart]:
    """The part that a file holds, for each family that has it: a denoiser before a text encoder,
    that before a VAE."""
    denoisers = find_denoisers(shapes)
    if denoisers:
        return denoisers
    kinds = ((LOAD_ENCODER, _of_encoders), (LOAD_VAE, _of_vae))
    parts = (_in_families(*kind, shapes, BUILT_IN.values()) for kind in kinds)
    return next(filter(None, parts), [])


def find_control_networks(shapes: Shapes) -> list[StandalonePart]:
    """The control network that a file holds, for each family that it may lead."""
    return _in_families(LOAD_CONTROL, _of_control, shapes, candidates(shapes))


def _in_families(
    node: str,
    layouts: Callable[[Family], Iterable[FileLayout]],
    shapes: Shapes,
    built_in: Iterable[Family],
) -> list[StandalonePart]:
    shapes = PrefixCache.of(shapes)
    for families in (built_in, _brought()):
        parts = [
            StandalonePart(family, *identified, node)
            for family in families
            if (
                identified := call_family(
                    family, lambda each: _matching_layout(layouts(each), shapes), None
                )
            )
            is not None
        ]
        if parts:
            return parts
    return []


def _brought() -> Iterator[Family]:
    """Families of packages, which are looked for once this is read."""
    yield from brought_families().values()


def _of_denoiser(family: Family) -> Iterable[FileLayout]:
    return family.denoisers[0].files


def _of_encoders(family: Family) -> Iterable[FileLayout]:
    return [layout for part in family.encoders for layout in part.files]


def _of_control(family: Family) -> Iterable[FileLayout]:
    return () if family.control is None else family.control.files


def _of_vae(family: Family) -> Iterable[FileLayout]:
    sound = (layout for part in family.latent.sound_parts for layout in part.files)
    return (*family.latent.files, *sound)


def _matching_layout(
    layouts: Iterable[FileLayout], shapes: Mapping[str, tuple[int, ...]]
) -> tuple[FileLayout, str] | None:
    """The first layout that matches, and the prefix that it does behind."""
    for layout in layouts:
        prefix = layout.prefix(shapes)
        if prefix is not None:
            return layout, prefix
    return None


UNKNOWN = "not a model that is known here"


class Identification(NamedTuple):
    """What a file or folder turned out to be.

    Attributes:
        title: In words.
        family: Of a whole model; None where it is none, or isn't supported.
        node: The node that takes it, where that isn't LoadModel.
        parts: Of a part of a model by itself, for each family that has it.
        hint: What to use in its place.
    """

    title: str
    family: Family | None = None
    node: str | None = None
    parts: Sequence[StandalonePart] = ()
    hint: str | None = None

    def instead_of(self, wanted: str) -> str:
        """What it is, where something else is wanted."""
        return self.title if self.title == UNKNOWN else f"{self.title}, not {wanted}"

    @property
    def refusal(self) -> str:
        """What it is, as part of a sentence that says why LoadModel does not take it."""
        if self.node:
            return f"{self.title}: use {self.node} for it"
        says_so = self.title.endswith(("known here", NO_READER))
        return self.title if says_so else f"{self.title}, which cannot be loaded"


def supported(*, in_files: bool = False) -> str:
    """The families whose models are opened whole, in words: those that have encoders.

    Args:
        in_files: Leave out those of which only folders are read, never one file of all parts.
    """
    families = [family for family in FAMILIES.values() if family.encoders]
    return ", ".join(
        family.title for family in families if not in_files or _has_whole_files(family)
    )


def _has_whole_files(family: Family) -> bool:
    """Whether each part of a family is read from a single file, as `Family.recognises` asks for."""
    if family.single_file is not None:
        return True
    needed = [part.files for part in family.encoders if not part.optional]
    return all((family.denoisers[0].files, *needed, family.latent.files))


def identify_folder(class_name: str, configs: Mapping[str, Config]) -> Identification:
    """What a diffusers folder holds, by its pipeline class and its parts' configurations."""
    description = f"a {class_name}"
    for family in families_of_pipeline(class_name):
        failed: str | None = f"{description} whose family `{family.name}` failed to check it"
        mismatch = call_family(family, lambda each: each.mismatch(configs), failed)
        if mismatch is None:
            return Identification(family.title, family)
        description = mismatch
    return Identification(description)


_MARKS: Mapping[str, tuple[str, ...]] = {
    "the layers of Wan VACE without its model": ("vace_patch_embedding.weight",),
    "an unknown Wan Animate": (
        "face_adapter.fuser_blocks.0.k_norm.weight",
        "pose_patch_embedding.weight",
    ),
    "Wan S2V": ("casual_audio_encoder.encoder.final_linear.weight",),
    "HuMo": ("audio_proj.audio_proj_glob_1.layer.bias",),
    "an unknown camera-controlled Wan": ("control_adapter.conv.weight",),
    "an unknown Wan with reference images": ("ref_conv.weight",),
    "Sana Sprint": ("cfg_embedder.mlp.0.weight", "time_embed.guidance_embedder.linear_1.weight"),
    "PixArt-α": (
        "csize_embedder.mlp.0.weight",
        "adaln_single.emb.resolution_embedder.linear_1.weight",
    ),
    "NewBie": ("clip_text_pooled_proj.0.weight",),
    "a HunyuanVideo 1.5 of super resolution": (
        "cond_type_embedding.weight",
        "cond_type_embed.weight",
    ),
    "a HunyuanVideo of a kind that is not known here": (
        "txt_in.individual_token_refiner.blocks.0.norm1.weight",
        "context_embedder.token_refiner.refiner_blocks.0.norm1.weight",
    ),
    "the transformer of NucleusMoE-Image without its noise schedule": (
        "transformer_blocks.0.encoder_proj.weight",
    ),
    "PRX Pixel": ("resolution_embedder.mlp.in_layer.weight",),
    "Stable Cascade": ("clip_txt_mapper.weight", "clip_mapper.weight"),
    "a model on the network of Cosmos Predict2.5": ("crossattn_proj.0.weight",),
    "a model on the network of Cosmos Predict2": ("blocks.0.mlp.layer1.weight",),
    "the diffusion decoder of LTX-2.5 (its file with `conv` in the name is supported)": (
        "decoder.conv_in_x_t.weight",
        "vae.decoder.conv_in_x_t.weight",
    ),
    "a version of LTX-2 that is not known here": (
        "audio_patchify_proj.weight",
        "audio_proj_in.weight",
    ),
    "ACE-Step (version 1)": ("genre_embedder.weight",),
    "HiDream-O1": ("t_embedder1.mlp.0.weight",),
    # As published, as saved from several devices, and as repackaged for ComfyUI.
    "RIFE": tuple(
        f"{block}.conv0.0.0.weight"
        for block in ("block0", "module.block0", "flownet.block0", "blocks.0")
    ),
    "a tiny VAE of videos (TAEHV)": ("decoder.22.bias",),
    # With a pooled branch in its blocks, which AutoencoderTiny of diffusers lacks.
    "the tiny VAE of Flux.2 (TAEF2)": (
        "decoder.layers.2.pool.0.weight",
        "taesd_decoder.3.pool.0.weight",
        "3.pool.0.weight",
        "11.pool.0.weight",
    ),
}
"""By title: tensors of which one tells the model, where no supported one was found."""


def find_unsupported_title(shapes: Shapes) -> str | None:
    """What a file holds that isn't read here, in words; None if that isn't known either."""
    for title, marks in _MARKS.items():
        if any(f"{prefix}{mark}" in shapes for mark in marks for prefix in PREFIXES):
            return title
    return None


_CLIP_WIDTHS = ((768,), (1024,), (1280,))
_MOST_ROWS = 75
"""Tokens that a prompt has room for."""


def identify_tensors(shapes: Shapes) -> Identification:
    """What a single file holds, by the names and shapes of its tensors."""
    shapes = PrefixCache.of(shapes)
    # Before LoRAs, as SVDQuant has low-rank layers beside its packed weights.
    if form := find_packed_form(shapes):
        return Identification(f"a model quantized with {form}", hint=READABLE_HINT)
    for title, node, matches in _NO_MODELS:
        if matches(shapes):
            return Identification(title, node=node)
    controls = find_control_networks(shapes)
    if controls:
        return identify_parts(shapes, controls)
    if _any(*_CONTROLS)(shapes):
        return Identification("a ControlNet of a kind that is not known here")
    for families in (candidates(shapes), _brought()):
        for family in families:
            if call_family(family, lambda each: each.recognises(shapes), otherwise=False):
                return Identification(family.title, family)
    # The other parts of a whole model are of no use where its denoiser is not supported.
    unsupported = None if find_denoisers(shapes) else find_unsupported_title(shapes)
    if unsupported:
        return Identification(unsupported)
    parts = find_parts(shapes)
    if parts:
        return identify_parts(shapes, parts)
    for title, matches in _OTHERS:
        if matches(shapes):
            return Identification(title)
    return Identification(_near(shapes))


def identify_parts(shapes: Shapes, parts: Sequence[StandalonePart]) -> Identification:
    """What a file holds that has these parts of models."""
    title = " or ".join(dict.fromkeys(part.layout.title for part in parts))
    alone = all(name.startswith(parts[0].prefix) for name in shapes)
    more = "" if alone else " next to parts that do not complete it to a whole model"
    return Identification(f"{title}{more}", node=parts[0].node, parts=parts)


def _near(shapes: Shapes) -> str:
    first = shapes.get("model.diffusion_model.input_blocks.0.0.weight")
    if first is None or len(first) != 4:
        return UNKNOWN
    if first[1] != 4:
        from nodegraph.families.unet import channel_mismatch_text

        return channel_mismatch_text(first[1], 4)
    parts = {"text encoder": "cond_stage_model.", "VAE": "first_stage_model."}
    missing = [part for part, prefix in parts.items() if not _any(prefix)(shapes)]
    return f"Stable Diffusion 1.x without its {' and its '.join(missing)}"


def _any(*beginnings: str) -> Callable[[Shapes], bool]:
    return lambda shapes: any(name.startswith(beginnings) for name in shapes)


def _any_within(*parts: str) -> Callable[[Shapes], bool]:
    return lambda shapes: any(part in name for name in shapes for part in parts)


def _bare(*beginnings: str) -> Callable[[Shapes], bool]:
    """A single component saved alone: no name has the prefix of a whole checkpoint."""
    whole = _any("model.diffusion_model.", "cond_stage_model.", "conditioner.")
    starts = _any(*beginnings)
    return lambda shapes: starts(shapes) and not whole(shapes)


def _is_textual_inversion(shapes: Shapes) -> bool:
    """Whether there is nothing but a few rows as wide as CLIP's embeddings."""
    named = len(shapes) == 1 or shapes.keys() <= {"clip_l", "clip_g"}
    rows = [prod(shape[:-1]) for shape in shapes.values() if shape[-1:] in _CLIP_WIDTHS]
    return named and len(rows) == len(shapes) > 0 and max(rows) <= _MOST_ROWS


def _is_gligen(shapes: Shapes) -> bool:
    """Whether there are gated layers, without the UNet that they are for."""
    has_layers = "position_net.null_position_feature" in shapes
    return has_layers and not _any("time_embed")(shapes)


Matches = Callable[[Shapes], bool]

_NO_MODELS: tuple[tuple[str, str | None, Matches], ...] = (
    ("a LoRA", LOAD_LORA, _any_within(".lora_up.", ".lora_down.", ".lora_A.", ".lora_B.")),
    ("a LoHa", LOAD_LORA, _any_within(".hada_w1_a")),
    ("a LoKr", LOAD_LORA, _any_within(".lokr_w1", ".lokr_w2")),
    ("Flux.1 Redux", LOAD_REDUX, _any("redux_up.")),
    ("SigLIP's vision model", LOAD_REDUX, lambda shapes: SIGLIP.prefix(shapes) is not None),
    ("an IP-Adapter", LOAD_IP_ADAPTER, _any("ip_adapter.1.")),
    ("GLIGEN layers", LOAD_GLIGEN, _is_gligen),
    ("a Control-LoRA", None, lambda shapes: "lora_controlnet" in shapes),
    ("a ControlNet-LLLite", None, _any("lllite_unet_")),
    ("a textual inversion", LOAD_INVERSION, _any("emb_params", "string_to_param")),
    ("a textual inversion", LOAD_INVERSION, _is_textual_inversion),
    ("an upscale model", LOAD_UPSCALER, is_upscaler),
    (LATENT_UPSAMPLER.title, LOAD_LATENT_UPSCALER, LATENT_UPSAMPLER.matches),
    ("FILM, a frame interpolation model", LOAD_FRAME_INTERPOLATOR, is_film),
    ("a model that masks the foreground", LOAD_VISION, is_foreground),
    ("Depth Anything", LOAD_VISION, is_depth),
    ("SAM", LOAD_VISION, is_sam),
    ("SAM 3", LOAD_VISION, is_sam3),
    ("half of a tiny VAE", LOAD_VAE, lambda shapes: half_name(shapes) is not None),
)
_CONTROLS = (
    "control_model.",
    "controlnet_cond_embedding.",
    "controlnet_down",
    "controlnet_blocks.",
    "control_all_x_embedder.",
    "control_layers.",
)
"""Beginnings of names in control networks."""
_CHANGED = "that is incomplete or was modified"

_OTHERS: tuple[tuple[str, Matches], ...] = (
    (f"Stable Diffusion XL {_CHANGED}", _any("conditioner.embedders.")),
    (f"Stable Diffusion 3 {_CHANGED}", _any_within("joint_blocks.0.context_block.")),
    (f"Flux.1 {_CHANGED}", _any_within("double_blocks.0.img_attn.")),
    (f"Stable Diffusion 2.x {_CHANGED}", _any("cond_stage_model.model.")),
    (
        "a VAE of a version of LTX that is not known here",
        _any("per_channel_statistics.mean-of-", "vae.per_channel_statistics.mean-of-"),
    ),
    ("a VAE only", _bare("decoder.conv_in.", "first_stage_model.")),
    ("a text encoder only", _bare("text_model.encoder.")),
    ("a UNet only", _bare("down_blocks.0.", "input_blocks.0.")),
)
