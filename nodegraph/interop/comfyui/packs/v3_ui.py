"""What V3 classes of ComfyUI's packs show and report: ``comfy_api.latest.ui`` and `ComfyAPI`."""

from __future__ import annotations

import json
import random
import string
from collections.abc import Iterator, Mapping, Sequence
from enum import Enum
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from nodegraph.errors import InvalidValue
from nodegraph.interop.comfyui.packs import handles

if TYPE_CHECKING:
    from torch import Tensor

_LETTERS = 5
"""Random letters in the name of a temporary file."""


class SavedResult(dict[str, Any]):
    """A file that was saved, as ``ui`` lists it."""

    def __init__(self, filename: str, subfolder: str, type: Any) -> None:
        kind = str(type.value) if isinstance(type, Enum) else str(type)
        super().__init__(filename=filename, subfolder=subfolder, type=kind)

    @property
    def filename(self) -> str:
        return str(self["filename"])

    @property
    def subfolder(self) -> str:
        return str(self["subfolder"])

    @property
    def type(self) -> str:
        return str(self["type"])


class _Shown:
    """Something to show: a key of ``ui`` with its items."""

    key = "images"

    def __init__(self, results: Sequence[Mapping[str, Any]]) -> None:
        self.results = list(results)

    def as_dict(self) -> dict[str, Any]:
        """Return it as V1 classes return ``ui``."""
        return {self.key: [dict(each) for each in self.results]}


class SavedImages(_Shown):
    """Images that were saved.

    Args:
        is_animated: Whether they are one animation.
    """

    def __init__(self, results: Sequence[Mapping[str, Any]], is_animated: bool = False) -> None:
        super().__init__(results)
        self.is_animated = is_animated

    def as_dict(self) -> dict[str, Any]:
        shown = super().as_dict()
        return {**shown, "animated": [True]} if self.is_animated else shown


class SavedAudios(_Shown):
    """Sounds that were saved."""

    key = "audio"


class PreviewText(_Shown):
    """A text."""

    def __init__(self, value: str, **kwargs: Any) -> None:
        self.value = value

    def as_dict(self) -> dict[str, Any]:
        return {"text": [self.value]}


class PreviewImage(_Shown):
    """Images, saved as temporary files."""

    def __init__(self, image: Tensor, animated: bool = False, cls: Any = None, **kwargs: Any):
        saved = ImageSaveHelper.save_images(image, _temporary_name(), "temp", cls, compress_level=1)
        super().__init__(saved)
        self.animated = animated

    def as_dict(self) -> dict[str, Any]:
        return {**super().as_dict(), "animated": [self.animated]}


class PreviewMask(PreviewImage):
    """A mask, saved as a temporary image."""

    def __init__(self, mask: Tensor, animated: bool = False, cls: Any = None, **kwargs: Any):
        planes = mask.reshape(-1, 1, *mask.shape[-2:])
        super().__init__(planes.movedim(1, -1).expand(-1, -1, -1, 3), animated, cls)


class PreviewAudio(SavedAudios):
    """A sound, saved as a temporary file."""

    def __init__(self, audio: Mapping[str, Any], cls: Any = None, **kwargs: Any) -> None:
        saved = AudioSaveHelper.save_audio(audio, _temporary_name(), "temp", cls, format="flac")
        super().__init__(saved)


class PreviewVideo(_Shown):
    """Videos that were saved."""

    def as_dict(self) -> dict[str, Any]:
        return {**super().as_dict(), "animated": [True]}


class PreviewUI3D(_Shown):
    """A 3D file."""

    def __init__(self, model_file: str, camera_info: Any = None, **kwargs: Any) -> None:
        self.model_file, self.camera_info = model_file, camera_info
        self.bg_image_path = kwargs.get("bg_image")

    def as_dict(self) -> dict[str, Any]:
        return {"result": [self.model_file, self.camera_info, self.bg_image_path]}


def _temporary_name() -> str:
    letters = random.choices(string.ascii_lowercase, k=_LETTERS)  # noqa: S311 - a file's name
    return f"ComfyUI_temp_{''.join(letters)}"


def _folder(folder_type: Any) -> tuple[str, str]:
    """Name and path of a folder for files."""
    folder_paths = import_module("folder_paths")  # ComfyUI's, as packs see it
    kind = str(folder_type.value) if isinstance(folder_type, Enum) else str(folder_type)
    return kind, folder_paths.get_directory_by_type(kind)


def _paths(
    prefix: str, folder_type: Any, width: int, height: int
) -> Iterator[tuple[str, Path, str, int]]:
    """Kind of the folder, folder, name, subfolder and number of one file after the other."""
    folder_paths = import_module("folder_paths")
    kind, root = _folder(folder_type)
    folder, name, counter, subfolder, _ = folder_paths.get_save_image_path(
        prefix, root, width, height
    )
    while True:
        yield kind, Path(folder) / name, subfolder, counter
        counter += 1


class ImageSaveHelper:
    """Saves images as ComfyUI does: ``ui.ImageSaveHelper``."""

    @staticmethod
    def save_images(
        images: Tensor,
        filename_prefix: str,
        folder_type: Any,
        cls: Any = None,
        compress_level: int = 4,
    ) -> list[SavedResult]:
        """Save images as PNG files with the prompt in them."""
        metadata = _metadata(cls)
        height, width = images.shape[1:3]
        results = []
        paths = _paths(filename_prefix, folder_type, width, height)
        for at, (image, (kind, base, subfolder, number)) in enumerate(
            zip(images, paths, strict=False)
        ):
            stem = base.name.replace("%batch_num%", str(at))
            file = base.with_name(f"{stem}_{number:05}_.png")
            _pillow(image).save(file, pnginfo=metadata, compress_level=compress_level)
            results.append(SavedResult(file.name, subfolder, kind))
        return results

    @classmethod
    def get_save_images_ui(
        cls,
        images: Tensor,
        filename_prefix: str,
        cls_: Any = None,
        compress_level: int = 4,
        **kwargs: Any,
    ) -> SavedImages:
        """Save images to the output folder and return what to show."""
        owner = kwargs.get("cls", cls_)
        saved = cls.save_images(images, filename_prefix, "output", owner, compress_level)
        return SavedImages(saved)

    @staticmethod
    def save_animated_webp(
        images: Tensor,
        filename_prefix: str,
        folder_type: Any,
        cls: Any,
        fps: float,
        lossless: bool,
        quality: int,
        method: int,
    ) -> SavedResult:
        """Save images as one animation in a WEBP file."""
        pictures = [_pillow(image) for image in images]
        return _animation(
            pictures, filename_prefix, folder_type, "webp", fps,
            lossless=lossless, quality=quality, method=method,
        )  # fmt: skip

    @staticmethod
    def save_animated_png(
        images: Tensor,
        filename_prefix: str,
        folder_type: Any,
        cls: Any,
        fps: float,
        compress_level: int,
    ) -> SavedResult:
        """Save images as one animation in a PNG file."""
        pictures = [_pillow(image) for image in images]
        return _animation(
            pictures, filename_prefix, folder_type, "png", fps,
            pnginfo=_metadata(cls), compress_level=compress_level,
        )  # fmt: skip


def _animation(
    pictures: Sequence[Any], prefix: str, folder_type: Any, ending: str, fps: float, **options: Any
) -> SavedResult:
    width, height = pictures[0].size
    kind, base, subfolder, number = next(_paths(prefix, folder_type, width, height))
    file = base.with_name(f"{base.name}_{number:05}_.{ending}")
    pictures[0].save(
        file,
        save_all=True,
        append_images=list(pictures[1:]),
        duration=int(1000 / fps),
        **options,
    )
    return SavedResult(file.name, subfolder, kind)


class AudioSaveHelper:
    """Saves sounds: ``ui.AudioSaveHelper``."""

    @staticmethod
    def save_audio(
        audio: Mapping[str, Any],
        filename_prefix: str,
        folder_type: Any,
        cls: Any = None,
        format: str = "flac",
        quality: str = "128k",
    ) -> list[SavedResult]:
        """Save each sound of a batch."""
        from nodegraph.core.values import Audio
        from nodegraph.media.audio.codec import encode_audio

        formats: dict[str, Literal["wav", "flac", "ogg"]] = {
            "flac": "flac",
            "opus": "ogg",
            "wav": "wav",
        }
        if format not in formats:
            raise InvalidValue(
                "sounds cannot be saved in this format", given=format, expected="flac, opus or wav"
            )
        results = []
        paths = _paths(filename_prefix, folder_type, 0, 0)
        for waveform, (kind, base, subfolder, number) in zip(
            audio["waveform"], paths, strict=False
        ):
            file = base.with_name(f"{base.name}_{number:05}_.{format}")
            sound = Audio(waveform.cpu().clone(), int(audio["sample_rate"]))
            file.write_bytes(encode_audio(sound, formats[format]))
            results.append(SavedResult(file.name, subfolder, kind))
        return results

    @classmethod
    def get_save_audio_ui(
        cls, audio: Mapping[str, Any], filename_prefix: str, cls_: Any = None, **kwargs: Any
    ) -> SavedAudios:
        """Save a sound to the output folder and return what to show."""
        owner = kwargs.pop("cls", cls_)
        return SavedAudios(cls.save_audio(audio, filename_prefix, "output", owner, **kwargs))


def _pillow(image: Tensor) -> Any:
    import numpy
    from PIL import Image

    pixels = (image.detach().cpu().clamp(0, 1) * 255).round().to(dtype=_bytes()).numpy()
    return Image.fromarray(numpy.ascontiguousarray(pixels))


def _bytes() -> Any:
    import torch

    return torch.uint8


def _metadata(cls: Any) -> Any:
    """The prompt and what the client sent, as texts of a PNG file; None if there are none."""
    hidden = getattr(cls, "hidden", None)
    if hidden is None:
        return None
    from PIL.PngImagePlugin import PngInfo

    info = PngInfo()
    if hidden.prompt is not None:
        info.add_text("prompt", json.dumps(hidden.prompt))
    for key, value in (hidden.extra_pnginfo or {}).items():
        info.add_text(key, json.dumps(value))
    return info


class _Execution:
    """``ComfyAPI().execution``."""

    async def set_progress(
        self,
        value: float,
        max_value: float,
        node_id: str | None = None,
        preview_image: Any = None,
        ignore_size_limit: bool = False,
    ) -> None:
        """Report progress of the node that runs."""
        report_progress(value, max_value, preview_image)


class _ExecutionSync:
    def set_progress(
        self,
        value: float,
        max_value: float,
        node_id: str | None = None,
        preview_image: Any = None,
        ignore_size_limit: bool = False,
    ) -> None:
        report_progress(value, max_value, preview_image)


def report_progress(value: float, most: float, preview: Any = None) -> None:
    """Report progress of the node that runs; nothing outside of nodes."""
    context = handles.current_call.get()
    if context is None:
        return
    picture = None if preview is None else _as_tensor(preview)
    context.progress(
        int(value), max(int(most), 1), preview=None if picture is None else lambda: picture
    )


def _as_tensor(preview: Any) -> Tensor:
    """A preview as an image tensor: of Pillow, or a tensor."""
    import numpy
    import torch

    if isinstance(preview, tuple):  # with its format and size, as latent previews are
        preview = preview[1]
    if isinstance(preview, torch.Tensor):
        return preview if preview.ndim == 4 else preview[None]
    pixels = numpy.asarray(preview.convert("RGB"), dtype=numpy.float32) / 255
    return torch.from_numpy(pixels)[None]


class _Ignored:
    """Parts of the API that change ComfyUI itself: nothing here listens to them."""

    async def register(self, *_: Any, **__: Any) -> None:
        """Do nothing."""

    async def register_provider(self, *_: Any, **__: Any) -> None:
        """Do nothing."""

    async def unregister_provider(self, *_: Any, **__: Any) -> None:
        """Do nothing."""


class ComfyAPI:
    """Interface of a running node to its run."""

    VERSION = "latest"
    STABLE = False

    def __init__(self) -> None:
        self.execution = _Execution()
        self.node_replacement = _Ignored()
        self.caching = _Ignored()


class ComfyAPISync:
    """The same for nodes that are not async."""

    VERSION = "latest"
    STABLE = False

    def __init__(self) -> None:
        self.execution = _ExecutionSync()


def names() -> dict[str, Any]:
    """Return the names of ``comfy_api.latest.ui``."""
    return {
        "SavedResult": SavedResult,
        "SavedImages": SavedImages,
        "SavedAudios": SavedAudios,
        "PreviewImage": PreviewImage,
        "PreviewMask": PreviewMask,
        "PreviewAudio": PreviewAudio,
        "PreviewVideo": PreviewVideo,
        "PreviewText": PreviewText,
        "PreviewUI3D": PreviewUI3D,
        "ImageSaveHelper": ImageSaveHelper,
        "AudioSaveHelper": AudioSaveHelper,
    }


def api_names() -> dict[str, Any]:
    """Return the names of the API object in ``comfy_api.latest``."""
    return {"ComfyAPI": ComfyAPI, "ComfyAPISync": ComfyAPISync}
