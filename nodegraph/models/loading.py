"""Load the component of a recipe, in full or with weights kept in half precision.

Half precision widens to float32 exactly, so results are the same as with widened weights, bit for
bit. The weights take half the memory, and each use takes a little longer.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from threading import local
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from nodegraph.core.values import (
    ControlNet,
    DiffusionModel,
    ImageEncoder,
    Recipe,
    TextEncoder,
    Vae,
    VisionNetwork,
)
from nodegraph.core.weight_files import PICKLES, SAFETENSORS, file_suffix
from nodegraph.errors import InvalidFile, InvalidValue
from nodegraph.families import diffusers_folder as layout
from nodegraph.families.base import Family, Part
from nodegraph.families.building import (
    build_module,
    build_tokenizer,
    building_from,
    clip_tokenizer,
    diffusers_module,
    library_class,
    move_with_tables,
    transformers_module,
)
from nodegraph.families.checkpoint_parts import (
    CHECKPOINT,
    CheckpointPart,
    checkpoint_part,
    part_names,
    part_prefix,
    recipe_parts,
)
from nodegraph.families.components import (
    Autoencoder,
    Component,
    ControlNetwork,
    Denoiser,
    TextModel,
)
from nodegraph.families.family_checks import check_has_vae
from nodegraph.families.file_tokenizers import gemma_tokenizer
from nodegraph.families.helper_networks import DEPTH_ANYTHING, SAM, SAM3
from nodegraph.families.helper_recipes import (
    FrameInterpolationModel,
    LatentClassifier,
    LatentUpscaleModel,
    UpscaleModel,
)
from nodegraph.families.registry import get_family, get_latent_format
from nodegraph.families.scheduler_file import scheduler_config
from nodegraph.families.vocabulary import MERGES, missing_tokenizer_error
from nodegraph.models.frame_interpolation import load_frame_interpolator
from nodegraph.models.helper_files import (
    classifier_bytes,
    frame_interpolator_bytes,
    upscaler_bytes,
)
from nodegraph.models.model_recipes import checking_digests, recipe_settings
from nodegraph.models.noisy_classifier import load_classifier
from nodegraph.models.preview_decoders import load_preview_decoder, preview_decoder_bytes
from nodegraph.models.sam3_files import load_sam3
from nodegraph.models.upscaling import load_upscaler
from nodegraph.models.vae_files import PreviewDecoder
from nodegraph.models.vision_networks import foreground_bytes, load_depth, load_foreground, load_sam
from nodegraph.weights.joined_files import header_of, joined_headers, joined_shapes
from nodegraph.weights.lazy import diffusers, transformers
from nodegraph.weights.precision.module_quantization import apply_storage
from nodegraph.weights.precision.quantized_weights import set_compute_device
from nodegraph.weights.precision.storage import StoredTensor, bytes_in_memory, recipe_storage
from nodegraph.weights.safetensors_header import Shapes
from nodegraph.weights.weight_files import PRECISIONS, read_tensors

_WIDENED = frozenset(
    (
        "UNet2DConditionModel",
        "AutoencoderKL",
        "AutoencoderTiny",
        "CLIPTextModel",
        "CLIPTextModelWithProjection",
    )
)
"""Classes that can be held so."""

_BUILT_HERE = (
    PreviewDecoder,
    UpscaleModel,
    FrameInterpolationModel,
    LatentClassifier,
    VisionNetwork,
)
"""Recipes of networks that are no class of diffusers or transformers."""

HALVES = {"F16": "float16", "BF16": "bfloat16"}
"""As the safetensors format names them."""


def load_compact(recipe: Recipe) -> Component:
    """As `load_component` on the CPU, with the weights in the precision of the recipe's files.

    Raises:
        InvalidFile: `compact_bytes` gives None for it, or as for `load_component`.
    """
    with checking_digests(recipe):
        half = _half_precision(recipe)
        if half is None:
            raise InvalidFile(f"{recipe.source} is not stored in half precision throughout")
        component = load_component(replace(recipe, dtype=half), "cpu")
    for module in component.modules.values():
        _upcast_on_use(module)
    return component


def compact_bytes(recipe: Recipe) -> int | None:
    """Bytes that a recipe's component takes if its weights stay as its files hold them.

    Returns:
        None where that makes no difference, or isn't possible without one in the results.
    Raises:
        InvalidFile: A file is missing or damaged.
    """
    half = _half_precision(recipe)
    if half is None:
        return None
    narrow, wide = PRECISIONS[half].itemsize, PRECISIONS[recipe.dtype].itemsize
    shapes = (shape for _, shape, _ in stored_tensors(recipe))
    return sum(math.prod(shape) * (narrow if _is_large(shape) else wide) for shape in shapes)


def _half_precision(recipe: Recipe) -> str | None:
    """The half precision of all of a recipe's files, if it is to be computed in float32."""
    if recipe.dtype != "float32" or recipe_storage(recipe) or not _is_known(recipe):
        return None
    kinds = {
        kind for _, _, kind in stored_tensors(recipe) if not kind.startswith(("I", "U", "BOOL"))
    }
    return HALVES.get(kinds.pop()) if len(kinds) == 1 else None


def _is_known(recipe: Recipe) -> bool:
    """Whether all of its modules are of classes whose layers do nothing else with their weights.

    Others, such as T5's, compute in the precision that a weight says.
    """
    if isinstance(recipe, _BUILT_HERE):
        return False
    return all(_WIDENED.issuperset(part.classes) for part in recipe_parts(recipe))


def _is_large(shape: Sequence[int]) -> bool:
    """Whether a tensor is worth to be kept narrow: biases and norms are a thousandth of all."""
    return len(shape) > 1


class _Linear(nn.Linear):
    """Widens its weights while it computes."""

    def forward(self, input: Tensor) -> Tensor:
        return functional.linear(input, _upcast(self.weight, input.dtype), self.bias)


class _Conv2d(nn.Conv2d):
    """Widens its weights while it computes."""

    def forward(self, input: Tensor) -> Tensor:
        weight = _upcast(self.weight, input.dtype)
        output: Tensor = self._conv_forward(input, weight, self.bias)
        return output


class _Embedding(nn.Embedding):
    """Widens what it picks."""

    def forward(self, input: Tensor) -> Tensor:
        return super().forward(input).to(torch.float32)


_NARROW: dict[type[nn.Module], type[nn.Module]] = {
    nn.Linear: _Linear,
    nn.Conv2d: _Conv2d,
    nn.Embedding: _Embedding,
}


def _upcast_on_use(module: nn.Module) -> None:
    """Let a module in half precision compute in float32, with the large weights as they are."""
    for layer in list(module.modules()):
        narrow = _NARROW.get(type(layer))
        layer.__class__ = narrow or type(layer)
        for name, tensor in [*layer.named_parameters(recurse=False)]:
            if narrow is None or not _is_large(tensor.shape):
                setattr(layer, name, nn.Parameter(tensor.float(), requires_grad=False))
        for name, buffer in [*layer.named_buffers(recurse=False)]:
            if buffer.is_floating_point():
                setattr(layer, name, buffer.float())
    set_compute_device(module, "cpu", torch.float32)


_SCRATCH = local()
"""For each thread the memory of the layer that is at work: new memory for each layer would cost
several times what widening costs. It is as large as the largest layer was."""


def _upcast(weight: Tensor, dtype: torch.dtype) -> Tensor:
    """A weight for one layer's computation, until the next one is asked for in this thread."""
    if torch.is_grad_enabled():
        # It is kept for the way back.
        return weight.to(dtype)
    scratch: Tensor | None = getattr(_SCRATCH, "memory", None)
    if scratch is None or scratch.dtype != dtype or len(scratch) < weight.numel():
        _SCRATCH.memory = None
        with torch.inference_mode(False):
            _SCRATCH.memory = scratch = torch.empty(weight.numel(), dtype=dtype, device="cpu")
    return scratch[: weight.numel()].view(weight.shape).copy_(weight)


Held = TypeVar("Held", bound=Component)


def load_component(recipe: Recipe, device: str) -> Component:
    """Load the component that a recipe describes on a device, in eval mode.

    Raises:
        InvalidFile: A file is missing or damaged, or changed since the recipe was created.
        InvalidValue: This kind of recipe has no component.
    """
    makers: dict[type[Recipe], Callable[[Any], Component]] = {
        DiffusionModel: _denoiser,
        TextEncoder: _text_model,
        Vae: _autoencoder,
        ImageEncoder: lambda recipe_part: Component(_modules(recipe_part), recipe_part.family),
        ControlNet: lambda recipe_part: ControlNetwork(_modules(recipe_part), recipe_part.family),
        LatentClassifier: load_classifier,
        PreviewDecoder: lambda recipe_part: load_preview_decoder(recipe_part, device),
        UpscaleModel: load_upscaler,
        FrameInterpolationModel: load_frame_interpolator,
        LatentUpscaleModel: lambda upsampler: Component(_modules(upsampler), upsampler.family),
        VisionNetwork: _vision_network,
    }
    maker = makers.get(type(recipe))
    if maker is None or recipe.dtype not in PRECISIONS:
        raise InvalidValue(
            f"cannot load a {type(recipe).__name__} in {recipe.dtype}",
            expected="a diffusion model, text encoder, VAE, ControlNet, preview decoder, upscale "
            "model, frame interpolation model or vision network in " + ", ".join(PRECISIONS),
        )
    if recipe.is_derived:
        raise InvalidValue(
            f"loading {recipe.source} does not apply its adapters and speed options",
            hint="Load the recipe's base, and apply them to it.",
        )
    # The component serves others later, who may want gradients: none of its tensors is an inference
    # tensor, whatever mode the caller is in.
    with torch.inference_mode(False):
        # What is made holds no file, so from here on it is what the recipe says, whatever happens.
        with checking_digests(recipe):
            component = maker(recipe)
        for module in component.modules.values():
            apply_storage(module, recipe_storage(recipe), PRECISIONS[recipe.dtype])
            module.eval().requires_grad_(False)
        return move_component(component, device)


def _vision_network(recipe: VisionNetwork) -> Component:
    loaders = {DEPTH_ANYTHING: load_depth, SAM: load_sam, SAM3: load_sam3}
    return loaders.get(recipe.family, load_foreground)(recipe)


def move_component(component: Held, device: str) -> Held:
    """Move a component to another device and return it."""
    for module in component.modules.values():
        move_with_tables(module, device)
    return component


def estimate_bytes(recipe: Recipe) -> int:
    """Bytes that a recipe's component needs in memory, from the files' headers only.

    Raises:
        InvalidFile: A file is missing or damaged.
    """
    if isinstance(recipe, PreviewDecoder):
        return preview_decoder_bytes(recipe)
    if isinstance(recipe, UpscaleModel):
        return upscaler_bytes(recipe.path)
    if isinstance(recipe, FrameInterpolationModel):
        return frame_interpolator_bytes(recipe)
    if isinstance(recipe, VisionNetwork):
        return foreground_bytes(recipe)
    if isinstance(recipe, LatentClassifier):
        return classifier_bytes(recipe)
    return bytes_in_memory(stored_tensors(recipe), recipe.dtype, recipe_storage(recipe))


def stored_tensors(recipe: Recipe) -> list[StoredTensor]:
    """Names, shapes and types of a component's tensors, from the files' headers alone.

    Returns:
        Types as the safetensors format names them; of pickled ones empty.
    Raises:
        InvalidFile: A file is missing or damaged.
    """
    return [item for part in recipe_parts(recipe) for item in _stored(recipe, part)]


def _stored(recipe: Recipe, part: Part) -> list[StoredTensor]:
    files = [Path(path) for path in recipe.paths(part.role)]
    if part.conditioner and not _has_config(files):
        return []  # it lies in the denoiser's file, and is counted with it
    alone = [] if _has_config(files) else _files_alone(recipe, part)
    beginnings = part_names(recipe, part, joined_shapes(alone)) if alone else ("",)
    weights = alone or [path for path in files if path.suffix != ".json"]
    return [
        (name, shape, header.dtypes.get(name, ""))
        for _, before, header in joined_headers(weights)
        for name, shape in header.shapes.items()
        if f"{before}{name}".startswith(beginnings)
    ]


def _has_config(files: Sequence[Path]) -> bool:
    return any(path.name == layout.CONFIG for path in files)


def _files_alone(recipe: Recipe, part: Part) -> list[Path]:
    """The files without configuration that a part is in; none where the recipe has no such part."""
    return [Path(path) for path in recipe.paths(part.role) or recipe.paths(CHECKPOINT)]


def _modules(recipe: Recipe) -> dict[str, nn.Module]:
    return {
        part.role: _module(recipe, part)
        for part in recipe_parts(recipe)
        if recipe.paths(part.role) or not part.optional
    }


def _module(recipe: Recipe, part: Part) -> nn.Module:
    files = [Path(path) for path in recipe.paths(part.role)]
    if _has_config(files):
        as_stored = bool(recipe_storage(recipe))
        return build_module(
            part.classes, files, recipe.dtype, module=part.module, as_stored=as_stored
        )
    return build_without_config(recipe, part)


def build_without_config(recipe: Recipe, part: Part) -> nn.Module:
    """A part in files without configuration: its layout is told by their headers anew.

    Raises:
        InvalidFile: A file is missing or damaged, or holds another part.
    """
    files = _files_alone(recipe, part)
    path = files[0]
    with building_from(path):
        shapes = joined_shapes(files)
        prefix = part_prefix(recipe, part, shapes)
        checkpoint = checkpoint_part(part, shapes, prefix)
        kind = library_class(checkpoint.class_name, part.module)
        beginnings = checkpoint.layout.name_beginnings(prefix)
        own = {name: shape for name, shape in shapes.items() if name.startswith(beginnings)}
        wide = _float32_tensors(kind, checkpoint, own)
        as_stored = bool(recipe_storage(recipe))
        tensors_read = _joined_tensors(files, recipe.dtype, beginnings, wide, as_stored=as_stored)
        tensors = checkpoint.convert(tensors_read)
        if issubclass(kind, diffusers.ModelMixin):
            stated = checkpoint.layout.stated(header_of(path).metadata, checkpoint.config)
            config = {**checkpoint.config, **stated}
            return diffusers_module(kind, config, tensors, path, strict=True)
        config = kind.config_class(**checkpoint.config)
        return transformers_module(kind, config, tensors, path, strict=True)


def _joined_tensors(
    files: Sequence[Path],
    dtype: str,
    beginnings: tuple[str, ...],
    wide: Sequence[str],
    *,
    as_stored: bool,
) -> dict[str, Tensor]:
    """Those whose names begin so, by names as of `joined_headers`; `wide` are names, too."""
    joined: dict[str, Tensor] = {}
    for path, before, _ in joined_headers(files):
        plain = [name.removeprefix(before) for name in wide if name.startswith(before)]
        own = "" if before else beginnings
        read = read_tensors([path], dtype, prefix=own, wide=plain, as_stored=as_stored)
        joined |= {f"{before}{name}": tensor for name, tensor in read.items()}
    return joined


def _float32_tensors(kind: Any, checkpoint: CheckpointPart, shapes: Shapes) -> list[str]:
    """The tensors of a file that their class of diffusers wants in float32 whatever the rest is,
    as far as they only change their names."""
    layers = set(getattr(kind, "_keep_in_fp32_modules", None) or ())
    if not layers:
        return []
    placeholders = {name: torch.empty(shape, device="meta") for name, shape in shapes.items()}
    names = {id(tensor): name for name, tensor in placeholders.items()}
    made = checkpoint.convert(placeholders)
    wanted = [item for name, item in made.items() if layers.intersection(name.split("."))]
    return [names[id(item)] for item in wanted if id(item) in names]


def _denoiser(recipe: DiffusionModel) -> Denoiser:
    config, settings = scheduler_config(recipe), recipe_settings(recipe)
    parts = get_family(recipe.family).denoisers
    conditioners = frozenset(part.role for part in parts if part.conditioner)
    return Denoiser(_modules(recipe), recipe.family, config, settings, conditioners)


def _autoencoder(recipe: Vae) -> Autoencoder:
    check_has_vae(get_latent_format(recipe.family))
    modules, settings = _modules(recipe), recipe_settings(recipe)
    if not settings:
        return Autoencoder(modules, recipe.family)
    module: Any = modules["vae"]
    own = {name: module.config[name] for name in settings if name in module.config}
    module.register_to_config(**settings)
    return Autoencoder(modules, recipe.family, file_config=own)


def _text_model(recipe: TextEncoder) -> TextModel:
    family = get_family(recipe.family)
    _check_whole(recipe, family)
    tokenizers = {
        part.role: _tokenizer(recipe, part)
        for part in family.tokenizers
        if recipe.paths(part.role) or not part.optional
    }
    modules = _modules(recipe)
    for encoder, part in zip(family.encoders, family.tokenizers, strict=False):
        if encoder.role in modules and not _has_config(_paths(recipe, encoder)):
            _fit_tokenizer(recipe, tokenizers[part.role], modules[encoder.role], part)
    return TextModel(modules, recipe.family, tokenizers, recipe_settings(recipe))


def _paths(recipe: Recipe, part: Part) -> list[Path]:
    return [Path(path) for path in recipe.paths(part.role)]


def _fit_tokenizer(recipe: TextEncoder, tokenizer: Any, module: Any, part: Part) -> None:
    """Bring a tokenizer to what an encoder without configuration takes.

    Raises:
        InvalidFile: It has words that the encoder doesn't know.
    """
    embeddings = module.get_input_embeddings()
    if not isinstance(embeddings, nn.Embedding):
        # What sees images knows no words.
        return
    known = embeddings.num_embeddings
    if len(tokenizer) > known:
        raise InvalidFile(
            f"the tokenizer in {recipe.paths(part.role)[0]} has {len(tokenizer)} tokens, "
            f"more than the {known} of {recipe.source}",
            hint="It belongs to another model: replace it with the right one.",
        )
    if isinstance(tokenizer, transformers.CLIPTokenizer):
        tokenizer.model_max_length = module.config.max_position_embeddings


def _check_whole(recipe: TextEncoder, family: Family) -> None:
    """Refuse what folders leave out for others to give, before anything is read."""
    missing = next(
        (part for part in family.encoders if part.apart and not _has(recipe, part)), None
    )
    if missing is not None:
        raise InvalidFile(
            f"{recipe.source} has no {missing.files[0].title}, which it also needs to read prompts",
            hint="Use the text encoder of a LoadTextEncoder: choose this folder there, and a "
            f"file of {missing.files[0].title}.",
        )


def _has(recipe: TextEncoder, part: Part) -> bool:
    return bool(recipe.paths(part.role) or recipe.paths(CHECKPOINT))


def _tokenizer(recipe: TextEncoder, part: Part) -> Any:
    files = [Path(path) for path in recipe.paths(part.role)]
    if files == [MERGES]:
        return clip_tokenizer(MERGES, part.padding)
    if files and file_suffix(files[0]) in (SAFETENSORS, *PICKLES):
        return gemma_tokenizer(files[0])
    if files:
        return build_tokenizer(part.classes, files)
    raise missing_tokenizer_error(part, recipe.source)
