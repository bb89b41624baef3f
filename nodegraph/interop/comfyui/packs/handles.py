"""Handles of a CLIP, VAE, CONTROL_NET and CLIP_VISION; see `model_handle`."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch

from nodegraph.core.values import (
    Conditioning,
    ControlNet,
    DiffusionModel,
    ImageEncoder,
    TextEncoder,
    Vae,
)
from nodegraph.errors import InvalidValue
from nodegraph.families.registry import get_latent_format
from nodegraph.interop.comfyui.packs import latents
from nodegraph.interop.comfyui.packs.model_handle import (
    CONVERTERS,
    INSIDE,
    ModelHandle,
    ModelPartHandle,
    ask,
    channels_of,
    refused,
)
from nodegraph.interop.comfyui.packs.model_handle import current_call as current_call

if TYPE_CHECKING:
    from torch import Tensor


class PromptTokens(dict[str, Any]):
    """ComfyUI's tokens of a prompt: by encoder, lists of (token, weight) for each window.

    Attributes:
        texts: The text of each encoder.
    """

    def __init__(self, tokens: Mapping[str, Any], text: str) -> None:
        super().__init__((name, TokenWindows(windows, text)) for name, windows in tokens.items())
        self.text = text

    def __reduce__(self) -> Any:
        return PromptTokens, (dict(self), self.text)


class TokenWindows(list[Any]):
    """Windows of the tokens of one encoder, with their text.

    Attributes:
        text: The prompt.
        original: The windows as the encoder's tokenizer gave them.
    """

    def __init__(self, windows: Any, text: str) -> None:
        super().__init__(windows)
        self.text = text
        self.original = [list(window) for window in self]

    @property
    def is_original(self) -> bool:
        """Whether they are as they were; windows of nothing may come after them."""
        known = len(self.original)
        return [list(window) for window in self[:known]] == self.original

    def __deepcopy__(self, memo: Any) -> TokenWindows:
        copied = TokenWindows(copy.deepcopy(list(self), memo), self.text)
        copied.original = self.original
        return copied


class ClipHandle(ModelPartHandle):
    """ComfyUI's CLIP.

    Attributes:
        layer_idx: CLIP layer of the prompts, counted from the last, -1. None is the family's own.
    """

    comfy_class = "CLIP"

    def __init__(self, recipe: TextEncoder, layer_idx: int | None = None) -> None:
        self.recipe = recipe
        self.layer_idx = layer_idx
        self.use_clip_schedule = False
        self.tokenizer_options: dict[str, Any] = {}

    def clip_layer(self, layer_idx: int) -> None:
        """Take prompts from another CLIP layer, counted from the last, -1."""
        self.layer_idx = layer_idx
        self.recipe = ask("clip.layer", encoder=self.recipe, skip=-layer_idx)

    def tokenize(self, text: str, return_word_ids: bool = False, **options: Any) -> PromptTokens:
        """Return the tokens of a prompt, by encoder.

        Raises:
            PackError: An image is part of the prompt.
        """
        if options.get("images"):
            raise refused(
                "CLIP.tokenize(images=…)",
                "a separate node encodes images with the prompt",
                "Use the node EncodeEditPrompt.",
            )
        return PromptTokens(ask("clip.tokenize", encoder=self.recipe, text=text), text)

    def conditioning_of(self, tokens: Mapping[str, Any]) -> Conditioning:
        """Encode tokens.

        Raises:
            PackError: The pack changed the tokens: prompts are encoded from their text.
        """
        texts: dict[str, str] = {}
        for name, windows in tokens.items():
            if not isinstance(windows, TokenWindows) or not windows.is_original:
                raise refused(
                    f"CLIP.encode_from_tokens with other tokens of `{name}`",
                    "prompts are encoded from their text in the main worker",
                    "Write weights into the prompt: (words:1.2).",
                )
            texts[name] = windows.text
        encoded: Conditioning = ask("clip.encode", encoder=self.recipe, texts=texts)
        return encoded

    def encode_from_tokens(
        self, tokens: Any, return_pooled: Any = False, return_dict: bool = False
    ) -> Any:
        """Return the embeddings of a prompt, with its pooled one if wanted."""
        encoded = CONVERTERS["CONDITIONING"](self.conditioning_of(tokens))
        if len(encoded) != 1:
            raise refused("CLIP.encode_from_tokens", "the prompt has several parts")
        embeddings, values = encoded[0]
        if return_dict:
            return {"cond": embeddings, **values}
        return (embeddings, values.get("pooled_output")) if return_pooled else embeddings

    def encode_from_tokens_scheduled(
        self,
        tokens: Any,
        unprojected: bool = False,
        add_dict: Mapping[str, Any] | None = None,
        show_pbar: bool = True,
    ) -> list[Any]:
        """Return a CONDITIONING of tokens."""
        encoded = CONVERTERS["CONDITIONING"](self.conditioning_of(tokens))
        return [[tensor, {**values, **(add_dict or {})}] for tensor, values in encoded]

    def encode(self, text: str) -> Any:
        """Return the embeddings of a prompt."""
        return self.encode_from_tokens(self.tokenize(text))

    @property
    def cond_stage_model(self) -> Any:
        """Refuse access to the encoders themselves."""
        raise refused("CLIP.cond_stage_model", INSIDE)

    def add_patches(self, patches: Any, *strengths: Any) -> Any:
        """Refuse patches of weights other than those of a LoRA file."""
        raise refused(
            "CLIP.add_patches",
            "weights are changed by files alone",
            "Load the LoRA by `comfy.sd.load_lora_for_models` or the node LoraLoader.",
        )

    def load_model(self) -> ClipHandle:
        """Do nothing: the main worker loads weights when they are needed."""
        return self


class VaeHandle(ModelPartHandle):
    """ComfyUI's VAE. Images are (batch, height, width, channels) in 0..1."""

    comfy_class = "VAE"

    def __init__(self, recipe: Vae) -> None:
        self.recipe = recipe
        form = get_latent_format(recipe.family)
        self.latent_dim = 3 if form.temporal else 2
        self.downscale_ratio = self.upscale_ratio = form.spatial
        self.output_channels = 3
        self.size = None
        latents.note_format(recipe.family)

    @property
    def latent_channels(self) -> int:
        """Channels of its latents."""
        return channels_of(self.recipe)

    @property
    def first_stage_model(self) -> Any:
        """Refuse access to the autoencoder itself."""
        raise refused("VAE.first_stage_model", INSIDE)

    def spacial_compression_encode(self) -> int:
        """Pixels along a side of a latent cell."""
        return int(self.downscale_ratio)

    spacial_compression_decode = spacial_compression_encode

    def temporal_compression_decode(self) -> int | None:
        """Frames of a latent frame; None for images."""
        return get_latent_format(self.recipe.family).temporal or None

    def throw_exception_if_invalid(self) -> None:
        """Do nothing: recipes of VAEs are checked as they are opened."""

    def encode(self, pixels: Tensor, tile: int = 0, overlap: int = 64) -> Tensor:
        """Return the latents of images; of a video VAE, of one video."""
        latent = ask("vae.encode", vae=self.recipe, pixels=pixels, tile=tile, overlap=overlap)
        samples: Tensor = latents.to_comfy_latent(latent)["samples"]
        return samples

    def encode_tiled(
        self, pixels: Tensor, tile_x: int = 512, tile_y: int = 512, overlap: int = 64, **_: Any
    ) -> Tensor:
        """As `encode`, in tiles; sizes in pixels."""
        return self.encode(pixels, max(tile_x, tile_y), overlap)

    def decode(self, samples: Tensor, tile: int = 0, overlap: int = 64) -> Tensor:
        """Return the images of latents; of videos (batch, frames, height, width, channels)."""
        latent = latents.from_comfy_latent({"samples": samples, "nodegraph_format": self._format})
        if latent.samples is None:
            zeros = samples.detach().to("cpu", dtype=torch.float32)
            latent = replace(latent, samples=latents.scale(zeros, self._format))
        images: Tensor = ask(
            "vae.decode", vae=self.recipe, latent=latent, tile=tile, overlap=overlap
        )
        return images

    def decode_tiled(
        self,
        samples: Tensor,
        tile_x: int = 64,
        tile_y: int = 64,
        overlap: int | None = None,
        **_: Any,
    ) -> Tensor:
        """As `decode`, in tiles; sizes in latent cells."""
        cell = int(self.downscale_ratio)
        blend = 16 if overlap is None else overlap
        return self.decode(samples, max(tile_x, tile_y) * cell, blend * cell)

    @property
    def _format(self) -> str:
        return str(self.recipe.family)


class ControlNetHandle(ModelPartHandle):
    """ComfyUI's CONTROL_NET, and the ``control`` of a CONDITIONING.

    Attributes:
        hint: Control image (batch, channels, height, width) in 0..1; None until it is set.
        previous_controlnet: The one that applies before it.
    """

    comfy_class = "ControlNet"

    def __init__(self, recipe: ControlNet) -> None:
        self.recipe = recipe
        self.cond_hint_original: Tensor | None = None
        self.strength = 1.0
        self.timestep_percent_range = (0.0, 1.0)
        self.vae: VaeHandle | None = None
        self.mode = "none"
        self.mask: Tensor | None = None
        self.previous_controlnet: ControlNetHandle | None = None
        self.global_average_pooling = False
        self.known: Any = None
        """The control that this handle came with from a native node, if nothing was set since."""

    def copy(self) -> ControlNetHandle:
        """Return a copy without a control image before it."""
        copied = copy.copy(self)
        copied.previous_controlnet = None
        return copied

    def set_cond_hint(
        self,
        cond_hint: Tensor,
        strength: float = 1.0,
        timestep_percent_range: tuple[float, float] = (0.0, 1.0),
        vae: VaeHandle | None = None,
        extra_concat: Any = (),
    ) -> ControlNetHandle:
        """Set the control image, and how strongly and when it applies."""
        self.cond_hint_original, self.strength = cond_hint, strength
        self.timestep_percent_range, self.vae = timestep_percent_range, vae
        self.mask = extra_concat[0] if len(extra_concat) else None
        self.known = None
        return self

    def set_previous_controlnet(self, controlnet: ControlNetHandle | None) -> ControlNetHandle:
        """Set the one that applies before it."""
        self.previous_controlnet = controlnet
        return self

    def set_extra_arg(self, argument: str, value: Any = None) -> None:
        """Set an option: ``control_type``, the kind of image of a union network.

        Raises:
            PackError: Another option.
        """
        raise refused(
            f"CONTROL_NET.set_extra_arg({argument!r})",
            "the kind of image of a union network is set by name",
            "Use the native node ApplyControlNet with its input `mode`.",
        )

    @property
    def control_model(self) -> Any:
        """Refuse access to the network itself."""
        raise refused("CONTROL_NET.control_model", INSIDE)


class ClipVisionOutput:
    """ComfyUI's CLIP_VISION_OUTPUT."""

    def __init__(self, tensors: Mapping[str, Any]) -> None:
        self.image_embeds = tensors["image_embeds"]
        self.last_hidden_state = tensors["last_hidden_state"]
        self.penultimate_hidden_states = tensors["penultimate_hidden_states"]
        self.mm_projected = None

    def __getitem__(self, name: str) -> Any:
        return getattr(self, name)


class ClipVisionHandle(ModelPartHandle):
    """ComfyUI's CLIP_VISION."""

    comfy_class = "ClipVisionModel"

    def __init__(self, recipe: ImageEncoder) -> None:
        self.recipe = recipe

    def encode_image(self, image: Tensor, crop: bool = True) -> ClipVisionOutput:
        """Return what the encoder says of images (batch, height, width, channels) in 0..1.

        Raises:
            PackError: The images are not to be cropped.
        """
        if not crop:
            raise refused("CLIP_VISION.encode_image(crop=False)", "images are always cropped")
        return ClipVisionOutput(ask("vision.encode", encoder=self.recipe, image=image))


HANDLES: Mapping[str, tuple[type[Any], type[Any]]] = {
    "MODEL": (ModelHandle, DiffusionModel),
    "CLIP": (ClipHandle, TextEncoder),
    "VAE": (VaeHandle, Vae),
    "CONTROL_NET": (ControlNetHandle, ControlNet),
    "CLIP_VISION": (ClipVisionHandle, ImageEncoder),
}
"""ModelPartHandle and recipe of each of ComfyUI's types."""


def handle_of(recipe: Any, comfy_type: str) -> Any:
    """Return the handle of a recipe.

    Args:
        comfy_type: One of `HANDLES`.
    """
    kind = HANDLES[comfy_type][0]
    return recipe if isinstance(recipe, kind) else kind(recipe)


def recipe_of(handle: Any, comfy_type: str) -> Any:
    """Return the recipe of a handle that a pack's node returns.

    A model with patches that recipes do not hold stays the handle, for nodes of the same pack.

    Raises:
        InvalidValue: It is no handle.
        PackError: It has options that no guider knows.
    """
    kind = HANDLES[comfy_type][0]
    if not isinstance(handle, kind):
        raise InvalidValue(
            f"a pack returned its own object as {comfy_type}",
            given=type(handle).__name__,
            expected=f"a {comfy_type} from an input or a loader of `comfy.sd`",
        )
    if isinstance(handle, ModelHandle):
        handle.check_options()
        if handle.is_patched:
            return handle
    return handle.recipe
