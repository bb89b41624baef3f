"""Teaching a LoRA: from a classroom to weights in a file, and recipes with it on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from nodegraph.core.taught_values import TrainedWeights
from nodegraph.core.values import DiffusionModel, TextEncoder
from nodegraph.diffusion.adapters.recipes import OpenedAdapter
from nodegraph.diffusion.components import Denoiser
from nodegraph.diffusion.teaching.denoising import DenoisingLesson, own_denoiser
from nodegraph.diffusion.teaching.files import keep_taught
from nodegraph.diffusion.teaching.loop import Lesson
from nodegraph.diffusion.teaching.loras import lora_file, lora_parameters, with_lora
from nodegraph.diffusion.teaching.options import TaughtLayers
from nodegraph.diffusion.teaching.running import Classroom, LessonMaker, Prepared


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


def taught_lora(
    room: Classroom,
    shape: LoraShape,
    words: tuple[str, ...] = (),
    *,
    lesson_by: Callable[[Denoiser], LessonMaker] = lambda shared: DenoisingLesson,
    sampler: str = "",
    settings: tuple[tuple[str, str], ...] = (),
) -> TrainedWeights:
    """A LoRA that was taught.

    Args:
        words: What prompts say to ask for it.
        lesson_by: What it learns by, made of the denoiser without it.
        sampler: Of the pictures to look at meanwhile; see `Classroom.teach`.
        settings: More of them than the plan's and the LoRA's, to be told with it.
    Raises:
        InvalidValue, NumericalError, OutputError: See `Classroom.teach` and `keep_taught`.
    """
    role = room.model.files[0].role
    teacher: Denoiser | None = None

    def prepare(shared: Denoiser) -> Prepared:
        nonlocal role, teacher
        teacher = shared
        role, module = next(iter(shared.modules.items()))
        twin = with_lora(
            module,
            rank=shape.rank,
            alpha=shape.alpha or shape.rank,
            layers=shape.layers,
            seed=room.plan.seed,
        )
        return own_denoiser(shared, {**shared.modules, role: twin}), lora_parameters(twin)

    def lesson(*given: Any) -> Lesson:
        assert teacher is not None
        return lesson_by(teacher)(*given)

    learned = room.teach(prepare, lesson, sampler)
    settings = (
        *room.plan.told(),
        *settings,
        *(("rank", str(shape.rank)), ("alpha", f"{shape.alpha or shape.rank:g}")),
        *(("layers", shape.layers), ("pictures", str(len(room.dataset.examples)))),
    )
    tensors = lora_file(learned.weights, role, shape.scale)
    about = {"family": room.model.family, "words": words, **dict(settings)}
    files = keep_taught(room.ctx.environment, role, tensors, about)
    return TrainedWeights("lora", room.model.family, files, words, settings, learned.losses)


def with_taught_lora(
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
    adapted = opened.put_on(model, strength)
    found = [adapted.matched]
    encoder = text_encoder
    if text_encoder is not None:
        encoded = opened.put_on(text_encoder, strength)
        encoder = encoded.recipe
        found.append(encoded.matched)
    opened.check_applies(found)
    return adapted.recipe, encoder
