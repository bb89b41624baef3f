"""Trained weights: put on a model, saved as a folder or with kohya's names."""

from __future__ import annotations

import json
import shutil
from base64 import b64encode
from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING

from nodegraph.core.training_values import TrainedWeights
from nodegraph.core.values import DiffusionModel, TextEncoder
from nodegraph.errors import InvalidValue, OutputError
from nodegraph.families.registry import get_family
from nodegraph.media.images.output_files import SavedFile
from nodegraph.media.images.output_names import check_name
from nodegraph.training.lora_training import with_trained_lora
from nodegraph.training.textual_inversion import with_trained_word
from nodegraph.training.whole_networks import with_trained_model

if TYPE_CHECKING:
    from torch import Tensor

_MOST_COMMON = 3
"""Tags of all captions that count as trigger words, where no words are named."""
_THUMBNAIL_SIDE = 256
_LARGEST_THUMBNAIL = 64 << 10

_HINTS = {
    "classifier": "Link it to ClassifyImages.",
    "controlnet": (
        "Link the `control_net` output of the training, or save it and load it with LoadControlNet."
    ),
}


def apply_trained(
    weights: TrainedWeights, model: DiffusionModel, text_encoder: TextEncoder, strength: float = 1.0
) -> tuple[DiffusionModel, TextEncoder]:
    """A model and its text encoder with what was taught.

    Args:
        strength: Of a LoRA.
    Raises:
        InvalidValue: It was taught on another family, or is nothing to be put on a model.
    """
    if weights.kind not in ("lora", "model", "embedding"):
        raise InvalidValue(
            f"a {weights.kind} cannot be applied to a model",
            port="weights",
            given=weights.kind,
            expected="a LoRA, a whole model, or a word",
            hint=_HINTS.get(weights.kind),
        )
    if weights.family != model.family:
        raise InvalidValue(
            "the trained weights belong to another family",
            port="weights",
            given=f"weights for {get_family(weights.family).title}",
            expected=f"weights for {get_family(model.family).title}",
        )
    if weights.kind == "model":
        return with_trained_model(weights, model), text_encoder
    if weights.kind == "embedding":
        return model, with_trained_word(weights, text_encoder)
    adapted, encoder = with_trained_lora(weights, model, text_encoder, strength=strength)
    assert encoder is not None
    return adapted, encoder


_KOHYA_MODULES = {
    "unet.": "lora_unet_",
    "text_encoder.": "lora_te_",
    "text_encoder_2.": "lora_te2_",
}
_LETTERS = 8
"""Of the weights' digest, that a folder's name ends with."""


def save_folder(weights: TrainedWeights, outputs: Path, name: str) -> Iterator[SavedFile]:
    """Copy weights with their configurations into a folder, as diffusers and transformers read
    one; what is there is left as it is.

    Args:
        name: What the folder's name begins with; may have sub-folders.
    Raises:
        InvalidValue: The name leads out of the outputs.
        OutputError: It can't be written.
    """
    check_name(name)
    folder = outputs / f"{name}_{weights.files[0].digest[:_LETTERS]}"
    if not folder.parent.resolve().is_relative_to(outputs.resolve()):
        raise InvalidValue(
            "this cannot be the name of a result: a link points outside the output folder",
            port="name",
            given=name,
        )
    try:
        existed = folder.is_dir()
        if not existed:
            _copied(weights, folder)
    except OSError as error:
        raise OutputError(f"cannot write {folder}: {error.strerror or error}") from error
    for file in weights.files:
        yield SavedFile(folder / Path(file.path).name, existed=existed)


def kohya_names(content: bytes) -> bytes | None:
    """A LoRA of a UNet with its tensors named as kohya's sd-scripts do; None where it is of none.

    That is what ComfyUI and A1111 read whole; of diffusers' names for UNets ComfyUI reads those of
    attention alone. What says how strong it is, ``alpha``, is the rank, as the product is scaled.

    Args:
        content: A safetensors file with the names of diffusers' `save_lora_weights`.
    """
    import torch
    from safetensors.torch import load, save

    tensors = load(content)
    if not any(name.startswith("unet.") for name in tensors):
        return None
    modules = dict(_KOHYA_MODULES)
    if any(name.startswith("text_encoder_2.") for name in tensors):
        modules["text_encoder."] = "lora_te1_"
    renamed = {}
    for name, tensor in tensors.items():
        stem, end = name.rsplit(".lora_", 1)
        prefix = next(prefix for prefix in modules if stem.startswith(prefix))
        flat = modules[prefix] + stem.removeprefix(prefix).replace(".", "_")
        is_down = end == "A.weight"
        renamed[f"{flat}.lora_{'down' if is_down else 'up'}.weight"] = tensor
        if is_down:
            renamed[f"{flat}.alpha"] = torch.tensor(float(tensor.shape[0]))
    named: bytes = save(renamed, metadata=_metadata(content))
    return named


def with_metadata(content: bytes, texts: Mapping[str, str]) -> bytes:
    """A safetensors file with more texts in its header; in an order that is always the same.

    Args:
        content: The file.
        texts: Texts by name; they replace those of the same name.
    """
    size = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + size])
    header["__metadata__"] = dict(sorted({**header.get("__metadata__", {}), **texts}.items()))
    data = json.dumps(header, separators=(",", ":")).encode()
    data += b" " * (-len(data) % 8)  # tensors begin at a multiple of 8, so that they can be mapped
    return len(data).to_bytes(8, "little") + data + content[8 + size :]


def lora_metadata(
    weights: TrainedWeights, title: str, trigger_words: str, sample: Tensor | None
) -> dict[str, str]:
    """What browsers of models show of a LoRA: its trigger words, its tags and a small image.

    Args:
        title: Name of the LoRA.
        trigger_words: What prompts should say; empty for what the training tells.
        sample: float32 in 0..1, shape (1, height, width, 3).
    """
    tags: dict[str, int] = json.loads(dict(weights.settings).get("tags") or "{}")
    pictures = int(dict(weights.settings).get("pictures") or 0)
    common = [tag for tag, count in tags.items() if count == pictures > 1][:_MOST_COMMON]
    phrase = trigger_words.strip() or ", ".join(weights.words or common)
    single_file = get_family(weights.family).single_file
    texts = {
        "modelspec.sai_model_spec": "1.0.0",
        "modelspec.title": title,
        "modelspec.trigger_phrase": phrase,
        "modelspec.architecture": f"{single_file.architecture}/lora" if single_file else "",
        "modelspec.thumbnail": "" if sample is None else _thumbnail(sample),
        "ss_tag_frequency": json.dumps({"dataset": tags}) if tags else "",
    }
    return {name: text for name, text in texts.items() if text}


def _thumbnail(sample: Tensor) -> str:
    """An image as the address that modelspec wants; empty if it is not small enough."""
    from nodegraph.media.images.images import encode_pil, to_pil

    image = to_pil(sample[0]).convert("RGB")
    image.thumbnail((_THUMBNAIL_SIDE, _THUMBNAIL_SIDE))
    data = encode_pil(image, "jpeg")
    small = len(data) <= _LARGEST_THUMBNAIL
    return f"data:image/jpeg;base64,{b64encode(data).decode()}" if small else ""


def _metadata(content: bytes) -> dict[str, str]:
    """Texts of a safetensors file."""
    size = int.from_bytes(content[:8], "little")
    metadata: dict[str, str] = json.loads(content[8 : 8 + size]).get("__metadata__", {})
    return metadata


def _copied(weights: TrainedWeights, folder: Path) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    made = Path(mkdtemp(prefix=".", dir=folder.parent))
    made.chmod(0o755)
    for file in weights.files:
        shutil.copyfile(file.path, made / Path(file.path).name)
    made.rename(folder)
