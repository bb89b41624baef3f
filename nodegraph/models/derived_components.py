"""Components derived from others, whose weights they share: with adapters, and sped up."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor, nn

from nodegraph.core.file_digests import FILE_DIGESTS
from nodegraph.core.values import Adapter, DiffusionModel, ModelAdapter, Recipe
from nodegraph.errors import InvalidFile, InvalidValue
from nodegraph.families.components import Component, Denoiser, TextModel
from nodegraph.families.key_values import KEY_VALUES
from nodegraph.families.scheduler_file import SAMPLED_ON, scheduler_config
from nodegraph.families.speed_options import (
    TORCHAO,
    KeyValues,
    SpeedOptions,
    find_step_cache,
    read_speed_options,
    usable_attention,
)
from nodegraph.models.adapters.adapter_files import (
    FUSED,
    INVERSION,
    MIXED_MODEL,
    no_match_error,
    read_adapter,
)
from nodegraph.models.adapters.inversions import with_inversion_token
from nodegraph.models.adapters.layer_changes import (
    FullChange,
    Hadamard,
    Kronecker,
    LayerChange,
    LowRank,
    ReplacedWeight,
    layers_of,
    mixed_with,
    rows_of,
    structural_copy,
    with_changes,
)
from nodegraph.models.adapters.layer_matching import OriginalLocation, Spans, match
from nodegraph.models.adapters.tensor_names import LayerParts
from nodegraph.models.gligen import GLIGEN, attach_gligen
from nodegraph.models.ip_adapters.image_prompt_files import IP_ADAPTER
from nodegraph.models.prompt_preprocessing import clip_layer_of
from nodegraph.models.speed.speed_support import (
    AttentionFactors,
    FreeUFactors,
    attention_factors,
    compile_blocks,
    freeu_of,
)
from nodegraph.weights.attached_models import whole_size
from nodegraph.weights.precision.quantized_matmul import multiply_by_torchao
from nodegraph.weights.weight_files import read_tensors

_METADATA = "lora_adapter_metadata"
"""Where diffusers writes peft's settings into a file."""


class AdapterTensors:
    """The tensors of an adapter file in memory.

    Args:
        dtype: Precision to have them in, see `weight_files.PRECISIONS`.
        metadata: Of the file.
    Raises:
        InvalidFile: It can't be read, is damaged or cut short.
    """

    def __init__(self, path: Path, dtype: str, metadata: Mapping[str, str]) -> None:
        self._tensors = read_tensors([path], dtype)
        self._settings = _peft_settings(metadata)
        self._trainer_settings = _trainer_settings(metadata)

    def change(self, stem: str, parts: LayerParts, spans: Spans | None) -> LayerChange:
        """The change of one layer; in DoRA without its lengths.

        Args:
            stem: What the file calls the layer.
            parts: Complete, see `LayerParts.kind`.
            spans: The rows that are wanted; None for all.
        """
        there = {part: self._tensors[name] for part, name in parts.tensors.items()}
        kind = parts.kind
        if kind == "whole":
            return ReplacedWeight(rows_of(there["whole"], spans))
        options: dict[str, Any] = {
            "spans": spans,
            "bias": rows_of(there["bias"], spans) if "bias" in there else None,
            "scale": self._scale(stem, there, str(kind)),
        }
        if kind == "lora":
            return LowRank(
                there["down"], there["up"], there.get("mid"), there.get("up_bias"), **options
            )
        if kind == "loha":
            cores = (there["t1"], there["t2"]) if "t1" in there else None
            first, second = (there["w1_a"], there["w1_b"]), (there["w2_a"], there["w2_b"])
            return Hadamard(first, second, cores, **options)
        if kind == "lokr":
            sides = (_side(there, "left"), _side(there, "right"))
            return Kronecker(*sides, there.get("right_core"), **options)
        return FullChange(there.get("weight"), **options)

    def magnitudes(self, parts: LayerParts, spans: Spans | None) -> tuple[Tensor, bool] | None:
        """DoRA's lengths, and whether they are of rows rather than of input channels.

        Returns:
            None where there are none.
        """
        if "magnitude" in parts.tensors:
            magnitudes = self._tensors[parts.tensors["magnitude"]]
            of_columns = self._trainer_settings.get("adapter_type") == "dora-cols"
            # The trainer's first files have a row of them, and do not name the kind.
            if of_columns or (magnitudes.dim() == 2 and len(magnitudes) == 1 < magnitudes.numel()):
                return magnitudes.flatten(), False
            return rows_of(magnitudes.flatten(), spans), True
        if "dora_scale" not in parts.tensors:
            return None
        magnitudes = self._tensors[parts.tensors["dora_scale"]]
        of_rows = parts.size is not None and magnitudes.shape[0] == parts.size[0]
        return (rows_of(magnitudes.flatten(), spans) if of_rows else magnitudes.flatten()), of_rows

    def _scale(self, stem: str, there: Mapping[str, Tensor], kind: str) -> float:
        rank = _rank(there, kind)
        if rank is None:
            return 1.0
        if "alpha" in there:
            return float(there["alpha"]) / rank
        return self._settings_scale(stem, rank)

    def _settings_scale(self, stem: str, rank: int) -> float:
        if "alpha" in self._trainer_settings:
            return float(self._trainer_settings["alpha"]) / rank
        module, _, path = stem.partition(".")
        settings = self._settings.get(module, {})
        alpha = settings.get("lora_alpha")
        for pattern, value in (settings.get("alpha_pattern") or {}).items():
            if re.fullmatch(rf"(.*\.)?({pattern})", path):
                alpha = value
                break
        if alpha is None:
            return 1.0
        return float(alpha) / (math.sqrt(rank) if settings.get("use_rslora") else rank)


def check_finite(path: Path) -> None:
    """Refuse an adapter file with NaN or infinity in it, which would show in a sampling alone.

    Of a remote file of which only the header is here, nothing is read.

    Raises:
        InvalidFile: It has such numbers.
    """
    size = path.stat().st_size
    if whole_size(path, size) != size:
        return
    with safe_open(path, "pt") as file:
        for name in file.keys():  # noqa: SIM118 - it can't be iterated over
            tensor = file.get_tensor(name)
            if tensor.is_floating_point() and not tensor.float().isfinite().all():
                raise InvalidFile(
                    f"{path} holds NaN or infinity, in {name}",
                    expected="numbers",
                    hint="Its training diverged: use a file that was saved earlier.",
                )


def _peft_settings(metadata: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """What peft was told to make the adapter by, by module; nothing where it isn't said well."""
    try:
        flat = json.loads(metadata.get(_METADATA, "{}"))
        settings_by_module: dict[str, dict[str, Any]] = {}
        for name, value in flat.items():
            module, _, setting = name.partition(".")
            settings_by_module.setdefault(module, {})[setting] = value
    except (ValueError, AttributeError):
        return {}
    return settings_by_module


def _trainer_settings(metadata: Mapping[str, str]) -> dict[str, Any]:
    """Settings of the trainer of Stable Audio 3; see `tensor_names.TRAINER_MARK`."""
    try:
        settings = json.loads(metadata.get("lora_config", "{}"))
        float(settings.get("alpha", 1))
    except (ValueError, TypeError, AttributeError):
        return {}
    return dict(settings)


def _rank(there: Mapping[str, Tensor], kind: str) -> int | None:
    """What alpha is divided by; None where a change has no rank, and alpha doesn't count."""
    if kind == "lora":
        return len(there["down"])
    if kind == "loha":
        return len(there["w1_b"])
    narrow = there.get("left_b", there.get("right_b"))
    return None if kind != "lokr" or narrow is None else len(narrow)


def _side(there: Mapping[str, Tensor], side: str) -> tuple[Tensor, ...]:
    if side in there:
        return (there[side],)
    return there[f"{side}_a"], there[f"{side}_b"]


_Changes = dict[str, dict[str, list[LayerChange]]]
"""By module and path."""


def _with_adapters(component: Component, recipe: Recipe) -> Component:
    """A component with a recipe's adapters on it, from the one without, whose weights it shares.

    Args:
        component: Of the recipe's base; it stays as it is.
    Raises:
        InvalidFile: See `adapt_modules`.
    """
    apart = (INVERSION, IP_ADAPTER, GLIGEN, MIXED_MODEL)
    layered = [item for item in recipe.adapters if item.kind not in apart]
    modules = component.modules
    # Before LoRAs: these are added to what the mix gives, and do not get weaker with it.
    for item in recipe.adapters:
        if isinstance(item, ModelAdapter):
            modules = _mixed_modules(modules, item)
    modules = adapt_modules(modules, layered, dtype=recipe.dtype)
    pictured = [item for item in recipe.adapters if item.kind == IP_ADAPTER]
    if pictured:
        modules = _with_ip_adapters(modules, pictured)
    # Behind IP-Adapters: these would take the gated layers for cross-attention.
    for item in recipe.adapters:
        if item.kind == GLIGEN:
            modules = _with_gligen(modules, item)
    if not isinstance(component, TextModel):
        return replace(component, modules=modules)
    # An empty prompt, too, is another one with adapters.
    text_model = replace(component, modules=modules, empty={})
    for item in recipe.adapters:
        if item.kind == INVERSION:
            with _unchanged(item):
                text_model = with_inversion_token(text_model, item, recipe.dtype)
    return text_model


def _mixed_modules(modules: Mapping[str, nn.Module], adapter: ModelAdapter) -> dict[str, nn.Module]:
    """Modules mixed with those of another model, which is loaded to the host only for that."""
    from nodegraph.models.loading import load_component  # it takes long, and most need no other

    assert adapter.model is not None
    other = derive(load_component(adapter.model.base, "cpu"), adapter.model).modules
    return {
        role: mixed_with(module, other[role], adapter.strength) if role in other else module
        for role, module in modules.items()
    }


def _with_ip_adapters(
    modules: Mapping[str, nn.Module], adapters: Sequence[Adapter]
) -> dict[str, nn.Module]:
    """Modules of which the first is led by images."""
    # Its layers take a while to import, which only those wait for who use them.
    from nodegraph.models.ip_adapters.image_prompts import attach_ip_adapters

    with ExitStack() as held:
        for item in adapters:
            held.enter_context(_unchanged(item))
        role, module = next(iter(modules.items()))
        return {**modules, role: attach_ip_adapters(module, adapters)}


def _with_gligen(modules: Mapping[str, nn.Module], adapter: Adapter) -> dict[str, nn.Module]:
    """Modules of which the first has gated layers for text boxes."""
    role, module = next(iter(modules.items()))
    with _unchanged(adapter):
        return {**modules, role: attach_gligen(module, adapter)}


def adapt_modules(
    modules: Mapping[str, nn.Module], adapters: Sequence[Adapter], *, dtype: str
) -> dict[str, nn.Module]:
    """Modules with adapters on them; the given ones stay as they are and share their weights.

    Args:
        modules: By name, such as ``unet`` or ``text_encoder_2``.
        adapters: Applied in this order. At strength 0 one changes nothing, to the last bit.
        dtype: Precision of the recipe, which the adapters' tensors are brought to.
    Raises:
        InvalidFile: Nothing in a file is for these modules, or it can't be read, or was changed
            since the recipe was made.
    """
    changes: _Changes = {}
    for adapter in adapters:
        _collect(adapter, modules, dtype, changes)
    return {
        name: with_changes(module, changes[name]) if name in changes else module
        for name, module in modules.items()
    }


def _is_whole(location: OriginalLocation) -> bool:
    """Whether a layer has all rows of the original one."""
    spans = location.spans
    return spans is None or sum(end - begin for begin, end in spans) == location.rows


def _collect(
    adapter: Adapter, modules: Mapping[str, nn.Module], dtype: str, changes: _Changes
) -> None:
    with _unchanged(adapter):
        _collect_layers(adapter, modules, dtype, changes)


def _collect_layers(
    adapter: Adapter, modules: Mapping[str, nn.Module], dtype: str, changes: _Changes
) -> None:
    path = Path(adapter.source)
    file = read_adapter(path)
    layers = {
        name: layers_of(module)
        for name, module in modules.items()
        if name in (adapter.modules or modules)
    }
    matched = match(file.parts, layers)
    if not matched.applied:
        raise no_match_error(file, matched)
    if not adapter.strength:
        return
    tensors = AdapterTensors(path, dtype, file.metadata)
    for change in matched.changes:
        layer = modules[change.module].get_submodule(change.location.path)
        parts, spans = file.parts[change.stem], change.location.spans
        made = tensors.change(change.stem, parts, spans)
        lengths = tensors.magnitudes(parts, spans)
        if lengths is not None:
            values, of_rows = lengths
            if not of_rows and not _is_whole(change.location):
                raise InvalidFile(
                    f"{path} changes {change.stem} with DoRA along its inputs, and the model "
                    "splits that layer into several parts",
                )
            weight = layer.weight
            assert isinstance(weight, Tensor)
            made.set_magnitudes(values.to(weight.device), weight, of_rows=of_rows)
        made.strength, made.is_fused = adapter.strength, adapter.kind == FUSED
        of_module = changes.setdefault(change.module, {})
        of_module.setdefault(change.location.path, []).append(made.requires_grad_(False))


@contextmanager
def _unchanged(adapter: Adapter) -> Iterator[None]:
    """Make sure that an adapter's file is, from begin to end of the `with`, the recipe's."""
    _check_digest(adapter)
    try:
        yield
    finally:
        # What a half-written file makes fail is told as what it is.
        _check_digest(adapter)


def _check_digest(adapter: Adapter) -> None:
    if FILE_DIGESTS.digest(Path(adapter.source)) != adapter.digest:
        raise InvalidFile(
            f"{adapter.source} was changed while a run used it",
            expected="files that do not change while a run uses them",
            hint="Run again to use the new file.",
        )


_LOW = 1
"""Frequencies on both sides of none that count as low."""


def apply_freeu(unet: Any, freeu: FreeUFactors) -> None:
    """Let a UNet compute with FreeU.

    Args:
        unet: Of diffusers; its own blocks are changed, not its weights.
    """
    if freeu.version == "diffusers":
        unet.enable_freeu(s1=freeu.s1, s2=freeu.s2, b1=freeu.b1, b2=freeu.b2)
        return
    first, *_, below = unet.config.block_out_channels
    factors = {4 * first: (freeu.b1, freeu.s1), 2 * first: (freeu.b2, freeu.s2)}
    for block in unet.up_blocks:
        for layer in block.resnets:
            if below in factors:
                hook = partial(
                    _freeu_features, below=below, by=factors[below], version=freeu.version
                )
                layer.register_forward_pre_hook(hook)
            below = layer.out_channels


def _freeu_features(
    _: Any, arguments: tuple[Any, ...], *, below: int, by: tuple[float, float], version: str
) -> tuple[Any, ...]:
    """What a layer takes, with FreeU; it comes as features from below and from across in one.

    Args:
        below: Channels of those from below, which are the first.
        by: Factors b and s.
    """
    features: Tensor = arguments[0]
    from_below, across = features[:, :below], features[:, below:]
    half = below // 2
    factor = by[0] if version == "v1" else 1 + (by[0] - 1) * _feature_strength(from_below)
    strengthened = (from_below[:, :half] * factor).to(features.dtype)
    from diffusers.utils.torch_utils import fourier_filter  # FreeU alone needs it

    filtered = fourier_filter(across, threshold=_LOW, scale=by[1])
    return torch.cat((strengthened, from_below[:, half:], filtered), dim=1), *arguments[1:]


def _feature_strength(features: Tensor) -> Tensor:
    """Where features are strong, 0..1 in each item: their mean over the channels."""
    mean = features.mean(1, keepdim=True)
    low, high = mean.amin((1, 2, 3), keepdim=True), mean.amax((1, 2, 3), keepdim=True)
    spread = high - low
    return torch.where(spread > 0, (mean - low) / spread, torch.zeros_like(mean))


_PROJECTIONS = {
    "self": (
        ("attn1.to_q", "self_attn.q_proj"),
        ("attn1.to_k", "self_attn.k_proj"),
        ("attn1.to_v", "self_attn.v_proj"),
        ("attn1.to_out.0", "self_attn.out_proj"),
    ),
    "cross": (("attn2.to_q",), ("attn2.to_k",), ("attn2.to_v",), ("attn2.to_out.0",)),
}
"""Ends of the names of query, key, value and output projections, of UNets and of CLIP."""


def scale_attention(module: nn.Module, factors: Mapping[str, AttentionFactors]) -> None:
    """Scale the projections of a network's attention, including their biases.

    Args:
        module: A UNet of diffusers or a CLIP text encoder of transformers. Hooks are added to its
            layers, and its weights stay.
        factors: See `nodegraph.models.speed.speed_support.attention_factors`.
    """
    for name, layer in module.named_modules():
        for layers, each in factors.items():
            for ends, factor in zip(_PROJECTIONS[layers], each, strict=True):
                if factor != 1 and f".{name}".endswith(tuple(f".{end}" for end in ends)):
                    # What a linear layer gives times a factor is what scaled weights give. A LoRA
                    # of the layer is scaled, too.
                    layer.register_forward_hook(partial(_scaled_output, factor=factor))


def _scaled_output(_: Any, __: tuple[Any, ...], output: Tensor, *, factor: float) -> Tensor:
    return output * factor


_CONVOLUTION_AXES = 4


def derive(component: Component, recipe: Recipe) -> Component:
    """The component of a recipe with adapters or speed options, from that of its base.

    Args:
        component: Stays as it is.
    Raises:
        InvalidFile: See `adapt_modules`.
        InvalidValue: torchao multiplies none of its weights.
    """
    speed = read_speed_options(recipe)
    if speed.matmul == TORCHAO and isinstance(component, Denoiser):
        # Below adapters, which go on computing as ever.
        component = _multiplying(component)
    derived = _with_adapters(component, recipe) if recipe.adapters else component
    factors = attention_factors(recipe)
    if isinstance(derived, TextModel):
        modules = {
            role: _with_scaled_attention(module, factors)
            for role, module in derived.modules.items()
        }
        # An empty prompt, too, is another one of another layer.
        return replace(derived, modules=modules, clip_layer=clip_layer_of(recipe), empty={})
    if not isinstance(derived, Denoiser):
        return derived
    freeu = freeu_of(recipe)
    config = derived.scheduler_config
    if isinstance(recipe, DiffusionModel) and recipe.option(SAMPLED_ON):
        config = scheduler_config(recipe)
    networks = {
        role: _with_speed_options(_with_scaled_attention(module, factors), speed, freeu)
        for role, module in derived.networks.items()
    }
    caching = find_step_cache(recipe)
    # The setting stays where the cache is left out, as for prompts with LoRAs of their own.
    fixed = {KEY_VALUES: True} if isinstance(caching, KeyValues) else {}
    return replace(
        derived.with_networks(networks),
        scheduler_config=config,
        settings={**derived.settings, **fixed},
        caching=caching,
        attention=usable_attention(speed.attention),
        compiled=speed.compiled,
        prompts=speed.prompts,
    )


def _multiplying(component: Denoiser) -> Denoiser:
    """A denoiser whose quantized layers multiply by torchao, over the same weights.

    Raises:
        InvalidValue: It has no layer of that kind.
    """
    networks = {role: structural_copy(module) for role, module in component.networks.items()}
    if not sum(map(multiply_by_torchao, networks.values())):
        raise InvalidValue(
            "no layer of this model is stored in a form that torchao multiplies",
            port="matmul",
            given="torchao",
            expected="storage int8, float8 or uint4 in the node that loads the model",
        )
    return component.with_networks(networks)


def _with_scaled_attention(module: Any, factors: Mapping[str, AttentionFactors]) -> Any:
    """A network with scaled attention; the given one stays as it is, and shares its weights."""
    if not factors:
        return module
    twin = structural_copy(module)
    scale_attention(twin, factors)
    return twin


def _with_speed_options(module: Any, speed: SpeedOptions, freeu: FreeUFactors | None) -> Any:
    """A network that computes so; the given one stays as it is, and shares its weights."""
    elsewhere = replace(speed, attention="auto", prompts="together", matmul="auto")
    if freeu is None and elsewhere.is_plain:
        return module
    twin = structural_copy(module)
    if freeu is not None:
        apply_freeu(twin, freeu)
    if speed.fused:
        # The given layers stay in it, as they are shared; what is fused are copies.
        twin.fuse_qkv_projections()
        twin.eval().requires_grad_(False)
    if speed.channels_last:
        _put_channels_last(twin)
    if speed.compiled:
        compile_blocks(twin)
    return twin


def _put_channels_last(module: nn.Module) -> None:
    """Convolutions with weights of their own, in another order in memory."""
    for layer in module.modules():
        weight = layer._parameters.get("weight")
        if weight is not None and weight.dim() == _CONVOLUTION_AXES:
            moved = weight.detach().to(memory_format=torch.channels_last)
            layer._parameters["weight"] = nn.Parameter(moved, requires_grad=False)
