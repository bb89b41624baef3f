"""ComfyUI's modules ``comfy.utils`` and ``node_helpers``: tensors, state dicts, progress."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nodegraph.core.context import Environment
from nodegraph.errors import UnsafeFile
from nodegraph.interop.comfyui.packs.model_handle import current_call, refused

_HEADER_LENGTH = 8


# Resizing


def common_upscale(
    samples: Tensor, width: int, height: int, upscale_method: str, crop: str
) -> Tensor:
    """Resize images or latents.

    Args:
        samples: Shape (batch, channels, height, width), or with frames before the height.
        upscale_method: ``nearest-exact``, ``bilinear``, ``area``, ``bicubic``, ``bislerp`` or
            ``lanczos``.
        crop: ``center`` cuts to the new proportions first, ``disabled`` stretches.
    """
    planes = samples
    if samples.ndim == 5:
        planes = samples.movedim(2, 1).reshape(-1, samples.shape[1], *samples.shape[-2:])
    if crop == "center":
        planes = _cropped(planes, width / height)
    if upscale_method == "bislerp":
        resized = bislerp(planes, width, height)
    elif upscale_method == "lanczos":
        resized = lanczos(planes, width, height)
    else:
        resized = torch.nn.functional.interpolate(planes, size=(height, width), mode=upscale_method)
    if samples.ndim == 5:
        frames = samples.shape[0], samples.shape[2]
        resized = resized.reshape(*frames, *resized.shape[1:]).movedim(1, 2)
    return resized


def _cropped(planes: Tensor, proportion: float) -> Tensor:
    """The middle of images, of a proportion of width to height."""
    rows, columns = planes.shape[-2:]
    now = columns / rows
    left = top = 0
    if now > proportion:
        left = round((columns - columns * (proportion / now)) / 2)
    elif now < proportion:
        top = round((rows - rows * (now / proportion)) / 2)
    return planes.narrow(-2, top, rows - 2 * top).narrow(-1, left, columns - 2 * left)


def lanczos(samples: Tensor, width: int, height: int) -> Tensor:
    """Resize images in 0..1 by Pillow's Lanczos filter, in 8 bits."""
    import numpy as np
    from PIL import Image

    resized = []
    for picture in samples.movedim(1, -1).cpu().float().numpy():
        pixels = np.clip(255.0 * picture, 0, 255).astype(np.uint8)
        single = pixels.shape[-1] == 1
        image = Image.fromarray(pixels[..., 0] if single else pixels)
        image = image.resize((width, height), resample=Image.Resampling.LANCZOS)
        plane = torch.from_numpy(np.array(image).astype(np.float32) / 255.0)
        resized.append(plane[None] if single else plane.movedim(-1, 0))
    return torch.stack(resized).to(samples.device, samples.dtype)


def bislerp(samples: Tensor, width: int, height: int) -> Tensor:
    """Resize latents by spherical interpolation between the vectors of neighboring cells."""
    from nodegraph.sampling.latents.transforms import resize_cells

    return resize_cells(samples.float(), (height, width), "bislerp").to(samples.dtype)


# Batches and masks


def repeat_to_batch_size(tensor: Tensor, batch_size: int, dim: int = 0) -> Tensor:
    """Cut or repeat a batch to a size."""
    if tensor.shape[dim] > batch_size:
        return tensor.narrow(dim, 0, batch_size)
    if tensor.shape[dim] == batch_size:
        return tensor
    repeats = [1] * tensor.ndim
    repeats[dim] = math.ceil(batch_size / tensor.shape[dim])
    return tensor.repeat(repeats).narrow(dim, 0, batch_size)


def resize_to_batch_size(tensor: Tensor, batch_size: int) -> Tensor:
    """Spread the items of a batch evenly over a batch of another size."""
    count = tensor.shape[0]
    if count == batch_size:
        return tensor
    if batch_size <= 1:
        return tensor[:batch_size]
    if batch_size < count:
        step = (count - 1) / (batch_size - 1)
        indices = [min(count - 1, round(index * step)) for index in range(batch_size)]
    else:
        scale = count / batch_size
        indices = [min(count - 1, math.floor((index + 0.5) * scale)) for index in range(batch_size)]
    return tensor[indices]


def reshape_mask(input_mask: Tensor, output_shape: Sequence[int]) -> Tensor:
    """Bring a mask to the shape of latents: (batch, channels, height, width)."""
    planes = input_mask.reshape(-1, 1, *input_mask.shape[-2:])
    sides = tuple(output_shape[-2:])
    planes = torch.nn.functional.interpolate(planes, size=sides, mode="bilinear")
    if planes.shape[1] < output_shape[1]:
        planes = planes.repeat(1, output_shape[1], 1, 1)[:, : output_shape[1]]
    return repeat_to_batch_size(planes, output_shape[0])


# Tiles


def get_tiled_scale_steps(width: int, height: int, tile_x: int, tile_y: int, overlap: int) -> int:
    """Number of tiles of an image."""
    rows = 1 if height <= tile_y else math.ceil((height - overlap) / (tile_y - overlap))
    columns = 1 if width <= tile_x else math.ceil((width - overlap) / (tile_x - overlap))
    return rows * columns


def tiled_scale(
    samples: Tensor,
    function: Callable[[Tensor], Tensor],
    tile_x: int = 64,
    tile_y: int = 64,
    overlap: int = 8,
    upscale_amount: float = 4,
    out_channels: int = 3,
    output_device: Any = "cpu",
    pbar: Any = None,
) -> Tensor:
    """Apply a function that scales images to overlapping tiles, and blend the results."""
    return tiled_scale_multidim(
        samples,
        function,
        (tile_y, tile_x),
        overlap=overlap,
        upscale_amount=upscale_amount,
        out_channels=out_channels,
        output_device=output_device,
        pbar=pbar,
    )


@torch.inference_mode()
def tiled_scale_multidim(
    samples: Tensor,
    function: Callable[[Tensor], Tensor],
    tile: Sequence[int] = (64, 64),
    overlap: Any = 8,
    upscale_amount: Any = 4,
    out_channels: int = 3,
    output_device: Any = "cpu",
    downscale: bool = False,
    index_formulas: Any = None,
    pbar: Any = None,
) -> Tensor:
    """As `tiled_scale`, over any number of axes."""
    axes = len(tile)
    overlaps = list(overlap) if isinstance(overlap, (list, tuple)) else [overlap] * axes
    factors = (
        list(upscale_amount)
        if isinstance(upscale_amount, (list, tuple))
        else [upscale_amount] * axes
    )
    if index_formulas is not None and list(index_formulas) != factors:
        raise refused("comfy.utils.tiled_scale_multidim(index_formulas=…)", "tiles are even here")
    sides = [
        _scaled(side, factor, downscale)
        for side, factor in zip(samples.shape[2:], factors, strict=True)
    ]
    joined = []
    for item in samples:
        total = torch.zeros(1, out_channels, *sides, device=output_device)
        weights = torch.zeros(1, 1, *sides, device=output_device)
        for starts in _tile_starts(samples.shape[2:], tile, overlaps):
            part = item[None]
            for axis, (start, length) in enumerate(zip(starts, tile, strict=True), 2):
                part = part.narrow(axis, start, min(length, part.shape[axis] - start))
            result = function(part).to(output_device)
            offsets = [
                _scaled(start, factor, downscale)
                for start, factor in zip(starts, factors, strict=True)
            ]
            weight = torch.ones_like(result[:, :1])
            for axis, (shared, factor) in enumerate(zip(overlaps, factors, strict=True), 2):
                _feather(weight, axis, _scaled(shared, factor, downscale))
            _add_at(total, result * weight, offsets)
            _add_at(weights, weight, offsets)
            if pbar is not None:
                pbar.update(1)
        joined.append(total / weights)
    return torch.cat(joined)


def _add_at(total: Tensor, values: Tensor, offsets: Sequence[int]) -> None:
    """Add values to a part of a sum."""
    for axis, offset in enumerate(offsets, 2):
        total = total.narrow(axis, offset, values.shape[axis])
    total += values


def _scaled(side: int, factor: Any, downscale: bool) -> int:
    scaled: float = factor(side) if callable(factor) else side * factor
    return round(side / factor if downscale and not callable(factor) else scaled)


def _tile_starts(
    sides: Iterable[int], tile: Sequence[int], overlaps: Sequence[int]
) -> Iterator[tuple[int, ...]]:
    """Where tiles begin: the last of an axis ends where the image does."""
    by_axis = []
    for side, length, shared in zip(sides, tile, overlaps, strict=True):
        if side <= length:
            by_axis.append([0])
        else:
            starts = range(0, side - shared, max(1, length - shared))
            by_axis.append(sorted({max(0, min(side - length, start)) for start in starts}))
    return product(*by_axis)


def _feather(weight: Tensor, axis: int, length: int) -> None:
    """Fade a tile's weight in and out along an axis."""
    for step in range(min(length, weight.shape[axis] // 2)):
        weight.narrow(axis, step, 1).mul_((step + 1) / length)
        weight.narrow(axis, weight.shape[axis] - 1 - step, 1).mul_((step + 1) / length)


# State dicts


class StateDict(dict[str, Any]):
    """Tensors of a file by name; loaders of models use the file if nothing of it was changed.

    Attributes:
        path: The file.
    """

    def __init__(self, tensors: Mapping[str, Any], path: str) -> None:
        super().__init__(tensors)
        self.path = path
        self._original = {name: id(tensor) for name, tensor in self.items()}

    @property
    def is_original(self) -> bool:
        """Whether it has the tensors of the file, and no others."""
        return {name: id(tensor) for name, tensor in self.items()} == self._original


def load_torch_file(
    ckpt: str, safe_load: bool = False, device: Any = None, return_metadata: bool = False
) -> Any:
    """Read the tensors of a file.

    Files in pickle format are read without code of theirs (``weights_only``).

    Raises:
        UnsafeFile: A pickle file holds more than tensors and plain values.
    """
    import pickle

    target = "cpu" if device is None else str(device)
    metadata: dict[str, str] | None = None
    if str(ckpt).lower().endswith((".safetensors", ".sft")):
        from safetensors import safe_open

        with safe_open(str(ckpt), framework="pt", device=target) as file:
            metadata = file.metadata()
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    else:
        try:
            tensors = torch.load(str(ckpt), map_location=target, weights_only=True)
        except pickle.UnpicklingError as error:
            raise UnsafeFile(
                f"{ckpt} holds more than tensors: reading it could run code",
                hint="Convert it to .safetensors.",
            ) from error
        tensors = tensors.get("state_dict", tensors) if isinstance(tensors, dict) else tensors
    loaded = StateDict(tensors, str(ckpt)) if isinstance(tensors, dict) else tensors
    return (loaded, metadata) if return_metadata else loaded


def save_torch_file(
    sd: Mapping[str, Tensor], ckpt: str, metadata: dict[str, str] | None = None
) -> None:
    """Write tensors to a .safetensors file."""
    from safetensors.torch import save_file

    save_file({name: item.contiguous() for name, item in sd.items()}, str(ckpt), metadata=metadata)


def safetensors_header(safetensors_path: str, max_size: int = 100 * 1024 * 1024) -> bytes | None:
    """Return the header of a .safetensors file as JSON bytes; None if it is too large."""
    with Path(safetensors_path).open("rb") as file:
        length = int.from_bytes(file.read(_HEADER_LENGTH), "little")
        return None if length > max_size else file.read(length)


def state_dict_prefix_replace(
    state_dict: dict[str, Any], replace_prefix: Mapping[str, str], filter_keys: bool = False
) -> dict[str, Any]:
    """Replace prefixes of names; with `filter_keys`, return the renamed tensors only."""
    renamed: dict[str, Any] = {} if filter_keys else state_dict
    for before, after in replace_prefix.items():
        for name in [name for name in state_dict if name.startswith(before)]:
            renamed[after + name[len(before) :]] = state_dict.pop(name)
    return renamed


def state_dict_key_replace(
    state_dict: dict[str, Any], keys_to_replace: Mapping[str, str]
) -> dict[str, Any]:
    """Rename tensors."""
    for before, after in keys_to_replace.items():
        if before in state_dict:
            state_dict[after] = state_dict.pop(before)
    return state_dict


def calculate_parameters(sd: Mapping[str, Tensor], prefix: str = "") -> int:
    """Number of values in the tensors of a prefix."""
    return sum(item.nelement() for name, item in sd.items() if name.startswith(prefix))


def weight_dtype(sd: Mapping[str, Tensor], prefix: str = "") -> Any:
    """Precision of most values in the tensors of a prefix; None if there are none."""
    counts: dict[Any, int] = {}
    for name, item in sd.items():
        if name.startswith(prefix):
            counts[item.dtype] = counts.get(item.dtype, 0) + item.nelement()
    return max(counts, key=lambda dtype: counts[dtype]) if counts else None


def convert_sd_to(state_dict: dict[str, Tensor], dtype: Any) -> dict[str, Tensor]:
    """Bring tensors to a precision."""
    for name in state_dict:
        state_dict[name] = state_dict[name].to(dtype)
    return state_dict


def get_attr(obj: Any, attr: str) -> Any:
    """Return an attribute by a dotted name."""
    for name in attr.split("."):
        obj = getattr(obj, name)
    return obj


def set_attr(obj: Any, attr: str, value: Any) -> Any:
    """Set an attribute by a dotted name, and return what it was."""
    *path, last = attr.split(".")
    for name in path:
        obj = getattr(obj, name)
    before = getattr(obj, last)
    setattr(obj, last, value)
    return before


def set_attr_param(obj: Any, attr: str, value: Tensor) -> Any:
    """Set a parameter of a module by a dotted name."""
    return set_attr(obj, attr, torch.nn.Parameter(value, requires_grad=False))


def string_to_seed(data: str) -> int:
    """Return a number for a text: its CRC-32."""
    import zlib

    return zlib.crc32(data.encode())


# Progress


class ProgressBar:
    """Progress of the node that runs."""

    def __init__(self, total: int, node_id: Any = None) -> None:
        self.total = total
        self.current = 0

    def update_absolute(self, value: int, total: int | None = None, preview: Any = None) -> None:
        """Report that so many steps are done.

        Args:
            preview: ComfyUI's triple of a format, a Pillow image and its longest side.
        Raises:
            Cancelled: The run was cancelled.
        """
        self.total = self.total if total is None else total
        self.current = min(int(value), int(self.total))
        context = current_call.get()
        if context is not None:
            show = None if preview is None else lambda: preview_image(preview)
            context.progress(self.current, int(self.total), preview=show)

    def update(self, value: int) -> None:
        """Report that so many more steps are done."""
        self.update_absolute(self.current + value)


def preview_image(preview: Any) -> Tensor:
    """Convert a preview of ComfyUI to an Image: a Pillow image, or a triple around one."""
    import numpy as np

    picture = preview[1] if isinstance(preview, (list, tuple)) else preview
    pixels = np.asarray(picture.convert("RGB"), dtype=np.float32) / 255
    return torch.from_numpy(pixels)[None]


def _no_hook(function: Any) -> None:
    raise refused(
        "comfy.utils.set_progress_bar_global_hook",
        "progress belongs to the node that runs",
        "Use ComfyUI's ProgressBar.",
    )


# node_helpers


def conditioning_set_values(
    conditioning: Sequence[Any], values: Mapping[str, Any] | None = None, append: bool = False
) -> list[Any]:
    """Return prompts with entries of their dicts set; with `append`, lists are added to."""
    changed = []
    for tensor, before in conditioning:
        after = dict(before)
        for name, value in (values or {}).items():
            known = after.get(name)
            after[name] = known + value if append and known is not None else value
        changed.append([tensor, after])
    return changed


def pillow(fn: Callable[[Any], Any], arg: Any) -> Any:
    """Call a function of Pillow; damaged parts of a file are tolerated in a second try."""
    from PIL import ImageFile, UnidentifiedImageError

    try:
        return fn(arg)
    except (OSError, UnidentifiedImageError, ValueError):
        before = ImageFile.LOAD_TRUNCATED_IMAGES
        ImageFile.LOAD_TRUNCATED_IMAGES = True
        try:
            return fn(arg)
        finally:
            ImageFile.LOAD_TRUNCATED_IMAGES = before


def image_alpha_fix(destination: Tensor, source: Tensor) -> tuple[Tensor, Tensor]:
    """Bring two images to one number of channels: transparency is cut off or added."""
    if destination.shape[-1] < source.shape[-1]:
        source = source[..., : destination.shape[-1]]
    elif destination.shape[-1] > source.shape[-1]:
        destination = torch.nn.functional.pad(destination, (0, 1))
        destination[..., -1] = 1.0
    return destination, source


def string_to_torch_dtype(string: str) -> Any:
    """Return the precision of a short name; None for others."""
    return {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}.get(string)


def modules(environment: Environment, pack: Path | None) -> dict[str, dict[str, Any]]:
    """The names of ``comfy.utils`` and ``node_helpers``."""
    own = (
        *(common_upscale, lanczos, bislerp, repeat_to_batch_size, resize_to_batch_size),
        *(reshape_mask, get_tiled_scale_steps, tiled_scale, tiled_scale_multidim),
        *(load_torch_file, save_torch_file, safetensors_header, state_dict_prefix_replace),
        *(state_dict_key_replace, calculate_parameters, weight_dtype, convert_sd_to),
        *(get_attr, set_attr, set_attr_param, string_to_seed, ProgressBar),
    )
    names: dict[str, Any] = {item.__name__: item for item in own}
    names |= {
        "PROGRESS_BAR_ENABLED": True,
        "PROGRESS_BAR_HOOK": None,
        "set_progress_bar_enabled": lambda enabled: None,
        "set_progress_bar_global_hook": _no_hook,
        "ALWAYS_SAFE_LOAD": True,
    }
    helpers = (conditioning_set_values, pillow, image_alpha_fix, string_to_torch_dtype)
    return {
        "comfy.utils": names,
        "node_helpers": {
            **{item.__name__: item for item in helpers},
            "hasher": lambda: hashlib.sha256,
        },
        "comfy.checkpoint_pickle": {},
    }
