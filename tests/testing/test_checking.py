"""Each check tells what is right from what is wrong, and says what to do."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, NamedTuple

import pytest
import torch

from nodegraph import Cancelled, Context, Image, Latent, Mask, Range, node, port_type
from nodegraph.python.testing import NodeVerdicts, Workbench


@node
def Good(ctx: Context, image: Image, times: Annotated[int, Range(2, 5)]) -> Image:
    """Make an image darker, again and again."""
    for step in range(times):
        image = image * 0.9
        ctx.progress(step + 1, times)
    return image


@node
def Drawn(image: Image) -> Image:
    """Draw without a seed."""
    return image * random.random()


@node(deterministic=False)
def Declared(image: Image) -> Image:
    """Draw without a seed, and say so."""
    return image * random.random()


@node
def InPlace(image: Image) -> float:
    """Change a single number of the input, behind torch's back."""
    image.numpy()[0, 1, 1, 1] += 1
    return 1.0


@node
def OwnList(numbers: list[float]) -> int:
    """Change a list, which is a copy."""
    numbers.clear()
    return 0


@node
def WrongType(image: Image) -> Mask:
    """Return an image for a mask."""
    return image


@node
def TooBright(image: Image) -> Image:
    """Leave the range."""
    return image * 3


@node
def Double(image: Image) -> Image:
    """Return twice the precision."""
    return image.double()


@node
def Deaf(ctx: Context, image: Image) -> Image:
    """Catch everything."""
    for step in range(4):
        try:
            ctx.progress(step + 1, 4)
        except Exception:  # noqa: BLE001 - the fault that is looked for
            ctx.log("continued")
    return image


@node
def Tidy(ctx: Context, image: Image) -> Image:
    """Clean up, and let it pass."""
    try:
        ctx.check_cancelled()
    except Cancelled:
        ctx.log("the end")
        raise
    return image


@node
def Broken(image: Image) -> Image:
    """Raise."""
    raise RuntimeError("it broke")


class Part(NamedTuple):
    """Two outputs."""

    brightest: float
    darkest: float


@node
def Extremes(image: Image) -> Part:
    """Two numbers."""
    return Part(float(image.max()), float(image.min()))


class Thing:
    """A value that forgets what it holds when it is kept."""

    def __init__(self, text: str) -> None:
        self.text = text


port_type(
    digest=lambda thing: thing.text,
    dumps=lambda thing: thing.text.encode(),
    loads=lambda data: Thing("another"),
)(Thing)


@node
def Forgetful(text: str) -> Thing:
    """What is kept wrongly."""
    return Thing(text)


@port_type
@dataclass(frozen=True)
class Palette:
    """Some colors."""

    colors: tuple[str, ...]


@node
def Mixed(first: str) -> Palette:
    """Return something else than one's own type."""
    return (first,)  # type: ignore[return-value]


@node
def Handle(name: str) -> Any:
    """What can't be kept."""
    return lambda: name


@node
def NeedsLatent(latent: Latent) -> int:
    """Take what nobody can make up."""
    return latent.width


def judged(found: NodeVerdicts) -> dict[str, str]:
    return {name: verdict.state for name, verdict in found.verdicts.items()}


@pytest.mark.parametrize("function", [Good, Extremes, Tidy, Declared, OwnList])
def test_what_is_right_has_no_faults(workbench: Workbench, function: Callable[..., Any]) -> None:
    found = workbench.check_node(function)
    assert found.faults == []
    assert found.source == "generated"
    assert found.state("runs") == found.state("types") == "passed"


@pytest.mark.parametrize(
    ("function", "check", "told"),
    [
        (Drawn, "determinism", r"Annotated\[int, Seed\(\)\]"),
        (InPlace, "mutation", "input `image`: .* changed this input, .*clone"),
        (WrongType, "types", r"returned float32 \[1, 16, 24, 3\], .* but declares Mask"),
        (TooBright, "types", r"0 to 3; expected: values in 0..1.*clamp\(0, 1\)"),
        (Double, "types", r"given: float64; expected: float32.*float\(\)"),
        (Deaf, "cancel", "continued after its run had been cancelled"),
        (Broken, "runs", "RuntimeError: it broke"),
        (Forgetful, "kept", "output `thing` is not the same after saving and loading.*loads"),
        (Mixed, "types", "expected: a Palette"),
    ],
)
def test_a_fault_is_found_by_its_check_alone(
    workbench: Workbench, function: Callable[..., Any], check: str, told: str
) -> None:
    found = workbench.check_node(function)
    assert [name for name, state in judged(found).items() if state == "failed"] == [check]
    assert re.search(told, found.faults[0])
    assert function.__name__ in found.faults[0]


def test_the_lines_of_a_node_that_raises_are_told(workbench: Workbench) -> None:
    found = workbench.check_node(Broken).verdicts["runs"]
    assert 'raise RuntimeError("it broke")' in found.trace
    assert found.as_dict()["trace"] == found.trace


def test_what_can_not_be_judged_says_why(workbench: Workbench) -> None:
    handle = workbench.check_node(Handle)
    assert handle.faults == []
    assert "stays in memory" in handle.verdicts["kept"].reason
    assert handle.state("determinism") == "not judged"
    assert "never checks" in handle.verdicts["cancel"].reason
    assert "deterministic=False" in workbench.check_node(Declared).verdicts["determinism"].reason
    latent = workbench.check_node(NeedsLatent)
    assert set(judged(latent).values()) == {"not judged"}
    assert "input `latent` is of type Latent" in latent.verdicts["runs"].reason


def test_a_model_that_is_missing_is_no_fault_of_the_node(workbench: Workbench) -> None:
    found = workbench.check_node("LoadModel", model="nobody/has_this")
    assert set(judged(found).values()) == {"not judged"}
    assert "nobody/has_this" in found.verdicts["runs"].reason


def test_inputs_may_be_given(workbench: Workbench) -> None:
    found = workbench.check_node(NeedsLatent, latent=Latent(None, 8, 8))
    assert (found.faults, found.source) == ([], "given")
    wrong = workbench.check_node(Good, image=torch.zeros(1, 2, 2, 3), times=9)
    assert "too large" in wrong.faults[0]
    assert "times" in wrong.faults[0]


def test_a_node_runs_on_values_that_no_file_holds(workbench: Workbench) -> None:
    assert workbench.run_node(Extremes, image=torch.zeros(1, 2, 2, 3)) == {
        "brightest": 0.0,
        "darkest": 0.0,
    }
    assert workbench.run_node(NeedsLatent, latent=Latent(None, 16, 8)) == 16
    image = workbench.run_node("EmptyImage", width=8, height=16)
    assert image.shape == (1, 16, 8, 3)
    workbench.run_node("SaveImage", image=image, name="here")
    assert (workbench.folder / "output" / "here_00001.png").is_file()
