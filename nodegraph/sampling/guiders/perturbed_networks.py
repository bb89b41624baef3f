"""Perturbed networks: other self-attention or skipped blocks, to guide away from.

They are copies that share the given network's weights: that one stays as it is. Only where it is
one use's own already, as one whose weights come and go in parts, it is changed itself, and is as it
was but for while it is asked as a worse one.
"""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from types import NoneType
from typing import Any

import torch
from diffusers.hooks._common import _ATTENTION_CLASSES
from diffusers.hooks._helpers import TransformerBlockRegistry
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.functional import scaled_dot_product_attention
from torch.overrides import TorchFunctionMode

from nodegraph.errors import InvalidValue
from nodegraph.families.components import Denoiser
from nodegraph.families.key_values import has_fixed_references
from nodegraph.families.registry import FAMILIES
from nodegraph.families.speed_options import KeyValues
from nodegraph.models.adapters.layer_changes import structural_copy
from nodegraph.sampling.guiders.checks import prefixes

MEAN_BLUR = 9999.0
"""Standard deviation of a blur, from which on it is the mean."""


def grid_of(tokens: int, height: int, width: int) -> tuple[int, int] | None:
    """Rows and columns of a latent that was halved until it has so many cells; None: it never has.

    Args:
        height, width: Of the latent in cells.
    """
    while height * width > tokens:
        height, width = (height + 1) // 2, (width + 1) // 2
    return (height, width) if height * width == tokens else None


def blur_cells(x: Tensor, sigma: float, size: int | None = None) -> Tensor:
    """An image under a Gaussian.

    Args:
        x: Shape (batch, channels, height, width).
        sigma: Standard deviation in cells; from `MEAN_BLUR` on it is the mean.
        size: Cells that the Gaussian covers each way, odd; three deviations to both sides if not
            given, and no more than there are.
    """
    if sigma >= MEAN_BLUR:
        return x.mean((-2, -1), keepdim=True).expand_as(x)
    if size is None:
        size = min(2 * math.ceil(3 * sigma) + 1, 2 * min(x.shape[-2:]) - 1)
    reach = size // 2
    places = torch.arange(-reach, reach + 1, dtype=x.dtype, device=x.device)
    row = torch.exp(-0.5 * (places / sigma) ** 2)
    kernel = torch.outer(row / row.sum(), row / row.sum())
    mode = "reflect" if reach < min(x.shape[-2:]) else "replicate"
    padded = functional.pad(x, (reach,) * 4, mode=mode)
    weights = kernel.expand(x.shape[1], 1, size, size)
    return functional.conv2d(padded, weights, groups=x.shape[1])


def blurred_attention(sigma: float, cells: Callable[[], Sequence[int]]) -> Attend:
    """Self-attention of a UNet whose scores are blurred, by blurring the queries.

    Source: Hong 2024, arXiv:2408.00760, section 4.2.

    Args:
        sigma: Standard deviation in cells of the layer; from `MEAN_BLUR` on it is the mean.
        cells: Tells height and width of what the UNet is shown of the latent.
    """

    def attend(query: Tensor, key: Tensor, value: Tensor) -> Tensor | None:
        grid = grid_of(query.shape[-2], *cells())
        if grid is None:
            return None
        across = query.mT.flatten(0, 1)
        smooth = blur_cells(across.reshape(*across.shape[:2], *grid), sigma)
        smooth = smooth.reshape(query.mT.shape).mT
        return scaled_dot_product_attention(smooth, key, value)

    return attend


STACKS = (
    ("transformer_blocks", "single_transformer_blocks"),
    ("blocks", ""),
    ("layers", ""),
    ("double_stream_blocks", "single_stream_blocks"),
)
"""Names that most networks have for their blocks, and for those of a second kind; a family may name
others."""

BlockOutputs = Mapping[str, tuple[int, int | None]]
"""See `Family.block_outputs`."""

Attend = Callable[[Tensor, Tensor, Tensor], "Tensor | None"]
"""What stands for the attention of queries, keys and values; None: it stays."""


def with_attention(model: Denoiser, layers: Sequence[str], attend: Attend) -> Denoiser:
    """A network whose self-attention is another one in some layers.

    Args:
        layers: As of `nodegraph.sampling.guiders.checks`.
    Raises:
        InvalidValue: On port ``guider``: there are no such, or they see reference images apart.
    """
    if has_fixed_references(model):
        raise InvalidValue(
            "this model computes reference images apart from the image, and a guider that "
            "replaces self-attention does not",
            port="guider",
            hint="Remove the guider, or KeyValueCache if the model was trained without it.",
        )

    def change(twin: nn.Module, prefix: str, switch: _Switch) -> int:
        attention_layers = [
            layer
            for name, layer in twin.named_modules()
            if f"{name}.".startswith(prefix)
            and isinstance(layer, _ATTENTION_CLASSES)
            # Not all say so, but all that have a second one look at the prompt by it.
            and not getattr(layer, "is_cross_attention", name.endswith("attn2"))
        ]
        for layer in attention_layers:
            layer.forward = functools.partial(_attending, switch, attend, layer.forward)
        return len(attention_layers)

    return _changed(model, layers, change)


def without_layers(model: Denoiser, layers: Sequence[str]) -> Denoiser:
    """A network that some blocks hand on what they are given.

    Args:
        layers: As of `nodegraph.sampling.guiders.checks`.
    Raises:
        InvalidValue: On port ``guider``: there are no such, or they can't be left out.
    """
    family = FAMILIES.get(model.family)
    outputs = {} if family is None else family.block_outputs

    def change(twin: nn.Module, prefix: str, switch: _Switch) -> int:
        blocks = list(_blocks(twin, prefix, outputs))
        for block in blocks:
            picture, prompt = _returned(block, outputs)
            signature = inspect.signature(type(block).forward)
            block.forward = functools.partial(
                _skip_block, switch, signature, (picture, prompt), block.forward
            )
        return len(blocks)

    return _changed(model, layers, change)


@dataclass(slots=True)
class _Switch:
    """Whether layers are the worse ones now.

    Attributes:
        is_shared: Whether the network is asked as it was, too.
    """

    is_shared: bool
    is_on: bool = True


class _Switched:
    """A network that is worse while it is called through this."""

    def __init__(self, module: nn.Module, switch: _Switch) -> None:
        self._module = module
        self._switch = switch

    def __getattr__(self, name: str) -> Any:
        return getattr(self._module, name)

    def __call__(self, *args: Any, **options: Any) -> Any:
        self._switch.is_on = True
        try:
            return self._module(*args, **options)
        finally:
            self._switch.is_on = False


Change = Callable[[nn.Module, str, _Switch], int]
"""Changes the layers of a network that lie at a place; how many there are."""


def _changed(model: Denoiser, layers: Sequence[str], change: Change) -> Denoiser:
    # What keeps keys and values changes no network.
    if model.is_own and not isinstance(model.caching, (KeyValues, NoneType)):
        raise InvalidValue(
            "the model does not fit in memory as a whole, and a step cache does not work "
            "with partial loading and weakened-network guidance",
            port="guider",
            hint="Remove the step cache, or use a smaller size or storage.",
        )
    family = FAMILIES.get(model.family)
    named = () if family is None else family.block_stacks
    switch = _Switch(is_shared=model.is_own, is_on=not model.is_own)
    modules: dict[str, Any] = {}
    for role, module in model.networks.items():
        modules[role] = twin = module if model.is_own else structural_copy(module)
        stacks = _stacks(twin, named)
        for prefix in prefixes(layers, stacks, [len(getattr(twin, stack)) for stack in stacks]):
            if not change(twin, prefix, switch):
                raise _missing(twin, stacks, prefix if layers else "")
    if model.is_own:
        modules = {role: _Switched(module, switch) for role, module in modules.items()}
    # Prompts with adapters of their own are evaluated by the same networks with these.
    adapted = {key: _changed(other, layers, change) for key, other in model.adapted.items()}
    return replace(
        model.with_networks(modules), caching=None, compiled=False, is_own=True, adapted=adapted
    )


def _stacks(module: nn.Module, named: tuple[str, ...]) -> list[str]:
    for pair in (named, *STACKS):
        names = [stack for stack in pair if isinstance(getattr(module, stack, None), nn.ModuleList)]
        if names:
            return names
    return []


def _missing(module: nn.Module, stacks: list[str], prefix: str) -> InvalidValue:
    """The error for layers that the network lacks.

    Args:
        prefix: Of the chosen layers. Empty if none are chosen, so that the middle is used.
    """
    if not prefix:
        return InvalidValue(
            "the middle of the network has no layers that the guider can change",
            port="guider",
            hint="Set layers to a block that has attention of a class of diffusers, or remove the "
            "guider.",
        )
    numbers = ", ".join(
        f"{'single.' if stack_index else ''}0 to {'single.' if stack_index else ''}"
        f"{len(getattr(module, stack)) - 1}"
        for stack_index, stack in enumerate(stacks)
    )
    return InvalidValue(
        "the network has no such layers that can be changed",
        port="guider",
        given=prefix.removesuffix("."),
        expected=numbers or "parts of a UNet with attention, for example mid, down.1 or up.0",
        hint="Leave layers empty to use the middle of the network.",
    )


def _attending(
    switch: _Switch, attend: Attend, forward: Callable[..., Any], *args: Any, **options: Any
) -> Any:
    with _Attention(attend) if switch.is_on else nullcontext():
        return forward(*args, **options)


class _Attention(TorchFunctionMode):
    """Inside the `with`, this thread's attention is another."""

    def __init__(self, attend: Attend) -> None:
        super().__init__()
        self._attend = attend

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        if func is scaled_dot_product_attention:
            arguments = (
                inspect.signature(_shape_of_attention).bind(*args, **(kwargs or {})).arguments
            )
            attended = self._attend(arguments["query"], arguments["key"], arguments["value"])
            if attended is not None:
                return attended
        return func(*args, **(kwargs or {}))


def _shape_of_attention(query: Any, key: Any, value: Any, *args: Any, **options: Any) -> None:
    """How attention is called."""


def identity_attention(query: Tensor, key: Tensor, value: Tensor) -> Tensor | None:
    """Attention of each token to itself alone.

    Source: Ahn et al. 2024, arXiv:2403.17377, equation 8.
    """
    if query.shape[-2] != value.shape[-2]:
        return None
    return value.repeat_interleave(query.shape[-3] // value.shape[-3], -3)


def _blocks(module: nn.Module, prefix: str, outputs: BlockOutputs) -> Iterator[nn.Module]:
    """The outermost blocks below a place that are known to hand on what they are given."""
    taken: list[str] = []
    for name, layer in module.named_modules():
        is_below = f"{name}.".startswith(prefix)
        if (
            is_below
            and _is_block(layer, outputs)
            and not any(name.startswith(item) for item in taken)
        ):
            taken.append(f"{name}.")
            yield layer


def _is_block(layer: nn.Module, outputs: BlockOutputs) -> bool:
    TransformerBlockRegistry._register()
    return type(layer).__name__ in outputs or type(layer) in TransformerBlockRegistry._registry


def _returned(block: nn.Module, outputs: BlockOutputs) -> tuple[int, int | None]:
    """Places of the image and the prompt in what a block gives."""
    name = type(block).__name__
    if name in outputs:
        return outputs[name]
    known = TransformerBlockRegistry.get(type(block))
    return known.return_hidden_states_index, known.return_encoder_hidden_states_index


def _skip_block(
    switch: _Switch,
    signature: inspect.Signature,
    places: tuple[int, int | None],
    forward: Callable[..., Any],
    *args: Any,
    **options: Any,
) -> Any:
    if switch.is_shared:
        # Called even where it isn't needed, as the weights of the next block come with it.
        output = forward(*args, **options)
        if not switch.is_on:
            return output
    parameters = list(signature.parameters)[1:]
    arguments = dict(zip(parameters, args, strict=False)) | options
    shown, (picture, prompt) = arguments[parameters[0]], places
    if prompt is None:
        return shown
    both = {picture: shown, prompt: arguments["encoder_hidden_states"]}
    return both[0], both[1]
