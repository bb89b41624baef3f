"""Extract a LoRA from the difference of two models, or from the adapters of one.

So a fine-tuned checkpoint becomes a LoRA, several LoRAs become one, and a LoRA gets another rank.
Each layer's change is replaced by the nearest matrix of the rank, by its singular values (Eckart
and Young 1936).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from nodegraph.core.context import Context
from nodegraph.core.training_values import TrainedWeights
from nodegraph.core.values import DiffusionModel, Recipe, TextEncoder
from nodegraph.errors import InvalidValue
from nodegraph.models.adapters.adapter_files import FUSED, INVERSION, PLAIN
from nodegraph.models.adapters.layer_changes import adapter_deltas, merged_tensors
from nodegraph.models.ip_adapters.image_prompt_files import IP_ADAPTER
from nodegraph.training.examples import generator_of
from nodegraph.training.files import write_trained
from nodegraph.training.model_merging import check_mergeable
from nodegraph.training.options import without_speed

_EXACT = 768
"""Rows or columns up to which all singular values are computed; beyond that only the largest."""
_SPARE, _ROUNDS = 16, 6
"""More vectors than the rank, and rounds of the iteration: Halko et al. 2011, arXiv:0909.4061."""


@dataclass(frozen=True, slots=True)
class LoraSize:
    """How large a LoRA may be.

    Attributes:
        rank: Largest rank of a layer.
        energy: Part of the squared singular values of a layer's change that is kept, 0..1. The rank
            is only as large as needed for it. 1 always uses the largest.
    """

    rank: int
    energy: float = 1.0


@dataclass(slots=True)
class _Loss:
    """Squared norms of all changes, and of what of them the LoRA lacks."""

    whole: float = 0.0
    lost: float = 0.0


def extract_lora(
    ctx: Context,
    model: DiffusionModel,
    text_encoder: TextEncoder | None,
    base: DiffusionModel | None,
    base_encoder: TextEncoder | None,
    size: LoraSize,
) -> TrainedWeights:
    """Return a LoRA that turns the base into the model, in float16.

    Args:
        text_encoder: Included if it is not None.
        base, base_encoder: The models that the LoRA is for; None for the same ones without their
            adapters.
    Raises:
        InvalidValue: The models are of different families, quantized, have other layers, or do not
            differ.
        OutputError: The file cannot be written.
    """
    tensors: dict[str, Tensor] = {}
    loss = _Loss()
    pairs: list[tuple[str, Recipe, Recipe | None]] = [("model", model, base)]
    if text_encoder is not None:
        pairs.append(("text_encoder", text_encoder, base_encoder))
    for port, tuned, plain in pairs:
        check_mergeable([(port, tuned), *([] if plain is None else [("base", plain)])])
        deltas = (
            _own_deltas(ctx, _layered(tuned))
            if plain is None
            else _deltas(ctx, _layered(tuned), _layered(plain))
        )
        for at, (role, path, delta) in enumerate(deltas):
            ctx.check_cancelled()
            down, up = _factors(delta, size, at, loss)
            tensors[f"{role}.{path}.lora_A.weight"] = down.half().cpu().contiguous()
            tensors[f"{role}.{path}.lora_B.weight"] = up.half().cpu().contiguous()
    if not tensors:
        raise _no_difference(base)
    kept = 1 - loss.lost / loss.whole
    ctx.log(f"The LoRA has {kept:.1%} of the change, in {len(tensors) // 2} layers")
    settings = (("rank", str(size.rank)), ("energy", f"{size.energy:g}"))
    about = {"family": model.family, "words": (), **dict(settings)}
    files = write_trained(ctx.environment, model.files[0].role, tensors, about)
    return TrainedWeights("lora", model.family, files, (), settings)


def _no_difference(base: Recipe | None) -> InvalidValue:
    if base is None:
        return InvalidValue(
            "the model has no LoRA to extract",
            port="model",
            hint="Link a model with LoRAs, or link the original model to `base`.",
        )
    return InvalidValue(
        "the models do not differ in any layer that a LoRA can change",
        port="base",
        hint="Link the original model to `base`.",
    )


def _layered(recipe: Recipe) -> Recipe:
    """A recipe with those adapters that change layers, none of them fused."""
    adapters = tuple(
        replace(item, kind=PLAIN) if item.kind == FUSED else item
        for item in recipe.adapters
        if item.kind not in (INVERSION, IP_ADAPTER)
    )
    plain = without_speed(recipe) if isinstance(recipe, DiffusionModel) else recipe
    return replace(plain, adapters=adapters)


def _own_deltas(ctx: Context, recipe: Recipe) -> Iterator[tuple[str, str, Tensor]]:
    """Role, path and change of each layer that a recipe's adapters change."""
    if not recipe.adapters:
        return
    with ctx.weights(recipe) as component:
        for role, module in component.modules.items():
            for path, delta in adapter_deltas(module):
                if _takes_lora(module.get_submodule(path)) and delta.any():
                    yield role, path, delta


def _deltas(ctx: Context, tuned: Recipe, base: Recipe) -> Iterator[tuple[str, str, Tensor]]:
    """Role, path and difference of each layer that differs."""
    # One after the other: there may not be memory for both on the device.
    with ctx.weights(base) as component:
        plain = {
            role: {
                name: tensor.detach().to("cpu", copy=True)
                for name, tensor in merged_tensors(module)
                if name.endswith(".weight")
            }
            for role, module in component.modules.items()
        }
    with ctx.weights(tuned) as component:
        for role, module in component.modules.items():
            for name, tensor in merged_tensors(module):
                path = name.removesuffix(".weight")
                if path == name or not _takes_lora(module.get_submodule(path)):
                    continue
                own = plain[role].get(name)
                if own is None or own.shape != tensor.shape:
                    raise InvalidValue(
                        f"the models have different layers: {role}.{path}",
                        port="base",
                        expected="the model that this one was trained from",
                    )
                delta = tensor.detach().float() - own.to(tensor.device).float()
                if delta.any():
                    yield role, path, delta


def _takes_lora(layer: nn.Module) -> bool:
    if isinstance(layer, nn.Conv2d):
        return layer.groups == 1
    return isinstance(layer, nn.Linear)


def _factors(delta: Tensor, size: LoraSize, at: int, loss: _Loss) -> tuple[Tensor, Tensor]:
    """Two narrow layers whose product is near a change: down (rank, …) and up (outputs, rank)."""
    matrix = delta.flatten(1)
    rank = min(size.rank, *matrix.shape)
    left, values, right = _decomposed(matrix, rank, at)
    whole = float(matrix.square().sum())
    if size.energy < 1:
        kept = values[:rank].square().cumsum(0) >= size.energy * whole
        rank = min(rank, int((~kept).sum()) + 1)
    root = values[:rank].sqrt()
    down, up = root[:, None] * right[:rank], left[:, :rank] * root
    loss.whole += whole
    loss.lost += float((matrix - up @ down).square().sum())
    if delta.dim() > 2:
        # The first layer has the kernel, the second mixes channels only.
        return down.reshape(rank, *delta.shape[1:]), up[:, :, None, None]
    return down, up


def _decomposed(matrix: Tensor, rank: int, at: int) -> tuple[Tensor, Tensor, Tensor]:
    """Singular vectors and values of a matrix, the largest first; as many as the rank, or more."""
    wanted = rank + _SPARE
    if min(matrix.shape) <= max(_EXACT, 2 * wanted):
        left, values, right = torch.linalg.svd(matrix, full_matrices=False)
        return left, values, right
    drawn = torch.randn(matrix.shape[1], wanted, generator=generator_of(0, "lora", at))
    basis = matrix @ drawn.to(matrix.device)
    for _ in range(_ROUNDS):
        basis = matrix @ (matrix.T @ torch.linalg.qr(basis).Q)
    basis = torch.linalg.qr(basis).Q
    left, values, right = torch.linalg.svd(basis.T @ matrix, full_matrices=False)
    return basis @ left, values, right
