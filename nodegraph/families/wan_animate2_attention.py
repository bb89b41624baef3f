"""Attention of Wan Animate 2: each frame also attends to the same frame of the driving video.

The transformer first runs over the driving video, and each layer stores its keys and values. Each
step then runs over the generated frames, which attend to all of them and to stored frames.

Sources: diffusers, ``models/transformers/transformer_wan_animate_2.py``, whose class expresses the
second attention as one mask for a compiled kernel. Here it is one call per frame, as in ComfyUI's
``comfy/ldm/wan/model_animate2.py``: no compiler is needed, and no mask. Results differ by rounding.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple
from weakref import ref

from nodegraph.weights.lazy import torch

if TYPE_CHECKING:
    from torch import Tensor

_SHARE = 0.5
"""Share of an accelerator's free memory that stored keys and values may take. Beyond it they stay
in the host's memory, and each layer fetches its own."""


class LayerKeys:
    """Keys and values of one layer for the driving video, before rotary embeddings.

    Args:
        on_host: Whether to keep them in the host's memory.
    """

    def __init__(self, *, on_host: bool) -> None:
        self._on_host = on_host
        self._stored: tuple[Tensor, Tensor] | None = None

    def store(self, key: Tensor, value: Tensor) -> None:
        """Keep both, shape (n, tokens, heads, width)."""
        self._stored = (key.cpu(), value.cpu()) if self._on_host else (key, value)

    def get(self, device: torch.device) -> tuple[Tensor, Tensor]:
        """Return both on a device."""
        assert self._stored is not None
        key, value = self._stored
        return key.to(device), value.to(device)


class ReferenceKeys:
    """The stored keys and values of all layers.

    Args:
        layers: Their number.
        on_host: As of `LayerKeys`.
    """

    def __init__(self, layers: int, *, on_host: bool) -> None:
        self._layers = [LayerKeys(on_host=on_host) for _ in range(layers)]

    def get(self, index: int) -> LayerKeys:
        """Return those of one layer, as the transformer asks for them."""
        return self._layers[index]


class ScaledKeys(NamedTuple):
    """What one layer attends to in a step.

    Attributes:
        keys: Of the driving video.
        motion: Factor of its values, shape (1,); None for 1.
        image: Factor of the values of the first frame, the character's image; as `motion`.
    """

    keys: LayerKeys
    motion: Tensor | None
    image: Tensor | None


class StepKeys(NamedTuple):
    """The same of all layers."""

    keys: ReferenceKeys
    motion: Tensor | None = None
    image: Tensor | None = None

    def get(self, index: int) -> ScaledKeys:
        """Return those of one layer, as the transformer asks for them."""
        return ScaledKeys(self.keys.get(index), self.motion, self.image)


class FrameAlignedAttention:
    """Self-attention of a block.

    Args:
        dense: The block's own processor, which runs over the driving video.
    """

    def __init__(self, dense: Callable[..., Tensor]) -> None:
        self._dense = dense

    def __call__(self, attn: Any, hidden_states: Tensor, **call: Any) -> Tensor:
        """Return the output, shape (n, tokens, width), as diffusers' processor does."""
        if call["kv_cache_mode"] == "extract":
            return self._dense(attn, hidden_states, **call)
        return _attend(attn, hidden_states, **call)


def _attend(
    attn: Any,
    hidden_states: Tensor,
    *,
    rotary_emb: Tensor,
    grid_sizes: Tensor,
    kv_cache: ScaledKeys,
    rope_stride: int,
    reference_rotary_emb: Tensor,
    reference_grid_sizes: Tensor,
    reference_rope_stride: int,
    **_: Any,
) -> Tensor:
    from diffusers.models.transformers.transformer_wan_animate_2 import rope_apply

    query = attn.norm_q(attn.to_q(hidden_states)).unflatten(2, (attn.heads, -1))
    key = attn.norm_k(attn.to_k(hidden_states)).unflatten(2, (attn.heads, -1))
    value = attn.to_v(hidden_states).unflatten(2, (attn.heads, -1))
    # It computes in float64 and returns float32.
    query = rope_apply(query, grid_sizes, rotary_emb, rope_stride).type_as(value)
    key = rope_apply(key, grid_sizes, rotary_emb, rope_stride).type_as(value)
    driving_key, driving_value = kv_cache.keys.get(value.device)
    turned = rope_apply(
        driving_key, reference_grid_sizes, reference_rotary_emb, reference_rope_stride
    )
    driving_key = turned.type_as(value)
    if kv_cache.motion is not None:
        driving_value = driving_value * kv_cache.motion.to(driving_value.dtype)
    tokens = int(grid_sizes[0, 1] * grid_sizes[0, 2])
    if kv_cache.image is not None:
        image = value[:, :tokens] * kv_cache.image.to(value.dtype)
        value = torch.cat([image, value[:, tokens:]], 1)
    # The first frame is the character's image, which has no frame of the driving video.
    frames = [_scaled_dot_product(query[:, :tokens], key, value)]
    for begin in range(0, query.shape[1] - tokens, tokens):
        span = slice(begin, begin + tokens)
        frames.append(
            _scaled_dot_product(
                query[:, begin + tokens : begin + 2 * tokens],
                torch.cat([key, driving_key[:, span]], 1),
                torch.cat([value, driving_value[:, span]], 1),
            )
        )
    output = torch.cat(frames, 1).flatten(2, 3)
    return attn.to_out[1](attn.to_out[0](output))  # type: ignore[no-any-return]


def _scaled_dot_product(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Attention of tensors of shape (n, tokens, heads, width)."""
    attended: Tensor = torch.nn.functional.scaled_dot_product_attention(
        query.transpose(1, 2), key.transpose(1, 2), value.transpose(1, 2)
    )
    return attended.transpose(1, 2)


class _NoMasks(dict[Any, None]):
    """Masks by size, none of which is ever built."""

    def __contains__(self, size: object) -> bool:
        return True

    def __missing__(self, size: object) -> None:
        return None


def set_attention(network: Any) -> None:
    """Let a transformer use `FrameAlignedAttention`, and build no masks."""
    if isinstance(network.block_masks, _NoMasks):
        return
    for block in network.blocks:
        block.self_attn.set_processor(FrameAlignedAttention(block.self_attn.processor))
    network.block_masks = _NoMasks()


def _fits(device: torch.device, needed: int) -> bool:
    """Whether keys and values of so many bytes stay on a device."""
    if device.type != "cuda":
        return True
    free, _ = torch.cuda.mem_get_info(device)
    spare = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return needed <= _SHARE * (free + spare)


class DrivingVideo(NamedTuple):
    """What the first pass reads, each for one item.

    Attributes:
        latents: Shape (1, channels, frames, height, width).
        prompt: Embeddings of the prompt about the motion, shape (1, tokens, width).
        image_embeds: What the image encoder sees in its first frame, shape (1, patches, width).
    """

    latents: Tensor
    prompt: Tensor
    image_embeds: Tensor | None


def token_grid(latents: Tensor, patch: tuple[int, ...]) -> Tensor:
    """Frames, rows and columns of the tokens of latents, as the transformer takes them."""
    sides = zip(latents.shape[2:], patch, strict=True)
    return torch.tensor([[side // part for side, part in sides]], dtype=torch.long)


def reference_keys(network: Any, video: DrivingVideo) -> ReferenceKeys:
    """Run a transformer over a driving video.

    Args:
        network: A ``WanAnimate2Transformer3DModel``, after `set_attention`.
    """
    latents, dtype, device = video.latents, network.dtype, network.device
    grid = token_grid(latents, network.config.patch_size)
    tokens, layers = int(grid.prod()), int(network.config.num_layers)
    needed = 2 * layers * tokens * int(network.config.dim) * dtype.itemsize
    keys = ReferenceKeys(layers, on_host=not _fits(device, needed))
    clean = latents[0].to(dtype)
    known = torch.ones_like(clean[: network.config.in_dim - 2 * len(clean)])
    embeds = None if video.image_embeds is None else video.image_embeds.to(dtype)
    network(
        [clean],
        timestep=torch.ones(1, device=device, dtype=dtype),
        encoder_hidden_states=[video.prompt[0].to(dtype)],
        encoder_hidden_states_image=embeds,
        # All frames are known.
        condition_latents=[torch.cat([known, clean])],
        kv_cache=keys,
        kv_cache_mode="extract",
        seq_len=tokens,
        offset_grid_sizes=grid,
        return_dict=False,
    )
    return keys


class _Pass(NamedTuple):
    """A first pass that was computed. It holds its video weakly, as the video's end is its own."""

    network: ref[Any]
    video: tuple[ref[Tensor] | None, ...]
    keys: ReferenceKeys

    def is_of(self, network: Any, video: DrivingVideo) -> bool:
        """Whether it is of this transformer, and of a video of the same content."""
        return self.network() is network and all(
            _is_same(None if known is None else known(), item)
            for known, item in zip(self.video, video, strict=True)
        )


def _is_same(first: Tensor | None, second: Tensor | None) -> bool:
    if first is None or second is None:
        return first is second
    return first is second or (first.shape == second.shape and bool(torch.equal(first, second)))


class PassStore:
    """First passes of samplings that run, by the latents of the video as a prompt has them.

    All sides and steps of a sampling share one. It ends with the last prompt that has the video.
    """

    def __init__(self) -> None:
        self._passes: Any = None

    def keys(self, network: Any, video: DrivingVideo) -> ReferenceKeys:
        """Return the keys and values of a video; computed where they are not known."""
        from torch.utils.weak import WeakIdKeyDictionary

        if self._passes is None:
            self._passes = WeakIdKeyDictionary()
        passes = self._passes
        known = passes.get(video.latents)
        if known is None or known.network() is not network:
            known = next((item for item in passes.values() if item.is_of(network, video)), None)
        if known is None:
            held = tuple(None if item is None else ref(item) for item in video)
            known = _Pass(ref(network), held, reference_keys(network, video))
        passes[video.latents] = known
        return known.keys  # type: ignore[no-any-return]
