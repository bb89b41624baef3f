"""Adapters named in recipes: which files, how strongly, and what of them is for a recipe."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Generic, Literal, TypeVar

from nodegraph.core.file_digests import FILE_DIGESTS
from nodegraph.core.values import Adapter, Recipe, ScheduledAdapter, TextEncoder
from nodegraph.errors import InvalidValue, at_port
from nodegraph.models.adapters.adapter_files import (
    FUSED,
    INVERSION,
    PLAIN,
    AdapterFile,
    InversionFile,
    embedding_widths,
    match_encoders,
    no_match_error,
    read_adapter,
)
from nodegraph.models.adapters.layer_matching import MatchResult, match, recipe_layers
from nodegraph.models.adapters.tensor_names import DENOISERS
from nodegraph.models.speed.speed_support import check_fused
from nodegraph.weights.precision.storage import fused_adapter_error, recipe_storage

Expert = Literal["both", "first", "second"]
AnyRecipe = TypeVar("AnyRecipe", bound=Recipe)


@dataclass(frozen=True, slots=True)
class Adapted(Generic[AnyRecipe]):
    """A recipe with an adapter put on.

    Attributes:
        matched: What of the file is for the recipe; None where only loading that would tell.
    """

    recipe: AnyRecipe
    matched: MatchResult | None


class OpenedAdapter:
    """An adapter file to put on recipes; nothing of it is loaded yet.

    Raises:
        InvalidFile: It can't be read, is damaged, or holds no adapter.
    """

    def __init__(self, path: Path, *, fused: bool = False) -> None:
        self.file: AdapterFile = read_adapter(path)
        self._kind = FUSED if fused else PLAIN
        self._digest = FILE_DIGESTS.digest(path)

    def apply_to(
        self, recipe: AnyRecipe, strength: float, expert: Expert = "both"
    ) -> Adapted[AnyRecipe]:
        """A recipe with the adapter on it, if anything of it is for that and it has any strength.

        Args:
            expert: Of two denoisers, as Wan 2.2 has them for more and for less noise.
        Raises:
            InvalidFile: The model's files are missing or damaged.
            InvalidValue: It has no second expert, its weights are kept in few bits and the
                adapter is to be fused with them, or its projections are fused and it isn't to be.
        """
        if self._kind == FUSED and recipe_storage(recipe):
            raise fused_adapter_error()
        modules = _experts(recipe, expert)
        layers = recipe_layers(recipe)
        if layers is not None and modules:
            layers = {
                role: module_layers for role, module_layers in layers.items() if role in modules
            }
        matched = None if layers is None else match(self.file.parts, layers)
        if not strength or (matched is not None and not matched.applied):
            return Adapted(recipe, matched)
        adapter = Adapter(self._kind, str(self.file.path), self._digest, strength, modules)
        adapted = replace(recipe, adapters=(*recipe.adapters, adapter))
        check_fused(adapted)
        return Adapted(adapted, matched)

    def check_applies(self, matches: Sequence[MatchResult | None]) -> None:
        """Refuse a file of which nothing is for any of some recipes.

        Raises:
            InvalidFile: So it is.
        """
        matched = [item for item in matches if item is not None]
        if len(matched) == len(matches) and not any(item.applied for item in matched):
            with at_port("lora"):
                raise no_match_error(self.file, max(matched, key=lambda item: item.total))


def with_inversion(recipe: TextEncoder, file: InversionFile, token: str = "") -> TextEncoder:
    """A text encoder's recipe that knows the word of a textual inversion.

    Args:
        token: The word; the file's own if empty.
    Raises:
        InvalidFile: The file has nothing for this encoder.
        InvalidValue: The word is none, or the encoder has it from another file.
    """
    word = token or file.token
    if not word.strip() or word != word.strip():
        raise InvalidValue("this cannot be a word of a prompt", port="token", given=repr(word))
    if any(item.token == word for item in recipe.adapters):
        raise InvalidValue(
            f"`{word}` already stands for another textual inversion", port="token", given=word
        )
    widths = embedding_widths(recipe)
    if widths is not None:
        match_encoders(file, widths)
    digest = FILE_DIGESTS.digest(file.path)
    adapter = Adapter(INVERSION, str(file.path), digest, token=word)
    return replace(recipe, adapters=(*recipe.adapters, adapter))


def _experts(recipe: Recipe, expert: Expert) -> tuple[str, ...]:
    """The modules that are meant; none where all are."""
    roles = {file.role for file in recipe.files}
    denoisers = [role for role in DENOISERS if role in roles]
    if len(denoisers) > 1 and expert != "both":
        return (denoisers[0 if expert == "first" else 1],)
    if expert == "second":
        raise InvalidValue(
            "this model has no second expert",
            port="expert",
            given=expert,
            expected="both, or a model with two experts, for example Wan 2.2",
        )
    return ()


def parse_keyframes(text: str) -> tuple[tuple[float, float], ...]:
    """Read strengths over a sampling: one ``start: factor`` per line or between commas.

    Returns:
        Start and factor of each keyframe, sorted by start. Empty for an empty text.
    Raises:
        InvalidValue: A part is no keyframe, or a start is outside 0..1 or occurs twice.
    """
    parts = [part.strip() for part in text.replace("\n", ",").split(",") if part.strip()]
    keyframes = sorted(map(_keyframe, parts), key=lambda item: item[0])
    for (start, _), (following, _) in pairwise(keyframes):
        if start == following:
            raise _no_keyframe(f"{start:g} twice")
    return tuple(keyframes)


def _keyframe(part: str) -> tuple[float, float]:
    start_text, _, factor_text = part.partition(":")
    try:
        start, factor = float(start_text), float(factor_text)
    except ValueError:
        raise _no_keyframe(part) from None
    if not (0 <= start <= 1 and abs(factor) <= ScheduledAdapter.MOST_FACTOR):
        raise _no_keyframe(part)
    return start, factor


def _no_keyframe(part: str) -> InvalidValue:
    return InvalidValue(
        "this is no strength over the sampling",
        port="schedule",
        given=part,
        expected="lines such as `0.5: 0.3`: from half of the sampling on, 0.3 of the strength",
    )
