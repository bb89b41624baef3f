"""Train a LoRA, write it to a file, and put it on recipes.

Source: Hu et al. 2021, arXiv:2106.09685.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from nodegraph.core.training_values import Example, TrainedWeights
from nodegraph.core.values import DiffusionModel, TextEncoder
from nodegraph.errors import InvalidValue
from nodegraph.families.components import Denoiser
from nodegraph.models.adapters.layer_changes import structural_copy
from nodegraph.models.adapters.recipes import OpenedAdapter
from nodegraph.training.denoising_task import DenoisingTask, own_denoiser
from nodegraph.training.examples import generator_of
from nodegraph.training.files import write_trained
from nodegraph.training.loop import TrainingTask
from nodegraph.training.options import TaughtLayers
from nodegraph.training.training_run import PreparedModel, TaskFactory, TrainingSetup

_NAME = "default"
"""Of the adapter, as peft calls it."""
_DOWN, _UP = f"lora_A.{_NAME}.weight", f"lora_B.{_NAME}.weight"
_ATTENTION = re.compile(r"(^|\.)(\w*attn\w*|\w*attention|to_[qkv]|[qkv]_proj)(\.|$)")
_FORWARD = re.compile(r"\b(ff\w*|mlp|feed_forward|net|fc1|fc2|proj_mlp|proj_out|proj_in)\b")
_BLOCK = re.compile(r"block|layer")
_MOST_TAGS, _LONGEST_TAG = 50, 100


def lora_targets(module: nn.Module, layers: TaughtLayers) -> list[str]:
    """Paths of the layers that a LoRA is put on.

    Args:
        layers: ``attention`` takes the projections of attention; the next the layers between, too;
            ``all`` every linear layer and convolution inside the blocks.
    """
    paths = []
    for path, layer in module.named_modules():
        if not isinstance(layer, (nn.Linear, nn.Conv2d)) or not _BLOCK.search(path):
            continue
        is_attention = bool(_ATTENTION.search(path))
        is_between = bool(_FORWARD.search(path))
        is_linear = isinstance(layer, nn.Linear) or layer.kernel_size == (1, 1)
        if isinstance(layer, nn.Conv2d) and layer.groups > 1:
            continue
        if layers == "all" or (
            is_linear and (is_attention or (is_between and layers != "attention"))
        ):
            paths.append(path)
    return paths


def with_lora(
    module: Any, *, rank: int, alpha: float, layers: TaughtLayers, seed: int, dropout: float = 0.0
) -> Any:
    """A network with a LoRA that changes nothing yet; the given one stays as it is, and shares its
    weights.

    Only the LoRA's weights ask for gradients; they are float32. The narrow layers begin as peft
    begins them, by a generator of their own.

    Args:
        module: Of diffusers or transformers.
    Raises:
        InvalidValue: peft isn't installed, or there are no such layers.
    """
    targets = lora_targets(module, layers)
    if not targets:
        raise InvalidValue(
            f"a {type(module).__name__} has no layers for a LoRA", port="layers", given=layers
        )
    twin = structural_copy(module)
    inject(twin, targets, rank=rank, alpha=alpha, dropout=dropout)
    with torch.no_grad():
        for number, (name, weight) in enumerate(sorted(lora_parameters(twin).items())):
            weight.data = weight.data.float()
            if name.endswith(_UP):
                weight.zero_()
            else:
                generator = generator_of(seed, "lora", number)
                drawn = torch.empty(weight.shape)
                nn.init.kaiming_uniform_(drawn, a=math.sqrt(5), generator=generator)
                weight.copy_(drawn)
    return twin


def inject(module: Any, targets: list[str], *, rank: int, alpha: float, dropout: float) -> None:
    """Put peft's layers over a module's own.

    Raises:
        InvalidValue: peft isn't installed.
    """
    try:
        from peft import LoraConfig, inject_adapter_in_model
    except ImportError as error:
        raise InvalidValue(
            "LoRA training needs peft, which is not installed",
            hint="Run `pip install 'nodegraph[teach]'`.",
        ) from error
    config = LoraConfig(
        r=rank,
        lora_alpha=alpha,  # type: ignore[arg-type] # it is only divided by the rank
        lora_dropout=dropout,
        # As one pattern, which is compared with whole paths; of a list ends would do.
        target_modules="|".join(map(re.escape, targets)),
    )
    inject_adapter_in_model(config, module, adapter_name=_NAME)


def lora_parameters(module: nn.Module) -> dict[str, nn.Parameter]:
    """The weights of a module's LoRA, by path."""
    return {name: item for name, item in module.named_parameters() if name.endswith((_DOWN, _UP))}


def lora_file(weights: Mapping[str, Tensor], role: str, scale: float) -> dict[str, Tensor]:
    """A LoRA's tensors as diffusers' `save_lora_weights` names them.

    What the product is multiplied by is multiplied in, as such files don't say it.

    Args:
        weights: By the paths of `lora_parameters`.
        role: Of the module, such as ``unet``.
        scale: alpha / rank.
    """
    tensors = {}
    for path, tensor in weights.items():
        name = path.replace(f".{_NAME}.weight", ".weight")
        scaled = tensor * scale if path.endswith(_UP) and scale != 1 else tensor
        tensors[f"{role}.{name}"] = scaled.contiguous()
    return tensors


class LoraShape(NamedTuple):
    """How large a LoRA is, and where it is put.

    Attributes:
        rank: Of its products.
        alpha: What they are multiplied by, times the rank; 0: the rank.
        layers: See `loras.lora_targets`.
    """

    rank: int = 16
    alpha: float = 0.0
    layers: TaughtLayers = "attention and feed-forward"

    @property
    def scale(self) -> float:
        """What the product is multiplied by."""
        return (self.alpha or self.rank) / self.rank


def caption_tags(examples: Sequence[Example]) -> dict[str, int]:
    """How many examples have each tag: parts of their captions between commas, and their tags.

    Returns the most common ones, as kohya's ``ss_tag_frequency`` has them.
    """
    counts: Counter[str] = Counter()
    for example in examples:
        parts = (*example.caption.split(","), *example.tags)
        tags = (" ".join(part.split())[:_LONGEST_TAG] for part in parts)
        counts.update(dict.fromkeys(filter(None, tags), 1))
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return dict(ordered[:_MOST_TAGS])


def train_lora(
    setup: TrainingSetup,
    shape: LoraShape,
    words: tuple[str, ...] = (),
    *,
    task_by_teacher: Callable[[Denoiser], TaskFactory] = lambda shared: DenoisingTask,
    sampler: str = "",
    settings: tuple[tuple[str, str], ...] = (),
) -> TrainedWeights:
    """A LoRA that was taught.

    Args:
        words: What prompts say to ask for it.
        task_by_teacher: What it learns by, made of the denoiser without it.
        sampler: Of the images to look at meanwhile; see `TrainingSetup.train`.
        settings: More of them than the plan's and the LoRA's, to be told with it.
    Raises:
        InvalidValue, NumericalError, OutputError: See `TrainingSetup.train` and `write_trained`.
    """
    role = setup.model.files[0].role
    teacher: Denoiser | None = None

    def prepare(shared: Denoiser) -> PreparedModel:
        nonlocal role, teacher
        teacher = shared
        role, module = next(iter(shared.modules.items()))
        twin = with_lora(
            module,
            rank=shape.rank,
            alpha=shape.alpha or shape.rank,
            layers=shape.layers,
            seed=setup.plan.seed,
        )
        return own_denoiser(shared, {**shared.modules, role: twin}), lora_parameters(twin)

    def make_task(*arguments: Any) -> TrainingTask:
        assert teacher is not None
        return task_by_teacher(teacher)(*arguments)

    learned = setup.train(prepare, make_task, sampler)
    settings = (
        *setup.plan.to_settings(),
        *settings,
        *(("rank", str(shape.rank)), ("alpha", f"{shape.alpha or shape.rank:g}")),
        *(("layers", shape.layers), ("pictures", str(len(setup.dataset.examples)))),
        ("tags", json.dumps(caption_tags(setup.dataset.examples))),
    )
    tensors = lora_file(learned.weights, role, shape.scale)
    about = {"family": setup.model.family, "words": words, **dict(settings)}
    files = write_trained(setup.ctx.environment, role, tensors, about)
    return TrainedWeights("lora", setup.model.family, files, words, settings, learned.losses)


def with_trained_lora(
    weights: TrainedWeights,
    model: DiffusionModel,
    text_encoder: TextEncoder | None,
    *,
    strength: float = 1.0,
    fused: bool = False,
) -> tuple[DiffusionModel, TextEncoder | None]:
    """A model, and its text encoder, with a LoRA that was taught on them.

    Raises:
        InvalidFile: Nothing of it is for them.
    """
    opened = OpenedAdapter(Path(weights.files[0].path), fused=fused)
    adapted = opened.apply_to(model, strength)
    matches = [adapted.matched]
    encoder = text_encoder
    if text_encoder is not None:
        encoded = opened.apply_to(text_encoder, strength)
        encoder = encoded.recipe
        matches.append(encoded.matched)
    opened.check_applies(matches)
    return adapted.recipe, encoder
