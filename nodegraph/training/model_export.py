"""Save a whole model: as a diffusers folder, or as a single file in the original layout.

LoRAs and other adapters are merged into the weights that are written.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from inspect import signature
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor, nn

from nodegraph.core.context import Context
from nodegraph.core.digests import digest_bytes
from nodegraph.core.file_digests import FILE_DIGESTS
from nodegraph.core.values import DiffusionModel, Recipe, TextEncoder, Vae
from nodegraph.errors import InvalidValue, OutputError
from nodegraph.families import diffusers_folder as layout
from nodegraph.families.base import Family, Part
from nodegraph.families.building import unfold_weight_norms
from nodegraph.families.checkpoint_parts import recipe_parts
from nodegraph.families.components import Autoencoder, Component, TextModel
from nodegraph.families.cosine_time import COMFYUI_SHIFT
from nodegraph.families.registry import FAMILIES, get_family
from nodegraph.families.scheduler_file import CHOSEN, ENTRIES, SOUND_SHIFT, scheduler_config
from nodegraph.media.images.output_files import SavedFile, check_inside
from nodegraph.media.images.output_names import check_name
from nodegraph.models.adapters.adapter_files import INVERSION
from nodegraph.models.adapters.layer_changes import merged_tensors
from nodegraph.models.ip_adapters.image_prompt_files import IP_ADAPTER
from nodegraph.models.model_recipes import recipe_settings
from nodegraph.training.files import CONFIG, DIFFUSERS_WEIGHTS, TRANSFORMERS_WEIGHTS
from nodegraph.training.model_merging import module_config, stored_precision
from nodegraph.training.options import check_full_weights, check_same_model, without_speed
from nodegraph.weights.lazy import diffusers
from nodegraph.weights.precision.storage import STORAGE
from nodegraph.weights.single_files.autoencoders import vae_to_original
from nodegraph.weights.single_files.base import FileLayout
from nodegraph.weights.single_files.clip import CLIP_H, CLIP_L, clip_to_open_clip, clip_to_original
from nodegraph.weights.single_files.unet import DECLARED_PREDICTION, V_MARK, unet_to_original
from nodegraph.weights.weight_files import PRECISIONS

_SCORE = "requires_aesthetics_score"
"""Entry of the index of models that refine images."""
_NEEDS_CHECKER = "requires_safety_checker"
"""Entry of the index of pipelines with a safety checker, which no saved folder has."""
_OWN_KEYS = frozenset({CHOSEN, ENTRIES, SOUND_SHIFT, COMFYUI_SHIFT})
"""Entries of a noise schedule that no scheduler file has."""
_TOKENIZER = "tokenizer"
_LETTERS = 8
"""Of a digest, at the end of names."""
_ZERO_SNR_MARK = "ztsnr"


@dataclass(frozen=True, slots=True)
class ModelParts:
    """The parts of a model that is saved."""

    model: DiffusionModel
    text_encoder: TextEncoder | None = None
    vae: Vae | None = None

    @property
    def family(self) -> Family:
        return get_family(self.model.family)

    def recipes(self) -> Iterator[tuple[str, Recipe]]:
        """Ports and recipes, without what is not part of the weights, nor the VAE of a model that
        has none."""
        yield "model", without_speed(self.model)
        if self.text_encoder is not None:
            yield "text_encoder", self.text_encoder
        if self.vae is not None and self.family.latent.autoencoders:
            yield "vae", _with_full_weights(self.vae)

    def check(self) -> None:
        """Refuse parts of different models, quantized weights, and adapters that are no weights.

        Raises:
            InvalidValue: Names the port.
        """
        check_same_model(self.model, self.text_encoder, self.vae)
        for port, recipe in self.recipes():
            _check_savable(recipe, port)


def _with_full_weights(recipe: Recipe) -> Recipe:
    """A VAE as it is saved: those of quantized files, which no node loads otherwise, in full."""
    if not isinstance(recipe, Vae):
        return recipe
    return replace(recipe, options=tuple(item for item in recipe.options if item[0] != STORAGE))


def _check_savable(recipe: Recipe, port: str) -> None:
    """Refuse quantized weights, and adapters that are no weights.

    Raises:
        InvalidValue: Names the port.
    """
    check_full_weights(recipe, port, "saved")
    for kind, title in ((IP_ADAPTER, "an IP-Adapter"), (INVERSION, "a textual inversion")):
        if any(item.kind == kind for item in recipe.adapters):
            raise InvalidValue(
                f"{title} cannot be saved as part of a model",
                port=port,
                hint="Link the model from before it was applied, and use its own file.",
            )


def save_single_file(
    ctx: Context, parts: ModelParts, name: str, dtype: str, metadata: Mapping[str, str]
) -> SavedFile:
    """Write a model as one file, as the original code lays it out. A1111 and ComfyUI read it.

    Args:
        name: Beginning of the file's name; part of a digest of its content follows.
        dtype: ``float32``, ``float16`` or ``bfloat16``; ``auto`` is that of the model's files.
        metadata: Texts of the file, such as ``modelspec.title``.
    Raises:
        InvalidValue: The model's family has no such layout, or its configuration differs from the
            one that such files are read with.
        OutputError: The file cannot be written.
    """
    parts.check()
    family = parts.family
    if family.single_file is None:
        titles = [item.title for item in FAMILIES.values() if item.single_file is not None]
        raise InvalidValue(
            f"a {family.title} cannot be saved as a single file",
            port="layout",
            expected=", ".join(titles),
            hint="Choose the layout `folder`.",
        )
    precision = PRECISIONS[_precision(dtype, parts.model)]
    tensors: dict[str, Tensor] = {}
    for _, recipe in parts.recipes():
        with ctx.weights(recipe) as component:
            for part in recipe_parts(recipe):
                if part.role not in component.modules:
                    continue
                module = component.modules[part.role]
                named = _original_names(module, part)
                _check_readable(module, named, part.files, part.role)
                prefix = family.single_file.prefixes[part.role]
                tensors |= {
                    f"{prefix}{key}": _stored(item, precision) for key, item in named.items()
                }
    schedule = scheduler_config(parts.model)
    is_v = schedule.get("prediction_type") == "v_prediction"
    if is_v:
        tensors[V_MARK] = torch.zeros(0)
        if schedule.get("rescale_betas_zero_snr"):
            tensors[_ZERO_SNR_MARK] = torch.zeros(0)
    known = {
        "format": "pt",
        "modelspec.sai_model_spec": "1.0.0",
        "modelspec.architecture": family.single_file.architecture,
        "modelspec.implementation": "https://github.com/Stability-AI/generative-models",
        DECLARED_PREDICTION: "v" if is_v else "epsilon",
        **metadata,
    }
    # The file format does not sort entries, and the name has a digest of the content.
    ordered = dict(sorted(known.items()))
    with _temporary_folder(ctx, name) as (target, folder):
        path = folder / "model.safetensors"
        save_file(_without_shared(tensors), path, metadata=ordered)
        return _moved(path, target, ".safetensors")


def save_component(
    ctx: Context, recipe: Recipe, port: str, name: str, dtype: str
) -> list[SavedFile]:
    """Write a text encoder or VAE alone: one file per module, without its configuration.

    A VAE of Stable Diffusion has the names of the original code, everything else those of its
    library.

    Args:
        port: The port of the recipe, which errors name.
        name: Beginning of the file names. The role follows if there are several modules.
        dtype: As for `save_single_file`.
    Raises:
        InvalidValue: The weights are quantized, or an adapter is not part of the weights.
        OutputError: A file cannot be written.
    """
    recipe = _with_full_weights(recipe)
    _check_savable(recipe, port)
    precision = PRECISIONS[_precision(dtype, recipe)]
    saved = []
    with ctx.weights(recipe) as component:
        for role, module in component.modules.items():
            named = dict(merged_tensors(module))
            if isinstance(module, diffusers.AutoencoderKL):
                # Others, such as Flux.2's, have layers that the original code does not name.
                with suppress(KeyError):
                    named = vae_to_original(named, module.config)
            stored = {key: _stored(item, precision) for key, item in named.items()}
            tensors = unfold_weight_norms(module, stored)
            own = name if len(component.modules) == 1 else f"{name}_{role}"
            with _temporary_folder(ctx, own) as (target, folder):
                path = folder / "part.safetensors"
                save_file(_without_shared(tensors), path, metadata={"format": "pt"})
                saved.append(_moved(path, target, ".safetensors"))
    return saved


def save_folder(ctx: Context, parts: ModelParts, name: str, dtype: str) -> list[SavedFile]:
    """Write a model as a folder in the diffusers layout.

    Raises:
        InvalidValue: A part is missing, diffusers has no pipeline for the family, or the pipeline
            needs a processor of which only the tokenizer is loaded.
        OutputError: The folder cannot be written.
    """
    parts.check()
    family = parts.family
    for port, part in (("text_encoder", parts.text_encoder), ("vae", parts.vae)):
        if part is None and (port != "vae" or family.latent.autoencoders):
            raise InvalidValue(
                "a diffusers folder needs all parts of the model",
                port=port,
                hint="Link this part, or choose the layout `single file`.",
            )
    _check_processors(family)
    schedule = _published_schedule(parts.model)
    pipeline = getattr(diffusers, family.pipelines[0])
    options = signature(pipeline.__init__).parameters
    needs_score = _SCORE in options
    index: dict[str, Any] = {
        "_class_name": pipeline.__name__,
        "_diffusers_version": diffusers.__version__,
        **{name: [None, None] for name in getattr(pipeline, "_optional_components", ())},
        "scheduler": ["diffusers", schedule["_class_name"]],
        **({_SCORE: True} if needs_score else {}),
        **({_NEEDS_CHECKER: False} if _NEEDS_CHECKER in options else {}),
    }
    with _temporary_folder(ctx, name) as (target, folder):
        for _, recipe in parts.recipes():
            if not isinstance(recipe, Vae):
                # Those of an autoencoder are the family's own, which no pipeline takes.
                index.update(_write_settings(parts.model, recipe, folder))
            with ctx.weights(recipe) as component:
                index.update(_write_component(component, recipe, family, folder, dtype))
        _write_json(folder / layout.SCHEDULER / layout.SCHEDULER_FILE, schedule)
        if issubclass(pipeline, diffusers.ModularPipeline):
            _write_json(folder / layout.MODULAR_INDEX, _modular_index(pipeline, index))
        else:
            _write_json(folder / layout.INDEX, index)
        return _moved_folder(folder, target)


def _modular_index(pipeline: Any, index: Mapping[str, Any]) -> dict[str, Any]:
    """An index as modular pipelines have it: each part with its folder, and the pipeline's blocks.

    Parts name no other folder than the index's own, so that it may be moved.
    """
    parts = {
        name: [*kind, {"subfolder": name, "type_hint": kind}]
        for name, kind in index.items()
        if isinstance(kind, list)
    }
    return {**index, "_blocks_class_name": pipeline.default_blocks_name, **parts}


def _check_processors(family: Family) -> None:
    """Refuse families whose folders hold more than is loaded of them.

    A processor is written from an image processor, and the tokenizer that is loaded beside it.
    """
    for part in family.tokenizers:
        if part.processor and not _is_image_processor(part):
            raise InvalidValue(
                f"a {family.title} cannot be saved as a diffusers folder",
                port="layout",
                given=f"a model of which only the tokenizer of its {part.processor} is loaded",
                hint="Save parts with SaveTextEncoder and SaveVae, or copy the original folder.",
            )


def _is_image_processor(part: Part) -> bool:
    return layout.tokenizer_needs(part) == layout.IMAGE_PROCESSOR


def _published_schedule(model: DiffusionModel) -> dict[str, Any]:
    """The scheduler file that the pipeline expects, without what nodegraph alone adds to it."""
    published = get_family(model.family).published_scheduler
    if "_class_name" in published:
        # Levels of another class: the pipeline sets them up itself.
        return dict(published)
    schedule = {
        name: value for name, value in scheduler_config(model).items() if name not in _OWN_KEYS
    }
    return {**schedule, **published}


def _write_settings(model: DiffusionModel, recipe: Recipe, folder: Path) -> dict[str, Any]:
    """Entries of the index; guiders and a second scheduler have folders of their own."""
    entries = recipe_settings(recipe)
    if isinstance(recipe, DiffusionModel):
        schedule = scheduler_config(model)
        if SOUND_SHIFT in schedule:
            sound = {"_class_name": schedule["_class_name"], "shift": schedule[SOUND_SHIFT]}
            entries[layout.SOUND_SCHEDULER] = {**entries.get(layout.SOUND_SCHEDULER, {}), **sound}
    for path in get_family(recipe.family).extra_configs:
        name = Path(path).parent.name
        value = entries.get(name)
        if isinstance(value, Mapping) and "_class_name" in value:
            _write_json(folder / path, value)
            entries[name] = ["diffusers", value["_class_name"]]
    return entries


def _write_component(
    component: Component, recipe: Recipe, family: Family, folder: Path, dtype: str
) -> dict[str, list[str]]:
    """Write the modules and tokenizers of a component; returns their entries of the index."""
    entries = {}
    precision = PRECISIONS[_precision(dtype, recipe)]
    for loaded, module in component.modules.items():
        role = family.vae if loaded == "vae" else loaded
        library = type(module).__module__.partition(".")[0]
        if library not in ("diffusers", "transformers"):
            raise InvalidValue(
                f"diffusers cannot load a {type(module).__name__}",
                port="model",
                expected="a model with a pipeline in diffusers",
            )
        # A pipeline of diffusers may bring a model of transformers, as that of Kolors.
        bases = (base.__module__ for base in type(module).__mro__)
        is_diffusers = not any(base.startswith("transformers.") for base in bases)
        stored = {key: _stored(item, precision) for key, item in merged_tensors(module)}
        tensors = unfold_weight_norms(module, stored)
        (folder / role).mkdir(parents=True)
        file = folder / role / (DIFFUSERS_WEIGHTS if is_diffusers else TRANSFORMERS_WEIGHTS)
        save_file(_without_shared(tensors), file, metadata={"format": "pt"})
        _write_json(folder / role / CONFIG, _file_config(component, recipe, module))
        entries[role] = [_index_library(type(module)), type(module).__name__]
    if isinstance(component, TextModel):
        processors = {part.role: part.processor for part in family.tokenizers}
        for role, tokenizer in component.tokenizers.items():
            if processors[role]:
                component.tokenizers[_TOKENIZER].save_pretrained(folder / role)
            tokenizer.save_pretrained(folder / role)
            name = processors[role] or type(tokenizer).__name__
            entries[role] = [_tokenizer_library(type(tokenizer)), name]
    return entries


def _file_config(component: Component, recipe: Recipe, module: nn.Module) -> dict[str, Any]:
    """A module's configuration, without what its family replaces of an autoencoder's."""
    config = module_config(module)
    if not isinstance(component, Autoencoder):
        return config
    replaced = recipe_settings(recipe)
    kept = {name: value for name, value in config.items() if name not in replaced}
    return {**kept, **component.file_config}


def _tokenizer_library(kind: type) -> str:
    """As `_index_library`; what prepares images is of transformers, whoever defines it here."""
    is_diffusers = kind.__module__.startswith("diffusers.")
    return _index_library(kind) if is_diffusers else "transformers"


def _index_library(kind: type) -> str:
    """The library of a class, as ``model_index.json`` has it: of classes that diffusers does not
    export, the folder of their pipeline."""
    library, *folders = kind.__module__.split(".")
    return folders[1] if library == "diffusers" and folders[0] == "pipelines" else library


def _precision(dtype: str, recipe: Recipe) -> str:
    return stored_precision(recipe) if dtype == "auto" else dtype


def _stored(tensor: Tensor, precision: torch.dtype) -> Tensor:
    kind = precision if tensor.is_floating_point() else tensor.dtype
    return tensor.detach().to("cpu", kind).contiguous()


def _without_shared(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same, each in memory of its own, as the file format wants it."""
    known: set[int] = set()
    own = {}
    for name, tensor in tensors.items():
        own[name] = tensor.clone() if tensor.data_ptr() in known else tensor
        known.add(tensor.data_ptr())
    return own


def _original_names(module: Any, part: Part) -> dict[str, Tensor]:
    tensors = dict(merged_tensors(module))
    try:
        if isinstance(module, diffusers.UNet2DConditionModel):
            return unet_to_original(tensors, module.config)
        if isinstance(module, diffusers.AutoencoderKL):
            return vae_to_original(tensors, module.config)
    except KeyError as error:
        raise _unreadable(part.role, f"it has a layer {error.args[0]}") from error
    kind = part.files[0].name
    if kind == CLIP_L:
        return clip_to_original(tensors)
    return clip_to_open_clip(tensors, last_layer_twice=kind == CLIP_H)


def _check_readable(
    module: nn.Module, tensors: Mapping[str, Tensor], layouts: tuple[FileLayout, ...], role: str
) -> None:
    """Refuse what a reader of the file would take for another network.

    A single file has no configuration: whoever reads it takes that of the published models.

    Raises:
        InvalidValue: It would differ.
    """
    shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    match = next((item for item in layouts if item.matches(shapes)), None)
    if match is None:
        raise _unreadable(role, "its layers differ from the published ones")
    own: Mapping[str, Any] = module_config(module)
    for name, value in match.config(shapes).items():
        if name in own and _plain(own[name], value) != _plain(value, own[name]):
            raise _unreadable(role, f"its {name} is {own[name]} instead of {value}")


def _plain(value: Any, other: Any) -> Any:
    """A value of a configuration; one number may stand for a list of equal ones."""
    if isinstance(value, tuple):
        value = list(value)
    if isinstance(other, list | tuple) and not isinstance(value, list):
        return [value] * len(other)
    return value


def _unreadable(role: str, reason: str) -> InvalidValue:
    return InvalidValue(
        f"this model cannot be saved as a single file: the {role} would be read differently, "
        f"because {reason}",
        port="layout",
        hint="Choose the layout `folder`.",
    )


@contextmanager
def _temporary_folder(ctx: Context, name: str) -> Iterator[tuple[Path, Path]]:
    """The path without a digest, and an empty folder beside it that is gone afterwards.

    Raises:
        InvalidValue: The name is outside the output folder.
        OutputError: It cannot be written.
    """
    check_name(name)
    outputs = ctx.environment.outputs
    target = outputs / name
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        check_inside(outputs, target)
        folder = Path(mkdtemp(prefix=".", dir=target.parent))
    except OSError as error:
        raise OutputError(f"cannot write to {target.parent}: {error.strerror or error}") from error
    try:
        folder.chmod(0o755)
        yield target, folder
    except OSError as error:
        raise OutputError(f"cannot write {target}: {error.strerror or error}") from error
    except SafetensorError as error:
        # It reports a full disk so, for example.
        raise OutputError(f"cannot write {target}: {error}") from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _moved(path: Path, target: Path, suffix: str) -> SavedFile:
    """A finished file under its name, unless the same is there."""
    final = target.with_name(f"{target.name}_{FILE_DIGESTS.digest(path)[:_LETTERS]}{suffix}")
    existed = _is_same(path, final)
    if not existed:
        _flush(path)
        path.replace(final)
    return SavedFile(final, existed=existed)


def _moved_folder(folder: Path, target: Path) -> list[SavedFile]:
    """A finished folder under its name, unless the same is there."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    content = "\n".join(f"{path.relative_to(folder)} {FILE_DIGESTS.digest(path)}" for path in files)
    final = target.with_name(f"{target.name}_{digest_bytes(content.encode())[:_LETTERS]}")
    names = [path.relative_to(folder) for path in files]
    index = Path(layout.index_file(folder).name)
    for path in files:
        _flush(path)
    try:
        folder.rename(final)
        existing = set()
    except OSError:
        if not final.is_dir():
            raise
        # The same model was saved before; what lacks in its folder is filled in.
        existing = {name for name in names if _is_same(folder / name, final / name)}
        for name in names:
            if name not in existing:
                (final / name).parent.mkdir(parents=True, exist_ok=True)
                (folder / name).replace(final / name)
    ordered = [index, *(name for name in names if name != index)]
    return [SavedFile(final / name, existed=name in existing) for name in ordered]


def _is_same(new: Path, old: Path) -> bool:
    return old.is_file() and FILE_DIGESTS.digest(old) == FILE_DIGESTS.digest(new)


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n", "utf-8")
