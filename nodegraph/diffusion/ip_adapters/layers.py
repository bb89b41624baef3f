"""UNets that are led by pictures, over weights that they share with others."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from diffusers.models.attention_processor import IPAdapterAttnProcessor2_0
from diffusers.models.embeddings import MultiIPAdapterImageProjection
from torch import Tensor, nn

from nodegraph.core.values import Adapter
from nodegraph.diffusion.adapters.layers import structural_copy
from nodegraph.diffusion.building import reading
from nodegraph.diffusion.weight_files import read_tensors


def with_pictures(unet: Any, adapters: Sequence[Adapter]) -> nn.Module:
    """A UNet with IP-Adapters; the given one stays as it is, and shares its weights.

    Attention is worked out by diffusers' own classes, and files are brought into them by its
    converters; those are asked for one thing each, as what it offers as a whole would also bring
    the shared weights into another precision where they are kept in few bits.

    Raises:
        InvalidFile: A file doesn't fit the UNet.
    """
    twin = structural_copy(unet)
    with reading(Path(adapters[0].source)):
        files = [_parts(Path(item.source)) for item in adapters]
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
    found: nn.Module = twin
    return found


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
