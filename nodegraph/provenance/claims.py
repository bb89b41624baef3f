"""What a signature claims of a file: how it was made, from what, and how it may be used.

The definition of a C2PA manifest for the library. Terms: C2PA 2.x for actions, ingredients and
assertions; IPTC's code list "digital source type" for how the pixels came about; CAWG 1.x for
training and data mining.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from nodegraph.core.version import VERSION

SOURCE_TYPES = "http://cv.iptc.org/newscodes/digitalsourcetype/"
"""Prefix of IPTC's codes."""
SourceType = Literal[
    "trainedAlgorithmicMedia",
    "compositeWithTrainedAlgorithmicMedia",
    "algorithmicMedia",
    "composite",
]
"""IPTC's code: made by a trained model; the same, with other pictures as input; made by a program
without a model; the same, with other pictures as input."""
AI_TYPES = frozenset(("trainedAlgorithmicMedia", "compositeWithTrainedAlgorithmicMedia"))
"""Codes that mark a file as made by AI, also in part."""
Training = Literal["notAllowed", "allowed", "constrained"]
"""Whether others may train models on the file, or mine it."""
MANIFEST_ASSERTION = "org.nodegraph.manifest"
"""Label of the assertion that binds nodegraph's own manifest, the text ``manifest`` in a file."""
_USES = ("data_mining", "ai_inference", "ai_training", "ai_generative_training")
"""Entries of the training assertion. Inference is not restricted."""
_FREE = frozenset(("ai_inference",))


@dataclass(frozen=True, slots=True)
class IngredientFile:
    """An input file that a result was made from.

    Attributes:
        path: Path of the file. Its own credentials become part of the signed file.
        title: Name that is recorded, without a folder.
    """

    path: Path
    title: str


@dataclass(frozen=True, slots=True)
class Claim:
    """What is claimed of one file.

    Attributes:
        title: Name of the file.
        source_type: How it was made.
        ingredients: Input files, without duplicates.
        training: Whether it may be used for training.
        constraints: Conditions of ``constrained``, such as the address of a license.
        manifest: nodegraph's own manifest in the file, as text; empty without one.
        when: Time of the signature by the signer's own clock: ISO 8601, UTC. It proves nothing.
        watermark: Payload of an invisible watermark in the file; None without one.
    """

    title: str
    source_type: SourceType = "trainedAlgorithmicMedia"
    ingredients: tuple[IngredientFile, ...] = ()
    training: Training = "notAllowed"
    constraints: str = ""
    manifest: str = ""
    when: str = ""
    watermark: int | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return a dictionary for JSON."""
        ingredients = [{"path": str(item.path), "title": item.title} for item in self.ingredients]
        return {**asdict(self), "ingredients": ingredients}

    @classmethod
    def from_dict(cls, document: dict[str, Any]) -> Claim:
        """Return a claim from the dictionary of `as_dict`."""
        ingredients = tuple(
            IngredientFile(Path(item["path"]), item["title"]) for item in document["ingredients"]
        )
        return cls(**{**document, "ingredients": ingredients})


def ingredient_label(index: int) -> str:
    """Return the id by which actions name an ingredient, counted from 0."""
    return f"input-{index}"


PARENT = "parent"
"""Id of the ingredient that a file was before it was signed again."""


def manifest_definition(claim: Claim, *, ingredients: int, has_parent: bool) -> dict[str, Any]:
    """Return the manifest of a claim, as the library's builder takes it.

    Args:
        ingredients: Number of the ingredients that the library can read; they come first.
        has_parent: Whether the file has credentials already: then it was opened, not created.
    """
    assertions = [
        _created("c2pa.actions.v2", {"actions": _actions(claim, ingredients, has_parent)}),
        *_training(claim),
    ]
    if claim.manifest:
        # The text itself is in the file, so its hash is enough to notice another one.
        digest = hashlib.sha256(claim.manifest.encode()).hexdigest()
        assertions.append(_created(MANIFEST_ASSERTION, {"alg": "sha256", "hash": digest}))
    return {
        "claim_generator_info": [{"name": "nodegraph", "version": VERSION}],
        "title": claim.title,
        "assertions": assertions,
    }


def _actions(claim: Claim, ingredients: int, has_parent: bool) -> list[dict[str, Any]]:
    when = {"when": claim.when} if claim.when else {}
    if has_parent:
        first = {"action": "c2pa.opened", "parameters": {"ingredientIds": [PARENT]}}
    else:
        first = {"action": "c2pa.created", "digitalSourceType": SOURCE_TYPES + claim.source_type}
    labels = [ingredient_label(index) for index in range(ingredients)]
    placed = [
        {"action": "c2pa.placed", "parameters": {"ingredientIds": [label]}, **when}
        for label in labels
    ]
    # Unbound: the manifest can't be looked up by it, as with a registered soft binding.
    marked = [] if claim.watermark is None else [{"action": "c2pa.watermarked.unbound", **when}]
    return [{**first, **when}, *placed, *marked]


def _training(claim: Claim) -> list[dict[str, Any]]:
    """Return the assertion by both labels: C2PA moved it to CAWG, and readers know either."""
    assertions = []
    for prefix in ("c2pa", "cawg"):
        entries: dict[str, dict[str, str]] = {}
        for use in _USES:
            choice = "allowed" if use in _FREE else claim.training
            entries[f"{prefix}.{use}"] = {"use": choice}
            if choice == "constrained" and claim.constraints:
                entries[f"{prefix}.{use}"]["constraint_info"] = claim.constraints
        assertions.append(_created(f"{prefix}.training-mining", {"entries": entries}))
    return assertions


def _created(label: str, data: dict[str, Any]) -> dict[str, Any]:
    """Return an assertion that the signer vouches for; others would be only "gathered"."""
    return {"label": label, "created": True, "data": data}


def source_type(*, is_generated: bool, inputs: Sequence[object]) -> SourceType:
    """Return IPTC's code of a result.

    Args:
        is_generated: Whether a trained model took part.
        inputs: Its input files.
    """
    if is_generated:
        return "compositeWithTrainedAlgorithmicMedia" if inputs else "trainedAlgorithmicMedia"
    return "composite" if inputs else "algorithmicMedia"
