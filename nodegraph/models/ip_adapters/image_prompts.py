"""IP-Adapters on a UNet, and the encoded images that they read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from diffusers.models.attention_processor import IPAdapterAttnProcessor2_0
from diffusers.models.embeddings import MultiIPAdapterImageProjection
from torch import Tensor, nn
from transformers import CLIPImageProcessor, SiglipImageProcessor

from nodegraph.core.values import Adapter, Conditioning, ConditioningEntry, DiffusionModel
from nodegraph.errors import InvalidFile, InvalidValue
from nodegraph.families.building import building_from
from nodegraph.families.components import Component
from nodegraph.families.image_conditioning import image_embeds_name, mask_name
from nodegraph.media.images.images import to_pil
from nodegraph.models.adapters.layer_changes import structural_copy
from nodegraph.models.adapters.layer_matching import recipe_layers
from nodegraph.models.ip_adapters.image_prompt_files import (
    IP_ADAPTER,
    SIGLIP_TYPE,
    IPAdapterChoice,
    check_ip_adapter_family,
    read_ip_adapter,
)
from nodegraph.weights.weight_files import read_tensors


def attach_ip_adapters(unet: Any, adapters: Sequence[Adapter]) -> nn.Module:
    """A UNet with IP-Adapters; the given one stays as it is, and shares its weights.

    Attention is worked out by diffusers' own classes, and files are brought into them by its
    converters; those are asked for one thing each, as what it offers as a whole would also bring
    the shared weights into another precision where they are kept in few bits.

    Raises:
        InvalidFile: A file doesn't fit the UNet.
    """
    twin = structural_copy(unet)
    with building_from(Path(adapters[0].source)):
        files = [_parts(Path(item.source)) for item in adapters]
        if twin.config.encoder_hid_dim_type == "text_proj":
            # Where the UNet of Kolors looks for the projection of its prompts then.
            twin.text_encoder_hid_proj = twin.encoder_hid_proj
        twin.encoder_hid_proj = None
        processors = twin._convert_ip_adapter_attn_to_diffusers(files, low_cpu_mem_usage=False)
        for processor in processors.values():
            if isinstance(processor, IPAdapterAttnProcessor2_0):
                processor.scale = [item.strength for item in adapters]
                processor.to(twin.device, twin.dtype).requires_grad_(False)
        twin.set_attn_processor(processors)
        projections = [
            twin._convert_ip_adapter_image_proj_to_diffusers(
                file["image_proj"], low_cpu_mem_usage=False
            )
            for file in files
        ]
        projection = MultiIPAdapterImageProjection(projections).eval().requires_grad_(False)
        twin.encoder_hid_proj = projection.to(twin.device, twin.dtype)
        twin.register_to_config(encoder_hid_dim_type="ip_image_proj")
    copied: nn.Module = twin
    return copied


def _parts(path: Path) -> dict[str, dict[str, Tensor]]:
    tensors = read_tensors([path], "float32")
    return {
        part: {
            name.removeprefix(f"{part}."): tensor
            for name, tensor in tensors.items()
            if name.startswith(f"{part}.")
        }
        for part in ("image_proj", "ip_adapter")
    }


def next_adapter_index(model: DiffusionModel) -> int:
    """How many IP-Adapters are on a model: the place of the next."""
    return sum(item.kind == IP_ADAPTER for item in model.adapters)


def with_ip_adapter(
    model: DiffusionModel, adapter: IPAdapterChoice, strength: float
) -> DiffusionModel:
    """A model's recipe with an IP-Adapter on it.

    Raises:
        InvalidFile: It isn't for this model.
        InvalidValue: It is for another family; on port ``ip_adapter``.
    """
    file = read_ip_adapter(adapter.source, ())
    check_ip_adapter_family(file.family, model.family)
    layers = recipe_layers(model)
    if layers is not None:
        (of_model,) = layers.values()
        own = [shape for name, shape in of_model.shapes.items() if name.endswith("attn2.to_k")]
        if sorted(own) != sorted(file.layers):
            raise InvalidFile(
                f"{file.path} is not for this model: it adapts {len(file.layers)} layers "
                f"that read {file.layers[0][1]} channels, and the model has {len(own)} that "
                f"read {own[0][1] if own else 0}",
                hint="Use an IP-Adapter for models of this kind.",
            )
    put = Adapter(IP_ADAPTER, adapter.source, adapter.digest, strength)
    return replace(model, adapters=(*model.adapters, put))


@torch.no_grad()
def embed_images(
    encoder: Component, image: Tensor, *, reads_patches: bool
) -> tuple[Tensor, Tensor]:
    """What images show, and what stands for no image.

    Args:
        image: In 0..1, shape (images, height, width, 3 or 4).
    Returns:
        Both float32 on the CPU, (1, images, width) or (1, images, patches, width).
    """
    processor = _processor(encoder.module.config)
    pictures = [to_pil(item[None, ..., :3]).convert("RGB") for item in image]
    pixels = processor(pictures, return_tensors="pt").pixel_values
    pixels = pixels.to(encoder.device, encoder.dtype)
    if reads_patches:
        shown, nothing = (
            patch_states(encoder.module, item) for item in (pixels, torch.zeros_like(pixels))
        )
    else:
        shown = _embedding(encoder.module, pixels)
        nothing = torch.zeros_like(shown)
    return tuple(item[None].to("cpu", torch.float32) for item in (shown, nothing))  # type: ignore[return-value]


def _processor(config: Any) -> Any:
    """What makes images ready for an image encoder. SigLIP's images are not cropped."""
    size = config.image_size
    if config.model_type == SIGLIP_TYPE:
        return SiglipImageProcessor(size={"height": size, "width": size})
    return CLIPImageProcessor(size=size, crop_size=size)


def _embedding(encoder: Any, pixels: Tensor) -> Tensor:
    """What an image encoder says of whole images, (images, width). SigLIP has no projection."""
    output = encoder(pixels)
    is_siglip = encoder.config.model_type == SIGLIP_TYPE
    embedding: Tensor = output.pooler_output if is_siglip else output.image_embeds
    return embedding


def patch_states(encoder: Any, pixels: Tensor) -> Tensor:
    """What an image encoder says of each patch, (images, patches, width): the last but one hidden
    states of CLIP, and the last ones of SigLIP after its norm.

    Args:
        pixels: As its processor returns them, on its device.
    """
    if encoder.config.model_type == SIGLIP_TYPE:
        last: Tensor = encoder(pixels).last_hidden_state
        return last
    features: Tensor = encoder(pixels, output_hidden_states=True).hidden_states[-2]
    return features


def picture_mask(mask: Tensor, pictures: int) -> Tensor:
    """Where images lead: 0 or 1, shape (1, images, height, width).

    Args:
        mask: In 0..1, shape (1 or images, height, width); from a half up they lead.
    Raises:
        InvalidValue: There are as many masks as neither one nor images.
    """
    if len(mask) not in (1, pictures):
        raise InvalidValue(
            "the number of masks is neither 1 nor the number of images",
            port="mask",
            given=str(len(mask)),
            expected=f"1 or {pictures}",
        )
    return (mask >= 0.5).float().expand(pictures, -1, -1)[None].contiguous()


def with_image_embeds(
    conditioning: Conditioning,
    index: int,
    embeds: Tensor,
    negative_embeds: Tensor,
    mask: Tensor | None,
    *,
    is_negative: bool = False,
) -> Conditioning:
    """Prompts that say what an IP-Adapter's images show; the empty one, that there are none.

    Args:
        index: Of the adapter on the model.
        embeds, negative_embeds: As `embed_images` gave them.
        mask: As `picture_mask` gave it.
        is_negative: Whether they are what is to be stayed away from: nothing is shown then.
    """

    def with_tokens(entry: ConditioningEntry, tokens: Tensor) -> ConditioningEntry:
        more = {image_embeds_name(index): tokens}
        if mask is not None:
            more[mask_name(index)] = mask
        return replace(entry, tensors={**entry.tensors, **more})

    features = negative_embeds if is_negative else embeds
    empty = conditioning.unconditional
    return replace(
        conditioning,
        entries=tuple(with_tokens(entry, features) for entry in conditioning.entries),
        unconditional=None if empty is None else with_tokens(empty, negative_embeds),
    )


@torch.no_grad()
def redux_tokens(redux: Component, image: Tensor) -> Tensor:
    """What is said of images.

    Args:
        image: In 0..1, shape (images, height, width, 3 or 4).
    Returns:
        float32 on the CPU, (1, images · patches, width).
    """
    eyes, embedder = redux.modules["image_encoder"], redux.modules["image_embedder"]
    size = eyes.config.image_size
    processor = SiglipImageProcessor(size={"height": size, "width": size})
    embeddings = []
    for item in image:
        pixels = processor(to_pil(item[..., :3]).convert("RGB"), return_tensors="pt").pixel_values
        features = eyes(pixels.to(redux.device, redux.dtype)).last_hidden_state
        embeddings.append(embedder(features).image_embeds)
    return torch.cat(embeddings, 1).to("cpu", torch.float32)


def with_tokens(conditioning: Conditioning, words: Tensor, strength: float) -> Conditioning:
    """Prompts that go on with what is said of images.

    Args:
        words: As `redux_tokens` gave them.
        strength: That they are multiplied by.
    Raises:
        InvalidValue: They are of another width than the prompt's.
    """

    def longer(entry: ConditioningEntry) -> ConditioningEntry:
        if entry.embeddings.shape[-1] != words.shape[-1]:
            raise InvalidValue(
                "the Redux embeddings and the prompt differ in width",
                port="conditioning",
                given=f"width {entry.embeddings.shape[-1]}",
                expected=f"width {words.shape[-1]}",
                hint="Redux works with prompts of Flux.1.",
            )
        both = torch.cat([entry.embeddings, words * strength], 1)
        return replace(entry, tensors={**entry.tensors, "embeddings": both})

    return replace(conditioning, entries=tuple(map(longer, conditioning.entries)))
