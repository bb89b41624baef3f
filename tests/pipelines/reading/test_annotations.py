"""What annotations allow, and the values of defaults."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodegraph.interop.pipelines.reading.annotations import (
    NoLiteral,
    SourceAnnotation,
    literal,
    read_annotation,
)
from nodegraph.interop.pipelines.reading.source_modules import SourceModule, SourcePackage
from tests.pipelines.reading.conftest import Package

NAMES = "pipelines.fox.names"


def _module(package: Package, text: str = "") -> SourceModule:
    package.write(
        "pipelines/fox/names.py",
        "import PIL\nfrom PIL import Image\nfrom typing import *\n"
        "from ...image_processor import PipelineImageInput\n" + text,
    )
    module = package.source.module(f"diffusers.{NAMES}")
    assert module is not None
    return module


def _read(package: Package, text: str, follow: bool = True) -> SourceAnnotation:
    node = ast.parse(text, mode="eval").body
    return read_annotation(package.source, _module(package), node, follow)


@pytest.mark.parametrize(
    ("text", "forms"),
    [
        ("int", ("int",)),
        ("Optional[int]", ("int",)),
        ("typing.Union[str, List[str]]", ("list[str]", "str")),
        ("'list[str] | None'", ("list[str]",)),
        ("Optional['PIL.Image.Image']", ("PIL",)),
        ("Image.Image | PIL.Image", ("PIL",)),
        ("PipelineImageInput", ("PIL", "Tensor", "list[PIL]", "ndarray")),
        ("List[PipelineImageInput]",
         ("list[PIL]", "list[Tensor]", "list[list[PIL]]", "list[ndarray]")),
        ("tuple[float, ...]", ("list[float]",)),
        ("Tuple[int, int] | None", ("list[int]",)),
        ("torch.FloatTensor | torch.LongTensor", ("Tensor",)),
        ("Dict[str, Any]", ("dict",)),
        ("dict", ("dict",)),
        ("list", ("list[Any]",)),
        ("Callable[[int, int], None]", ("Callable",)),
        ("np.random.RandomState", ("RandomState",)),
        ("Annotated[int, 'much']", ("int",)),
        ("'not python ['", ("Any",)),
        ("List[PIL.Image.Image, np.ndarray]", ("list[PIL]", "list[ndarray]")),
        ("transformers.CLIPTextModel", ("CLIPTextModel",)),
    ],
)  # fmt: skip
def test_forms_of_an_annotation(package: Package, text: str, forms: tuple[str, ...]) -> None:
    assert _read(package, text).forms == forms


def test_tuples_are_told_from_lists(package: Package) -> None:
    assert _read(package, "tuple[int, int] | None").outer == {"tuple"}
    assert _read(package, "list[int] | tuple[int, ...]").outer == {"list", "tuple"}


def test_literals_are_choices(package: Package) -> None:
    assert _read(package, "Literal['a', 'b', None] | None").choices == ("a", "b")


def test_imported_names_stay_as_they_are_unless_followed(package: Package) -> None:
    assert _read(package, "PipelineImageInput", follow=False).forms == ("PipelineImageInput",)


def test_an_alias_of_itself_ends(package: Package) -> None:
    module = _module(package, "A = B\nB = A\nC = Union[C, int]\n")
    for name in "ABC":
        node = ast.parse(name, mode="eval").body
        assert read_annotation(package.source, module, node).text == name


@given(
    st.recursive(
        st.sampled_from(
            ["int", "str", "None", "torch.Tensor", "PIL.Image.Image", "'float'", "Fox"]
        ),
        lambda inner: st.one_of(
            st.builds("Optional[{}]".format, inner),
            st.builds("list[{}]".format, inner),
            st.builds("Union[{}, {}]".format, inner, inner),
            st.builds("tuple[{}, ...]".format, inner),
        ),
        max_leaves=6,
    )
)
def test_whatever_is_nested_comes_out_with_its_depth(text: str) -> None:
    nowhere = Path("nowhere")
    module = SourceModule("nowhere", nowhere, ast.parse(""))
    node = ast.parse(text, mode="eval").body
    found = read_annotation(SourcePackage(nowhere), module, node)
    assert found.deepest == max(
        (depth for name, depth in found.members if name != "None"), default=0
    )
    assert ("None" in text or "Optional" in text) == (("None", 0) in found.members)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3", 3),
        ("-0.5", -0.5),
        ("(1, 2)", [1, 2]),
        ("1024**2", 1048576),
        ("[7.0] * 2 + [3.0]", [7.0, 7.0, 3.0]),
        ("FAST", "fast"),
        ("STEPS[1:]", [2, 3]),
        ("Pace.RUN", "run"),
        ("{'a': [1]}", {"a": [1]}),
        ("None", None),
    ],
)
def test_defaults_are_worked_out(package: Package, text: str, value: Any) -> None:
    module = _module(package, "FAST = 'fast'\nSTEPS = (1, 2, 3)\nclass Pace:\n    RUN = 'run'\n")
    assert literal(package.source, module, ast.parse(text, mode="eval").body) == value


@pytest.mark.parametrize(
    "text",
    ["call()", "1 / 0", "9 ** 9 ** 9", "[0] * 10 ** 9", "{0: 1}", "LOOP", "nowhere", "1e999",
     "float('inf')", "'a' + 'b'", "[1][f():]", "...", "b'x'", "lambda: 0"],
)  # fmt: skip
def test_what_only_running_would_tell_is_no_literal(package: Package, text: str) -> None:
    module = _module(package, "LOOP = LOOP\n")
    with pytest.raises(NoLiteral):
        literal(package.source, module, ast.parse(text, mode="eval").body)
