"""Files of classifiers of noisy latents. Imports no torch, and reads headers only.

They are safetensors; their metadata, all JSON: ``format``; ``labels`` and ``backgrounds``, the
names in the order of the logits; ``latent_channels``, and ``channels``, the widths of the network.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nodegraph.core.file_digests import FILE_DIGESTS
from nodegraph.core.suggest import did_you_mean
from nodegraph.core.values import RecipeFile
from nodegraph.errors import InvalidFile, InvalidValue
from nodegraph.families.embedded_models import EMBEDDED, embedded_folder
from nodegraph.families.helper_recipes import LatentClassifier
from nodegraph.models.adapters.adapter_files import locate_adapter
from nodegraph.weights.safetensors_header import read_header

FORMAT = "nodegraph guidance classifier 1"
BUNDLED_CLASSIFIER = f"{EMBEDDED}/guidance_classifier"
"""Name of the one that comes along with the embedded model."""

_ROLE = "classifier"


@dataclass(frozen=True, slots=True)
class ClassifierInfo:
    """What a file says of its classifier.

    Attributes:
        labels: Names of the objects that it knows.
        backgrounds: Names of the background colors.
        channels: Of the latents.
        widths: Of the network's two levels.
    """

    labels: tuple[str, ...]
    backgrounds: tuple[str, ...]
    channels: int
    widths: tuple[int, int]

    def class_indices(self, label: str, background: str) -> tuple[int | None, int | None]:
        """Of the names that are wished for among those that it knows; None for empty ones.

        Raises:
            InvalidValue: On port ``label`` or ``background``: it is unknown, or both are empty.
        """
        if not label and not background:
            raise InvalidValue(
                "neither label nor background is set", port="label", expected="a name"
            )
        return _class_index("label", label, self.labels), _class_index(
            "background", background, self.backgrounds
        )


def _class_index(port: str, name: str, known: Sequence[str]) -> int | None:
    if not name:
        return None
    if name not in known:
        raise InvalidValue(
            f"the classifier has no such {port}",
            port=port,
            given=name,
            expected=f"one of {len(known)}, for example {', '.join(known[:3])}",
            hint=did_you_mean(name, known),
        )
    return known.index(name)


def locate_classifier(name: str, folders: Sequence[Path]) -> Path:
    """The file that a name means.

    Raises:
        ModelNotFound: There is nothing of that name.
    """
    if name == BUNDLED_CLASSIFIER:
        return embedded_folder().parent / f"companions/{_OWN}/{_OWN}.safetensors"
    return locate_adapter(name, folders, title="classifier")


_OWN = "guidance_classifier"


def read_classifier(path: Path) -> ClassifierInfo:
    """What a file says of its classifier.

    Raises:
        InvalidFile: It is damaged, or holds something else.
    """
    metadata = read_header(path).metadata
    try:
        about = {name: json.loads(value) for name, value in metadata.items()}
        if about["format"] != FORMAT:
            raise ValueError(about["format"])
        wide, deep = map(int, about["channels"])
        labels, backgrounds = (tuple(map(str, about[key])) for key in ("labels", "backgrounds"))
        return ClassifierInfo(labels, backgrounds, int(about["latent_channels"]), (wide, deep))
    except (KeyError, ValueError, TypeError) as error:
        raise InvalidFile(
            f"{path} holds no classifier of noisy latents",
            expected=f"a file of the format `{FORMAT}`",
            hint=f"`{BUNDLED_CLASSIFIER}` is included with the model {EMBEDDED}.",
        ) from error


def open_classifier(path: Path) -> LatentClassifier:
    """The recipe of a classifier; nothing is loaded yet.

    Raises:
        InvalidFile: See `read_classifier`.
    """
    read_classifier(path)
    return LatentClassifier("", (RecipeFile(_ROLE, str(path), FILE_DIGESTS.digest(path)),))


def classifier_bytes(recipe: LatentClassifier) -> int:
    """Bytes that it will take in memory."""
    shapes = read_header(Path(recipe.files[0].path)).shapes
    return 4 * sum(math.prod(shape) for shape in shapes.values())
