"""A small file of each kind of result, with texts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from io import BytesIO

import torch
from PIL import Image, PngImagePlugin
from safetensors.torch import save

from nodegraph import Audio, Mesh, Molecule, Plot, PointCloud, Series, Video
from nodegraph.media.audio.codec import encode_audio
from nodegraph.media.images.images import encode_animation, encode_image_file
from nodegraph.media.images.layer_files import encode_layers
from nodegraph.media.images.layers import Layer, Layers
from nodegraph.media.molecules.chemistry import molecule_from_smiles
from nodegraph.media.molecules.molecule_files import encode_molecule
from nodegraph.media.plots.files import encode_plot
from nodegraph.media.shapes.encoding import encode_mesh, encode_points
from nodegraph.media.videos.encoding import encode_video
from tests.audio.making import tone
from tests.shapes.making import box
from tests.videos.making import video

Texts = Mapping[str, str]


@lru_cache
def _ethanol() -> Molecule:
    return molecule_from_smiles("CCO")


_PICTURE = torch.linspace(0, 1, 48).reshape(4, 4, 3)
_LAYERS = Layers((Layer(torch.rand(4, 4, 4), 0, 0, 4, 4),))
_FRAMES = torch.stack([_PICTURE, 1 - _PICTURE])
_AUDIO: Audio = tone(0.1)
_VIDEO: Video = video(2, 32, 32)
_MESH: Mesh = box()
_POINTS = PointCloud(_MESH.vertices)
_PLOT = Plot("T", series=(Series("a", (0, 1), (1, 2)),))


def _jpeg(texts: Texts) -> bytes:
    return encode_image_file(_PICTURE, "jpeg", dict(texts))


def _png_of_comfyui(texts: Texts) -> bytes:
    info = PngImagePlugin.PngInfo()
    for name, text in texts.items():
        info.add_itxt(name, text)
    buffer = BytesIO()
    Image.new("RGB", (2, 2)).save(buffer, "PNG", pnginfo=info)
    return buffer.getvalue()


MAKERS: Mapping[str, Callable[[Texts], bytes]] = {
    "made.png": lambda texts: encode_image_file(_PICTURE, "png", dict(texts)),
    "theirs.png": _png_of_comfyui,
    "made.jpg": _jpeg,
    "made.webp": lambda texts: encode_image_file(_PICTURE, "webp", dict(texts)),
    "made.avif": lambda texts: encode_image_file(_PICTURE, "avif", dict(texts)),
    "made.tiff": lambda texts: encode_image_file(_PICTURE, "tiff", dict(texts)),
    "moving.webp": lambda texts: encode_animation(_FRAMES, 8, texts),
    "moving.gif": lambda texts: encode_animation(_FRAMES, 8, texts, format="gif"),
    "moving.png": lambda texts: encode_animation(_FRAMES, 8, texts, format="png"),
    "made.ora": lambda texts: encode_layers(_LAYERS, metadata=texts),
    "made.mp4": lambda texts: encode_video(_VIDEO, "mp4", metadata=dict(texts)),
    "made.webm": lambda texts: encode_video(_VIDEO, "webm", metadata=dict(texts)),
    "made.mkv": lambda texts: encode_video(_VIDEO, "mkv", metadata=dict(texts)),
    "made.wav": lambda texts: encode_audio(_AUDIO, "wav", metadata=dict(texts)),
    "made.flac": lambda texts: encode_audio(_AUDIO, "flac", metadata=dict(texts)),
    "made.ogg": lambda texts: encode_audio(_AUDIO, "ogg", metadata=dict(texts)),
    "made.glb": lambda texts: encode_mesh(_MESH, "glb", dict(texts)),
    "made.ply": lambda texts: encode_mesh(_MESH, "ply", dict(texts)),
    "made.obj": lambda texts: encode_mesh(_MESH, "obj", dict(texts)),
    "points.ply": lambda texts: encode_points(_POINTS, dict(texts)),
    "made.sdf": lambda texts: encode_molecule(_ethanol(), "sdf", dict(texts)),
    "made.pdb": lambda texts: encode_molecule(_ethanol(), "pdb", dict(texts)),
    "made.json": lambda texts: encode_plot(_PLOT, "json", texts),
    "made.svg": lambda texts: encode_plot(_PLOT, "svg", texts),
    "made.safetensors": lambda texts: save({"samples": torch.zeros(1)}, dict(texts)),
    "made.sft": lambda texts: save({"samples": torch.zeros(1)}, dict(texts)),
}
"""By the name of the file: makes its bytes."""
