"""What was taught, put on a model."""

from __future__ import annotations

from nodegraph.core.taught_values import TrainedWeights
from nodegraph.core.values import DiffusionModel, TextEncoder
from nodegraph.diffusion.families.registry import family_named
from nodegraph.diffusion.teaching.lora_training import with_taught_lora
from nodegraph.diffusion.teaching.whole_models import with_taught_model
from nodegraph.diffusion.teaching.words import with_taught_word
from nodegraph.errors import InvalidValue

_HINTS = {
    "classifier": "Link it to ClassifyImages.",
    "controlnet": "Link the training's `control_net`, or save it and load it with LoadControlNet.",
}


def applied(
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
            f"a {weights.kind} can't be put on a model",
            port="weights",
            given=weights.kind,
            expected="a LoRA, a whole model, or a word",
            hint=_HINTS.get(weights.kind),
        )
    if weights.family != model.family:
        raise InvalidValue(
            "what was taught is for another family",
            port="weights",
            given=f"weights for {family_named(weights.family).title}",
            expected=f"weights for {family_named(model.family).title}",
        )
    if weights.kind == "model":
        return with_taught_model(weights, model), text_encoder
    if weights.kind == "embedding":
        return model, with_taught_word(weights, text_encoder)
    adapted, encoder = with_taught_lora(weights, model, text_encoder, strength=strength)
    assert encoder is not None
    return adapted, encoder
