"""What an annotation says about a port."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Literal, Optional, Union

import pytest

from nodegraph.api import (
    Advanced,
    Audio,
    Choices,
    Conditioning,
    Dataset,
    DiffusionModel,
    File,
    Group,
    Image,
    Latent,
    Lazy,
    Mask,
    Mesh,
    Molecule,
    Multiline,
    MultipleOf,
    Plot,
    PointCloud,
    Range,
    Seed,
    Video,
    Voxels,
    port_type,
)
from nodegraph.core.annotations import read_annotation, widget
from nodegraph.core.ports import PortType
from nodegraph.core.types import TypeInfo
from tests.messages import raises


@pytest.mark.parametrize(
    ("annotation", "text", "schema"),
    [
        (int, "int", {"type": "integer"}),
        (float, "float", {"type": "number"}),
        (bool, "bool", {"type": "boolean"}),
        (str, "str", {"type": "string"}),
        (dict[str, int], "dict", {"type": "object"}),
        (Path, "Path", {"type": "string"}),
        (bytes, "bytes", None),
        (Any, "Any", {}),
        (object, "Any", {}),
        (Image, "Image", None),
        (Mask, "Mask", None),
        (Latent, "Latent", None),
        (Video, "Video", None),
        (Audio, "Audio", None),
        (Mesh, "Mesh", None),
        (PointCloud, "PointCloud", None),
        (Voxels, "Voxels", None),
        (Molecule, "Molecule", None),
        (Plot, "Plot", None),
        (Dataset, "Dataset", None),
        (Conditioning, "Conditioning", None),
        (DiffusionModel, "DiffusionModel", None),
        (list[int], "list[int]", {"type": "array", "items": {"type": "integer"}}),
        (Sequence[Image], "list[Image]", None),
        (tuple[float, ...], "list[float]", {"type": "array", "items": {"type": "number"}}),
        (list, "list[Any]", {"type": "array", "items": {}}),
        (int | str, "int | str", {"anyOf": [{"type": "integer"}, {"type": "string"}]}),
        (Image | str, "Image | str", {"anyOf": [{"type": "string"}]}),
        (Literal["a", "b"], "str", {"enum": ["a", "b"]}),
        (Literal[1, 2], "int", {"enum": [1, 2]}),
        (Annotated[int, Range(1, 9)], "int", {"type": "integer", "minimum": 1, "maximum": 9}),
        (Annotated[int, MultipleOf(8)], "int", {"type": "integer", "multipleOf": 8}),
        (Annotated[str, Choices(["a"])], "str", {"type": "string", "enum": ["a"]}),
        (
            Annotated[str, Choices(["a"], {"alpha": "a"})],
            "str",
            {"type": "string", "enum": ["a"], "synonyms": {"alpha": "a"}},
        ),
        (Annotated[Image, Advanced()], "Image", None),
    ],
)
def test_an_annotation_is_a_type_and_a_schema(
    annotation: Any, text: str, schema: dict[str, Any] | None
) -> None:
    read = read_annotation(annotation)
    assert str(read.expr) == text
    assert read.json_schema == schema
    assert not read.nullable


@pytest.mark.parametrize("annotation", [Image | None, Optional[Image], Union[None, Image]])  # noqa: UP007, UP045
def test_none_makes_a_port_nullable(annotation: Any) -> None:
    read = read_annotation(annotation)
    assert (str(read.expr), read.nullable) == ("Image", True)


def test_a_choice_may_be_none() -> None:
    read = read_annotation(Literal["a", None])
    assert (str(read.expr), read.nullable, read.json_schema) == ("str", True, {"enum": ["a"]})


def test_lazy_is_told_apart_from_its_type() -> None:
    for annotation in (Lazy[Image], Annotated[Lazy[Image], Advanced()]):
        read = read_annotation(annotation)
        assert (str(read.expr), read.lazy) == ("Image", True)


def test_an_enum_is_a_choice_of_its_values() -> None:
    class Mode(Enum):
        FAST = "fast"
        SLOW = "slow"

    read = read_annotation(Mode | None)
    assert read.json_schema == {"enum": ["fast", "slow"]}
    assert read.enum is Mode
    assert read.nullable


def test_a_packs_class_is_a_type_of_its_own() -> None:
    @port_type(color="#102030", parents=("Image",))
    class Depth:
        """Distance from the camera."""

    class Sub(Depth):
        pass

    read = read_annotation(list[Depth])
    assert str(read.expr) == "list[Depth]"
    assert read.ports[0].info == TypeInfo(
        "Depth", "#102030", ("Image",), "Distance from the camera."
    )
    with raises(TypeError):
        read_annotation(Sub)


def test_another_librarys_class_may_be_declared_by_a_hint() -> None:
    port = PortType(TypeInfo("Frame"), complex)
    assert str(read_annotation(Annotated[complex, port]).expr) == "Frame"


@pytest.mark.parametrize("annotation", [complex, "Image", 3, [int]])
def test_what_is_no_port_type_is_refused(annotation: Any) -> None:
    with raises(TypeError):
        read_annotation(annotation)


def test_hints_become_display_options() -> None:
    hints = (Range(0, 1, step=0.1), Advanced(), Group("Size"))
    assert widget(hints) == {"step": 0.1, "advanced": True, "group": "Size"}
    assert widget((Multiline(),)) == {"widget": "multiline"}
    assert widget((Seed(),)) == {"widget": "seed"}
    assert widget((File("image"),)) == {"widget": "file:image"}
    assert read_annotation(Annotated[int, Seed()]).json_schema == {
        "type": "integer",
        "minimum": 0,
        "maximum": 2**64 - 1,
    }
