"""What can be taught, and what can't: told before anything is loaded. Imports no torch."""

from __future__ import annotations

from dataclasses import replace

from nodegraph.core.dataset_values import Dataset
from nodegraph.core.recipe_options import SPEED_PREFIX
from nodegraph.core.values import DiffusionModel, Recipe, TextEncoder, Vae
from nodegraph.errors import InvalidValue
from nodegraph.families.registry import get_family
from nodegraph.weights.precision.choices import recipe_storage

_SECOND = "transformer_2"


def check_teachable(model: DiffusionModel, encoder: TextEncoder | None, vae: Vae | None) -> None:
    """Refuse models that can't be taught, and parts of different ones.

    Raises:
        InvalidValue: Says on which port, and why.
    """
    family = get_family(model.family)
    if recipe_storage(model):
        raise InvalidValue(
            "the model's weights are kept in few bits, which take no small steps",
            port="model",
            given=f"weights as {recipe_storage(model)}",
            expected="float32, float16 or bfloat16",
            hint="Load it with storage `full`, or files that aren't quantised.",
        )
    if any(file.role == _SECOND for file in model.files):
        raise InvalidValue(
            f"a {family.title} of two experts isn't taught here",
            port="model",
            hint="Load one with a single transformer.",
        )
    if encoder is not None and encoder.family != model.family:
        raise InvalidValue(
            "the text encoder is of another family than the model",
            port="text_encoder",
            given=encoder.family,
            expected=model.family,
        )
    if vae is not None and vae.family != family.latent.name:
        raise InvalidValue(
            "the VAE is of another kind than the model's",
            port="vae",
            given=vae.family,
            expected=family.latent.name,
        )


def check_dataset(dataset: Dataset, *, port: str = "dataset") -> None:
    """Refuse a dataset of which nothing can be learned.

    Raises:
        InvalidValue: It has no examples to learn from, or pictures without captions.
    """
    learned = [item for item in dataset.examples if item.split == "train"]
    if not learned:
        raise InvalidValue(
            "the dataset has nothing to learn from",
            port=port,
            given=f"{len(dataset.examples)} examples, none of the split train",
            hint="Give it pictures, or another split.",
        )
    silent = [
        item.name or f"example {index + 1}"
        for index, item in enumerate(dataset.examples)
        if item.split == "train" and not (item.caption or item.tags or item.label)
    ]
    if silent:
        names = ", ".join(silent[:3]) + (", …" if len(silent) > 3 else "")
        raise InvalidValue(
            "there are pictures without captions",
            port=port,
            given=f"{len(silent)} of {len(learned)}: {names}",
            hint="Say what they show, one caption for all will do; or take them out.",
        )


def without_speed(recipe: DiffusionModel) -> DiffusionModel:
    """A model as it is taught: step caches and the like would change what is learned."""
    kept = tuple(item for item in recipe.options if not item[0].startswith(SPEED_PREFIX))
    return replace(recipe, options=kept)


def check_no_adapters(recipe: Recipe) -> None:
    """Refuse adapters where all weights are taught: they would be taught in part, and lost.

    Raises:
        InvalidValue: There are some.
    """
    if recipe.adapters:
        raise InvalidValue(
            "a model with a LoRA can't be taught as a whole",
            port="model",
            given=recipe.adapters[0].source,
            hint="Leave the LoRA out, or teach another LoRA on top of it.",
        )
