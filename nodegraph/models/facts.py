"""Facts about a model before it is loaded: formats, sizes, weights, attention support."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import prod
from typing import TYPE_CHECKING, Literal, NamedTuple, TypedDict

from nodegraph.core.weight_files import SAFETENSORS, file_suffix
from nodegraph.errors import InvalidFile, InvalidValue
from nodegraph.families.base import Config, Family
from nodegraph.families.image_conditioning import VIDEO_MEDIA
from nodegraph.families.key_values import KEY_VALUES, prompt_numbers
from nodegraph.families.needed_media import LACKING, MASKED_IMAGE
from nodegraph.families.registry import FAMILIES, get_family
from nodegraph.families.scheduler_file import SOUND_CLASSES, override_schedule
from nodegraph.models.model_files import (
    Options,
    model_configs,
    model_dtype,
    model_schedule,
    model_settings,
    port_files,
    port_precision,
    port_prefixes,
    port_storage,
    settings_of,
    vae_storage,
)
from nodegraph.models.model_sources import ModelSource
from nodegraph.weights.memory import peak_offloaded_bytes
from nodegraph.weights.precision.storage import STORAGE, StoredTensor, bytes_in_memory
from nodegraph.weights.safetensors_header import read_header
from nodegraph.weights.single_files.base import DAMAGED, fault_text

if TYPE_CHECKING:
    from typing_extensions import NotRequired, Unpack

    from nodegraph.families.latent_formats import LatentFormat

ScaleOf = Literal["each word", "all words"]


def check_attention_support(family: str) -> None:
    """Refuse models of other families.

    Raises:
        InvalidValue: On port ``model``.
    """
    known = FAMILIES.get(family)
    if known is None or not known.records_attention:
        raise InvalidValue(
            "word maps work only with UNets whose cross-attention reads the prompt",
            port="model",
            given=family,
            expected="Stable Diffusion 1, 2 or XL",
        )


class StorageOptions(TypedDict, total=False):
    """How a model's weights are to be held; see `open_model`."""

    dtype: str
    allow_pickle: bool
    device: str
    storage: str


Held = tuple[float, ...]
"""Numbers, each of as many bytes as what is computed in has."""
_PORTS = ("model", "text_encoder", "vae")


class ModelFacts(TypedDict):
    """What is known of a model without loading it.

    `format` names its latents, which have `latent_channels` in cells of `downscale` pixels; sides
    of images are multiples of `multiple` pixels. `width` and `height` are the size in pixels
    that it was trained on, `noise` is the kind of noise it was trained on (``discrete`` or
    ``flow``), `temporal` the frames that share a latent frame (0 of models of images),
    `context_width` the width of the embeddings it takes, 0 if it doesn't say, `guides_itself`
    whether it was distilled from guidance, `takes_scale` whether it is told the guidance scale,
    `needs_negative` whether the empty prompt stands in for
    a negative one, `positions` the numbers of its `PositionLimits`, empty if any latent fits,
    `sound_levels` whether the sound of its videos has noise levels of its own, `takes` what its
    prompts may have besides text: ``references``, a ``control image``, and of `VIDEO_MEDIA`;
    `needs` what they must have of these, a key of `needed_media.LACKING`, or nothing,
    `decodes_sound` whether the VAE has parts for the sound of videos, if it may lack them.

    What its parts hold besides weights is told in numbers (`nodegraph.weights.memory`):
    `held_step` for each cell and besides, and how often a cell uses each parameter; `held_decoding`
    and `held_encoding` for each pixel of an image, of a video, and besides of each frame of one.
    Those of the autoencoder aren't there where it isn't known. `key_value_numbers` are those that a
    key-value cache keeps of a prompt, for models that can have one.
    """

    family: str
    format: str
    latent_channels: int
    downscale: int
    multiple: int
    temporal: int
    width: int
    height: int
    noise: str
    prediction_type: str
    context_width: int
    guides_itself: bool
    takes_scale: bool
    needs_negative: bool
    held_step: Held
    positions: tuple[int | None, ...]
    sound_levels: bool
    takes: tuple[str, ...]
    needs: str
    decodes_sound: NotRequired[bool]
    held_decoding: NotRequired[Held]
    held_encoding: NotRequired[Held]
    key_value_numbers: NotRequired[int]


def model_facts(
    source: ModelSource, *, prediction_type: str = "auto", zero_terminal_snr: str = "auto"
) -> ModelFacts:
    """Properties of a model, read from its configuration only.

    Args:
        prediction_type, zero_terminal_snr: As for `open_model`.
    Raises:
        InvalidFile: The configuration is damaged, or contains an unsupported setting.
        InvalidValue: No such prediction type.
    """
    try:
        schedule = override_schedule(model_schedule(source), prediction_type, zero_terminal_snr)
        denoiser, vae = model_configs(source)
        family = get_family(source.family)
        facts = family_facts(family, denoiser, schedule, model_settings(source, family))
        if vae is not None:
            facts["latent_channels"] = family.latent.latent_channels(vae)
            facts["held_decoding"], facts["held_encoding"] = coding_memory(family.latent, vae)
            if family.latent.sound_parts:
                from nodegraph.families.checkpoint_parts import CHECKPOINT  # of few models alone

                roles = {part.role for part in port_files(source, family, (), allow_pickle=True)[2]}
                is_shared = CHECKPOINT in roles  # the parts of such a file are not told apart
                sound = {part.role for part in family.latent.sound_parts}
                if not is_shared:
                    facts["decodes_sound"] = not sound.isdisjoint(roles)
        return facts
    except DAMAGED as error:
        message = f"the configuration of {source.path} is damaged: {fault_text(error)}."
        raise InvalidFile(message, hint="Copy the model again.") from error


class StoredWeights(NamedTuple):
    """The weights of a part of a model as its files hold them, and as what they are to be held."""

    tensors: Sequence[StoredTensor]
    dtype: str
    storage: str

    @property
    def bytes(self) -> int:
        """What they take in memory, about."""
        return bytes_in_memory(self.tensors, self.dtype, self.storage)

    @property
    def parts(self) -> int:
        """Of these, the most that is on a device at once if they are brought there in parts."""
        sizes = {name: prod(shape) for name, shape, _ in self.tensors}
        return self.bytes * peak_offloaded_bytes(sizes) // max(1, sum(sizes.values()))


def weight_bytes(source: ModelSource, **how: Unpack[StorageOptions]) -> dict[str, int]:
    """Bytes that a model's parts take in memory; see `stored_weights`."""
    return {port: stored.bytes for port, stored in stored_weights(source, **how).items()}


def stored_weights(
    source: ModelSource,
    *,
    dtype: str = "auto",
    allow_pickle: bool = False,
    device: str = "cpu",
    storage: str = "auto",
) -> dict[str, StoredWeights]:
    """The weights of a model's parts, from the files' headers alone.

    By the ports of LoadModel. A part in a pickle file is left out, as reading that takes long.

    Args:
        dtype, device, storage: As for `open_model`.
    Raises:
        InvalidFile: A file is missing or damaged.
    """
    weights_by_port = {}
    ports = port_files(source, get_family(source.family), (), allow_pickle=allow_pickle)
    computed = model_dtype(dtype, ports[0], ports[1], device)
    for name, port, prefixes in zip(_PORTS, ports, port_prefixes(source), strict=True):
        # A file that holds all of them is named once for each.
        weights = list(dict.fromkeys(path for part in port for path in part.weights))
        if weights and all(file_suffix(path) == SAFETENSORS for path in weights):
            tensors = [
                (tensor, shape, header.dtypes[tensor])
                for header in map(read_header, weights)
                for tensor, shape in header.shapes.items()
                if tensor.startswith(prefixes)
            ]
            is_vae = name == "vae"
            kept = dict(vae_storage(source, port) if is_vae else port_storage(storage, port))
            precision = port_precision(dtype if is_vae else computed, port, str(device))
            weights_by_port[name] = StoredWeights(tensors, precision, kept.get(STORAGE, ""))
    return weights_by_port


def missing_encoder(source: ModelSource) -> str:
    """The part of its text encoder that a model's folder leaves to others, in words; empty where
    it is whole."""
    parts = get_family(source.family).encoders if source.is_folder else ()
    missing = (item for item in parts if item.apart and not (source.path / item.role).is_dir())
    return next((item.files[0].title for item in missing), "")


def family_facts(
    family: Family, denoiser: Config, schedule: Config, settings: Options
) -> ModelFacts:
    """What is known of a model by the configuration of its denoiser and its noise schedule.

    Args:
        settings: What the denoiser heeds of an index, as its recipe has it.
    Raises:
        KeyError: The configuration lacks something.
    """
    width, height = family.trained_size(denoiser)
    step = family.step_memory(denoiser)
    is_flow = family.noise == "flow"
    taken = frozenset(_media_taken(family, denoiser))
    facts = ModelFacts(
        family=family.name,
        format=family.latent.name,
        latent_channels=family.channels(denoiser),
        downscale=family.latent.spatial,
        multiple=family.multiple,
        temporal=family.latent.temporal,
        width=width,
        height=height,
        noise=family.noise,
        prediction_type="flow" if is_flow else str(schedule.get("prediction_type", "epsilon")),
        context_width=family.context_width(denoiser) or 0,
        guides_itself=family.guides_itself(denoiser, settings_of(settings)),
        takes_scale=family.takes_scale(denoiser),
        needs_negative=family.needs_negative,
        held_step=(step.cell, step.fixed, step.parameter_uses),
        positions=tuple(family.position_limits(denoiser) or ()),
        sound_levels=schedule.get("_class_name") in SOUND_CLASSES,
        takes=tuple(sorted(taken)),
        needs=_media_needed(family, denoiser, taken),
    )
    if KEY_VALUES in family.speedups:
        facts["key_value_numbers"] = prompt_numbers(denoiser)
    return facts


def _media_taken(family: Family, denoiser: Config) -> Iterator[str]:
    """What prompts of a model may have besides text, by the configuration of its denoiser."""
    if "references" in family.image_inputs:
        yield "references"
    # Most such models take the latent of the image beside the noise, in more channels.
    channels = denoiser.get("in_channels"), 2 * (denoiser.get("out_channels") or 0)
    is_wide = channels[0] == channels[1] or "paired" in family.image_inputs
    if "control" in family.image_inputs and is_wide:
        yield "control image"
    if family.fills_masked_image(denoiser):
        yield MASKED_IMAGE
    # What a family does not take at all is found by the node that would add it.
    yield from VIDEO_MEDIA if family.video_inputs is None else family.video_inputs(denoiser)


def _media_needed(family: Family, denoiser: Config, taken: frozenset[str]) -> str:
    """The medium that prompts of a model must have; empty if a text is enough."""
    # A model that sees the control image beside its own makes images of text alone, too.
    by_channels = {"control image"} if "paired" not in family.image_inputs else set()
    needs_video = family.needs_video_input(denoiser)
    needed = taken if needs_video else taken & {*by_channels, MASKED_IMAGE}
    return next((medium for medium in LACKING if medium in needed), "")


def coding_memory(latent: LatentFormat, vae: Config) -> tuple[Held, Held]:
    """Numbers that decoding and encoding hold for each pixel, by a VAE's configuration."""
    decoding, encoding = latent.decoding(vae), latent.encoding(vae)
    return (
        (decoding.image, decoding.video, decoding.frame),
        (encoding.image, encoding.video, encoding.frame),
    )
