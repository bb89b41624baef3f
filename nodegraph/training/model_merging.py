"""Merge models: weighted sums of their weights, by block, and added differences.

The merged weights become files, as those of a training do. So a merged model is loaded, offloaded,
quantized and saved like any other.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from nodegraph.core.context import Context
from nodegraph.core.values import DiffusionModel, Recipe, RecipeFile, TextEncoder
from nodegraph.errors import InvalidValue
from nodegraph.families.registry import get_family
from nodegraph.models.adapters.adapter_files import INVERSION
from nodegraph.models.adapters.layer_changes import merged_tensors
from nodegraph.models.ip_adapters.image_prompt_files import IP_ADAPTER
from nodegraph.models.loading import HALVES, stored_tensors
from nodegraph.training.files import CONFIG, DIFFUSERS_WEIGHTS, TRANSFORMERS_WEIGHTS, write_trained
from nodegraph.training.merge_weights import BlockRules, BlockWeights
from nodegraph.training.options import check_full_weights, without_speed
from nodegraph.weights.weight_files import PRECISIONS

_STORED = {"F32": "float32", **HALVES}
"""Precisions as the safetensors format names them."""
_INPUT_LAYERS = ("conv_in.weight", "x_embedder.weight", "proj_in.weight", "img_in.weight")
"""Layers that are wider in inpainting and control models: they take more channels."""


def merge_models(
    ctx: Context,
    first: DiffusionModel,
    second: DiffusionModel,
    base: DiffusionModel | None,
    weight: float,
    rules: BlockRules,
    first_weight: float | None = None,
) -> DiffusionModel:
    """Return first + weight · (second − base), or first + weight · (second − first) without a base.

    With `first_weight`, the result is first_weight · first + weight · (second − base), where a
    missing base counts as 0. Only the leading input channels are merged if the first model has more
    than the others. So the difference of a fine-tuned model can be added to an inpainting model.

    Raises:
        InvalidValue: The models are of different families, quantized, or have other layers, or a
            block does not exist.
        OutputError: The files cannot be written.
    """
    check_mergeable(_inputs("model", first, second, base))
    if any(item.kind == IP_ADAPTER for each in (first, second) for item in each.adapters):
        raise InvalidValue(
            "a model with an IP-Adapter cannot be merged",
            port="model",
            hint="Merge first, and apply the IP-Adapter to the merged model.",
        )
    recipes = _Recipes(
        without_speed(first), without_speed(second), None if base is None else without_speed(base)
    )
    files = _merged_files(ctx, recipes, _Weights(weight, rules, first_weight))
    return replace(first, files=files, adapters=())


def merge_text_encoders(
    ctx: Context,
    first: TextEncoder,
    second: TextEncoder,
    base: TextEncoder | None,
    weight: float,
    first_weight: float | None = None,
) -> TextEncoder:
    """Return the merged text encoders of a model; see `merge_models`.

    The tokenizers and the textual inversions of the first one stay.

    Raises:
        InvalidValue, OutputError: As for `merge_models`.
    """
    check_mergeable(_inputs("text_encoder", first, second, base))
    words = tuple(item for item in first.adapters if item.kind == INVERSION)
    recipes = _Recipes(
        _without_words(first),
        _without_words(second),
        None if base is None else _without_words(base),
    )
    files = _merged_files(ctx, recipes, _Weights(weight, BlockRules(), first_weight))
    roles = {part.role for part in get_family(first.family).tokenizers}
    tokenizers = tuple(file for file in first.files if file.role in roles)
    return replace(first, files=(*files, *tokenizers), adapters=words)


def _without_words(recipe: TextEncoder) -> TextEncoder:
    layered = tuple(item for item in recipe.adapters if item.kind != INVERSION)
    return replace(recipe, adapters=layered)


def _inputs(
    name: str, first: Recipe, second: Recipe, base: Recipe | None
) -> Iterator[tuple[str, Recipe]]:
    yield name, first
    yield "second", second
    if base is not None:
        yield "base", base


def check_mergeable(inputs: Iterable[tuple[str, Recipe]]) -> None:
    """Refuse quantized weights, and recipes of another family than the first.

    Args:
        inputs: Ports and recipes.
    Raises:
        InvalidValue: Names the port.
    """
    family = ""
    for port, recipe in inputs:
        check_full_weights(recipe, port)
        family = family or recipe.family
        if recipe.family != family:
            raise InvalidValue(
                "models of different families cannot be merged",
                port=port,
                given=get_family(recipe.family).title,
                expected=get_family(family).title,
            )


def stored_precision(recipe: Recipe) -> str:
    """The precision of most weights in a recipe's files; that of the recipe if it is another."""
    sizes: dict[str, int] = {}
    for _, shape, kind in stored_tensors(recipe):
        sizes[kind] = sizes.get(kind, 0) + torch.Size(shape).numel()
    return _STORED.get(max(sizes, key=lambda kind: sizes[kind], default=""), recipe.dtype)


def module_config(module: Any) -> dict[str, Any]:
    """The configuration of a module of diffusers or transformers, as their files have it."""
    config: dict[str, Any] = (
        json.loads(module.to_json_string())
        if hasattr(module, "to_json_string")
        else {**module.config.to_dict(), "architectures": [type(module).__name__]}
    )
    return {name: value for name, value in config.items() if name != "_name_or_path"}


@dataclass(frozen=True, slots=True)
class _Recipes:
    """The models of a merge."""

    first: Recipe
    second: Recipe
    base: Recipe | None


@dataclass(frozen=True, slots=True)
class _Weights:
    """The weights of a merge.

    Attributes:
        second: Of the second model.
        rules: Other weights for some blocks.
        first: Of the first model; None for what is missing to 1, or 1 with a base.
    """

    second: float
    rules: BlockRules
    first: float | None

    def of_first(self, weight: float, *, is_difference: bool) -> float:
        """The weight of the first model where the second has `weight`."""
        if self.first is not None:
            return self.first
        return 1.0 if is_difference else 1 - weight


def _merged_files(ctx: Context, recipes: _Recipes, weights: _Weights) -> tuple[RecipeFile, ...]:
    """The files of the merged modules, one role after the other."""
    first, second, base = recipes.first, recipes.second, recipes.base
    total = 2 + (base is not None)
    with ctx.weights(second) as component:
        others = {role: _Tensors(module) for role, module in component.modules.items()}
        ctx.progress(1, total)
    if base is not None:
        with ctx.weights(base) as component:
            _check_roles("base", component.modules, others)
            for role, module in component.modules.items():
                others[role].subtract(module)
            ctx.progress(2, total)
    precision = PRECISIONS[stored_precision(first)]
    files: list[RecipeFile] = []
    with ctx.weights(first) as component:
        _check_roles("second", others, component.modules)
        for role, module in component.modules.items():
            config, other = module_config(module), others.pop(role)
            blocks = weights.rules.resolve(weights.second, other.by_name, config)
            of_first = partial(weights.of_first, is_difference=base is not None)
            files += write_trained(
                ctx.environment,
                role,
                other.merge_into(module, blocks, of_first, precision),
                name=DIFFUSERS_WEIGHTS if "_class_name" in config else TRANSFORMERS_WEIGHTS,
                configs={CONFIG: config},
            )
        ctx.progress(total, total)
    return tuple(files)


def _check_roles(port: str, roles: Collection[str], expected: Collection[str]) -> None:
    """Refuse a model with other modules, such as one expert where another model has two.

    Raises:
        InvalidValue: On the port.
    """
    if set(roles) != set(expected):
        raise InvalidValue(
            "models with different modules cannot be merged",
            port=port,
            given=", ".join(roles),
            expected=", ".join(expected),
            hint="Load one expert of a model alone with LoadDiffusionModel.",
        )


class _Tensors:
    """The weights of one module, in float32 on the CPU, by name."""

    def __init__(self, module: nn.Module) -> None:
        self.by_name = {
            name: tensor.detach().to("cpu", torch.float32, copy=True)
            for name, tensor in merged_tensors(module)
            if tensor.is_floating_point()
        }

    def subtract(self, module: nn.Module) -> None:
        """Subtract the weights of another module.

        Raises:
            InvalidValue: It has other layers.
        """
        for name, tensor in self._matched(module):
            own = self.by_name[name]
            if own.shape != tensor.shape:
                raise _shape_error(name, own, tensor)
            own -= tensor.detach().to("cpu", torch.float32)

    def merge_into(
        self,
        module: nn.Module,
        weights: BlockWeights,
        of_first: Callable[[float], float],
        precision: torch.dtype,
    ) -> dict[str, Tensor]:
        """The weights of a module, merged with these.

        Args:
            weights: The weights of these.
            of_first: Returns the weight of the module's own for a weight of these.
        Raises:
            InvalidValue: It has other layers.
        """
        merged = {
            name: tensor.detach().to("cpu", copy=True).contiguous()
            for name, tensor in merged_tensors(module)
            if not tensor.is_floating_point()
        }
        for name, tensor in self._matched(module):
            other, weight = self.by_name.pop(name), weights.weight(name)
            whole = tensor.detach().to("cpu", torch.float32, copy=True)
            own = _leading_channels(name, whole, other)
            # At weight 0 and 1 the result is one of the two, bit for bit, unlike with `lerp`.
            own.copy_(own * of_first(weight) + other * weight)
            merged[name] = whole.to(precision).contiguous()
        return merged

    def _matched(self, module: nn.Module) -> Iterator[tuple[str, Tensor]]:
        """The floating point tensors of a module that has the same layers."""
        missing = set(self.by_name)
        for name, tensor in merged_tensors(module):
            if tensor.is_floating_point():
                if name not in self.by_name:
                    raise _layer_error(f"only one of them has {name}")
                missing.discard(name)
                yield name, tensor
        if missing:
            raise _layer_error(f"only one of them has {min(missing)}")


def _leading_channels(name: str, own: Tensor, other: Tensor) -> Tensor:
    """The part of a tensor that one of another model is merged with."""
    if own.shape == other.shape:
        return own
    is_wider = (
        name.endswith(_INPUT_LAYERS)
        and own.dim() == other.dim() > 1
        and own.shape[1] > other.shape[1]
        and (own.shape[0], *own.shape[2:]) == (other.shape[0], *other.shape[2:])
    )
    if not is_wider:
        raise _shape_error(name, own, other)
    return own[:, : other.shape[1]]


def _shape_error(name: str, own: Tensor, other: Tensor) -> InvalidValue:
    return _layer_error(f"{name} has the shapes {list(own.shape)} and {list(other.shape)}")


def _layer_error(difference: str) -> InvalidValue:
    return InvalidValue(
        f"the models have different layers: {difference}",
        expected="models with the same architecture",
        hint="To add a fine-tuned model to an inpainting model, link the inpainting model as the "
        "first model, the fine-tuned model as the second, and the original model as the base.",
    )
