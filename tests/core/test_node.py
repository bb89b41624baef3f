"""`@node`: a function's signature becomes a node type."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import pytest

from nodegraph.api import (
    Advanced,
    Body,
    Choices,
    Context,
    File,
    Group,
    Image,
    Latent,
    Lazy,
    Mask,
    Multiline,
    MultipleOf,
    Panel,
    Range,
    Seed,
    Subgraph,
    Widget,
    node,
    port_type,
)
from nodegraph.core.node import definition_of
from nodegraph.core.spec import NodeSpec, to_document
from nodegraph.errors import PackError
from tests.messages import raises


def spec_of(function: Any) -> NodeSpec:
    return definition_of(function).spec


def test_the_signature_is_the_contract() -> None:
    @node(category="image/adjust", version=2, tags=("light",))
    def Brighten(image: Image, amount: Annotated[float, Range(0, 4, step=0.1)] = 1.2) -> Image:
        """Multiply every pixel's brightness.

        Clipped to 1.

        Args:
            image: The image.
            amount: Factor,
                1 leaves it as it is.
        """

    spec = spec_of(Brighten)
    image, amount = spec.inputs
    assert (spec.type, spec.category, spec.version, spec.label) == (
        "Brighten", "image/adjust", 2, "Brighten",
    )  # fmt: skip
    assert spec.summary == "Multiply every pixel's brightness."
    assert (image.type, image.required, image.help) == ("Image", True, "The image.")
    assert (amount.default, amount.required, amount.step) == (1.2, False, 0.1)
    assert amount.help == "Factor, 1 leaves it as it is."
    assert [(port.name, port.type) for port in spec.outputs] == [("image", "Image")]


def test_the_function_stays_as_it_is() -> None:
    @node
    def Double(value: int) -> int:
        return 2 * value

    assert Double(4) == 8
    assert definition_of(Double).function is Double


def test_an_output_is_named_after_its_type() -> None:
    @node
    def A() -> list[Image]: ...

    @node
    def B() -> float: ...

    @node
    def C() -> Any: ...

    @node
    def D() -> Image | Mask: ...

    names = [spec_of(function).outputs[0].name for function in (A, B, C, D)]
    assert names == ["images", "number", "output", "output"]


def test_a_named_tuple_or_dataclass_gives_several_outputs() -> None:
    class Pair(NamedTuple):
        image: Image
        mask: Mask

    @dataclass
    class Both:
        image: Image
        mask: Mask

    @node
    def A() -> Pair: ...

    @node
    def B() -> Both: ...

    for function in (A, B):
        ports = spec_of(function).outputs
        assert [(port.name, port.type) for port in ports] == [("image", "Image"), ("mask", "Mask")]
    assert definition_of(A).outputs_of(Pair("i", "m")) == ("i", "m")
    assert definition_of(B).outputs_of(Both("i", "m")) == ("i", "m")


def test_a_tuple_gives_several_outputs_named_by_their_types() -> None:
    @node
    def A() -> tuple[Image, Mask, Image, list[Image], int]: ...

    @node
    def B() -> tuple[Image, ...]: ...

    ports = [(port.name, port.type) for port in spec_of(A).outputs]
    assert ports == [
        ("image", "Image"),
        ("mask", "Mask"),
        ("image_2", "Image"),
        ("images", "list[Image]"),
        ("number", "int"),
    ]
    assert definition_of(A).outputs_of(("a", "b", "c", ["d"], 5)) == ("a", "b", "c", ["d"], 5)
    assert [(port.name, port.type) for port in spec_of(B).outputs] == [("images", "list[Image]")]


def test_a_tuple_of_one_type_gives_one_output() -> None:
    @node
    def A() -> tuple[Image]: ...

    @node
    def B() -> tuple[list[Image]]: ...

    assert [(port.name, port.type) for port in spec_of(A).outputs] == [("image", "Image")]
    assert [(port.name, port.type) for port in spec_of(B).outputs] == [("images", "list[Image]")]
    assert definition_of(A).outputs_of(("i",)) == ("i",)
    for wrong in ("i", ("i", "j"), ["i"]):
        with pytest.raises(TypeError, match=r"declares a tuple of 1 output"):
            definition_of(A).outputs_of(wrong)


def test_an_input_is_no_tuple_of_several_types() -> None:
    @node
    def A(size: tuple[int, int]) -> int: ...

    assert spec_of(A).inputs[0].type == "list[int]"
    with raises(PackError):

        @node
        def B(pair: tuple[Image, Mask]) -> Image: ...

    with raises(PackError):

        @node
        def C() -> tuple[Image, Mask] | None: ...


def test_a_port_type_that_is_a_dataclass_is_one_output() -> None:
    @port_type()
    @dataclass(frozen=True)
    class Pose:
        angle: float

    @node
    def Detect() -> Pose: ...

    @node
    def Encode() -> Latent: ...

    assert [port.type for port in spec_of(Detect).outputs] == ["Pose"]
    assert [port.type for port in spec_of(Encode).outputs] == ["Latent"]
    assert definition_of(Detect).outputs_of(Pose(1.0)) == (Pose(1.0),)


def test_a_sink_has_no_outputs() -> None:
    @node(output=True)
    def Save(image: Image) -> None: ...

    assert spec_of(Save).outputs == ()
    assert spec_of(Save).output
    assert definition_of(Save).outputs_of(None) == ()


def test_a_result_that_is_not_what_was_declared_is_refused() -> None:
    class Pair(NamedTuple):
        first: int
        second: int

    @node
    def Two() -> Pair: ...

    with raises(TypeError):
        definition_of(Two).outputs_of(3)


def test_the_context_is_no_port() -> None:
    @node
    def Work(image: Image, ctx: Context) -> Image: ...

    assert [port.name for port in spec_of(Work).inputs] == ["image"]
    assert definition_of(Work).context == "ctx"


def test_none_in_a_type_makes_an_input_optional() -> None:
    @node
    def Work(first: Image | None, text: Annotated[str, Multiline()] | None = None) -> Image: ...

    first, text = spec_of(Work).inputs
    assert (first.required, first.nullable, first.default) == (False, True, None)
    assert (text.required, text.nullable, text.widget) == (False, True, "multiline")


def test_defaults_are_plain_values() -> None:
    class Mode(Enum):
        FAST = "fast"

    @node
    def Work(mode: Mode = Mode.FAST, sizes: list[int] = [1, 2]) -> int: ...  # noqa: B006

    mode, sizes = spec_of(Work).inputs
    assert (mode.default, sizes.default) == ("fast", [1, 2])
    assert definition_of(Work).enums == {"mode": Mode}
    assert NodeSpec.from_dict(json.loads(json.dumps(to_document(spec_of(Work))))) == spec_of(Work)


def test_a_default_of_any_kind_is_written_as_json_has_it() -> None:
    @dataclass
    class Size:
        width: int = 1

    class Mode(Enum):
        FAST = "fast"

    class Holder:
        size, ones, modes, named = Size(), frozenset({1}), [Mode.FAST], {1: b"x"}

    @node
    def Work(
        a: Any = Holder.size, b: Any = Holder.ones, c: Any = Holder.modes, d: Any = Holder.named
    ) -> int: ...

    assert [port.default for port in spec_of(Work).inputs] == [
        {"width": 1}, [1], ["fast"], {"1": "x"},
    ]  # fmt: skip
    assert NodeSpec.from_dict(json.loads(json.dumps(to_document(spec_of(Work))))) == spec_of(Work)


def test_a_default_that_json_cannot_hold_is_told() -> None:
    with raises(PackError, given="of type object"):

        @node
        def Work(a: Any = object()) -> int: ...  # noqa: B008


@pytest.mark.parametrize(
    "option", [{"version": "2"}, {"tags": "a"}, {"lane": "gpux"}, {"numerics": None}, {"label": 5}]
)
def test_an_option_of_another_type_is_told(option: dict[str, Any]) -> None:
    with raises(PackError):

        @node(**option)
        def Work() -> int: ...

    @node(tags=["a"], experimental=1)  # type: ignore[arg-type]
    def Other() -> int: ...

    assert (spec_of(Other).tags, spec_of(Other).experimental) == (("a",), True)


@pytest.mark.parametrize(
    "option", ["determinstic", "ouput", "lanes", "Version", "is_random", "summary"]
)
def test_an_unknown_option_is_refused_with_the_nearest(option: str) -> None:
    with raises(PackError, given=option):

        @node(**{option: False})
        def Work() -> int: ...


def test_facts_are_of_ports_that_there_are() -> None:
    with raises(PackError, given="imge"):

        @node(facts={"imge": {"width": "image.width"}})
        def Work(image: Image) -> Image: ...

    with raises(PackError, given="imag.width"):

        @node(facts={"image": {"width": "imag.width"}})
        def Other(image: Image) -> Image: ...


@pytest.mark.parametrize(
    ("kind", "hint"),
    [
        (str, Range(0, 1)),
        (Image, Range(0, 1)),
        (list[float], Range(0, 1)),
        (list[str], Choices(["a"])),
        (str, MultipleOf(8)),
        (bool, Range(0, 1)),
        (float, Seed()),
        (int, Multiline()),
        (float, File("image")),
        (Image, Choices(["a"])),
        (str, Choices([1, 2])),
        (int, Choices(["1", "2"])),
    ],
)
def test_a_hint_is_of_a_type_that_it_means_something_for(kind: Any, hint: Any) -> None:
    with raises(PackError):

        @node
        def Work(a: Annotated[kind, hint]) -> int: ...  # type: ignore[valid-type]


@pytest.mark.parametrize(
    ("kind", "option", "meant"),
    [
        (Range, "stp", "step"),
        (Range, "max", "maximum"),
        (MultipleOf, "valu", "value"),
        (Choices, "synonym", "synonyms"),
        (File, "kinds", "kind"),
        (Group, "nam", "name"),
        (Widget, "Name", "name"),
        (Body, "input", "inputs"),
        (Panel, "lable", "label"),
    ],
)
def test_a_misspelt_argument_of_a_hint_is_answered_with_the_nearest(
    kind: Any, option: str, meant: str
) -> None:
    with raises(PackError, given=option) as caught:
        kind(**{option: 1})
    assert caught.value.problem.hint == f"Did you mean `{meant}`?"


@pytest.mark.parametrize("kind", [Multiline, Seed, Advanced])
def test_a_hint_that_takes_nothing_says_so(kind: Any) -> None:
    with raises(PackError, given="rows"):
        kind(rows=3)
    with raises(PackError):
        kind(3)


def test_a_hint_that_lacks_an_argument_is_refused() -> None:
    with raises(PackError):
        MultipleOf()  # type: ignore[call-arg]


def test_a_misspelt_argument_in_an_annotation_names_its_parameter() -> None:
    with raises(PackError, given="stp") as caught:

        @node
        def Work(a: Annotated[float, Range(stp=1)]) -> int: ...  # type: ignore[call-arg]

    assert "Work, parameter `a`" in caught.value.problem.message


@pytest.mark.parametrize("name", ["Blur", 3, int])
def test_what_is_no_function_is_no_node(name: Any) -> None:
    with raises(PackError):
        node(name)


def test_a_hint_without_parentheses_is_refused() -> None:
    with raises(PackError):

        @node
        def Work(a: Annotated[str, Multiline]) -> int: ...


def test_hints_fit_types_that_may_be_what_they_are_for() -> None:
    @node
    def Work(
        a: Annotated[int | None, Range(0, 9)] = None,
        b: Annotated[float | str, Range(0, 1)] = 0.5,
        c: Annotated[Any, Range(0, 1), Choices([0, 1])] = 0,
        d: list[Annotated[str, Choices(["a"])]] = ["a"],  # noqa: B006
        e: Annotated[Path, File("folder"), "another tool's"] = Path("x"),
        f: Annotated[float, Choices([1, 0.5])] = 1.0,
    ) -> int: ...

    assert len(spec_of(Work).inputs) == 6


def test_help_for_a_parameter_that_there_is_not_is_told() -> None:
    with pytest.warns(UserWarning, match=r"Work.*`imgae`.*Did you mean `image`\?") as told:

        @node
        def Work(
            ctx: Context, each: Annotated[Subgraph, Body({}, {})], image: Image, **more: Any
        ) -> Image:
            """Work.

            Args:
                ctx, each, image: What it works on.
                more: Further ones.
                imgae: A misspelt one.
            """

    assert Path(told[0].filename).name == "test_node.py"


def test_a_range_without_end_has_no_bound_there() -> None:
    @node
    def Work(a: Annotated[float, Range(0, float("inf"))] = 1.0) -> int: ...

    assert spec_of(Work).inputs[0].json_schema == {"type": "number", "minimum": 0}


def test_a_lazy_input_needs_an_async_function() -> None:
    @node
    async def Switch(on: bool, first: Lazy[Image], second: Lazy[Image]) -> Image: ...

    assert [port.lazy for port in spec_of(Switch).inputs] == [False, True, True]
    assert spec_of(Switch).is_async
    with raises(PackError):

        @node
        def Wrong(image: Lazy[Image]) -> Image: ...


def test_hooks_are_named_in_the_spec() -> None:
    def infer(inputs: Any) -> Any: ...

    @node(infer=infer)
    def Work() -> Image: ...

    assert spec_of(Work).hooks["infer"].name.endswith("infer")
    assert spec_of(Work).hooks["infer"].module == __name__
    assert definition_of(Work).hooks == {"infer": infer}


def test_signatures_that_cannot_be_a_nodes_are_refused() -> None:
    with raises(PackError):

        @node
        def A(*images: Image) -> Image: ...

    with raises(PackError):

        @node
        def B(image) -> Image: ...  # type: ignore[no-untyped-def]

    with raises(PackError):

        @node
        def C(image: Image): ...  # type: ignore[no-untyped-def]

    with raises(PackError):

        @node
        def D(z: complex) -> Image: ...

    with raises(PackError):

        @node
        def E(image: Missing) -> Image: ...  # type: ignore[name-defined]  # noqa: F821


def test_a_plain_function_is_no_node() -> None:
    with raises(PackError):
        definition_of(print)


def test_an_acronym_is_one_word_in_the_label() -> None:
    @node
    def VAEDecode(latent: Latent) -> Image: ...

    @node(id="pack:LoadLora", label="Load a LoRA")
    def LoadLora() -> Image: ...

    assert spec_of(VAEDecode).label == "Vae decode"
    assert (spec_of(LoadLora).type, spec_of(LoadLora).label) == ("pack:LoadLora", "Load a LoRA")


def test_a_port_type_needs_no_parentheses() -> None:
    @port_type
    class Palette:
        """Some colors."""

    @node
    def Pick(palette: Palette) -> Palette:
        """Give it back."""
        return palette

    assert definition_of(Pick).spec.inputs[0].type == "Palette"
