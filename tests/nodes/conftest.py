"""The whole engine with the built-in pack, in a folder of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache, cached_property
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from safetensors.torch import load_file, save_file

from nodegraph import Facts, Image, Session, Settings, Vae, Workflow, node
from nodegraph.core.analysis import analyse, workflow_warnings
from nodegraph.core.events import Event
from nodegraph.engine.result import RunResult
from nodegraph.errors import NodeFailed, Problem
from nodegraph.residency import ResidencyManager
from nodegraph.session.node_types import NodeTypes
from nodegraph.session.weights import residency_manager
from tests.diffusion.conftest import one_thread, sd1_folder  # noqa: F401 - fixtures


@node
def Picture(width: int = 16, height: int = 8, batch: int = 1, seed: int = 0) -> Image:
    """Random pixels in steps of 1 / 255, so that files hold them exactly."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (batch, height, width, 3), generator=generator) / 255


@node(deterministic=False)
def Overwrite(vae: Vae, file: str) -> Vae:
    """Changes a byte of a file in place, as somebody may while a run uses it."""
    content = bytearray(Path(file).read_bytes())
    content[-2] ^= 1
    with Path(file).open("r+b") as opened:
        opened.write(content)
    return vae


@cache
def _warm_weights() -> ResidencyManager:
    """Of all benches: a file that one has loaded the next one has, as files count by content."""
    return residency_manager(Settings(device="cpu"), "cpu")


class _WarmSession(Session):
    """A session with folders, store and cache of its own, but with the others' node types and
    weights: to read the code of all nodes and to load models takes longer than most tests.
    """

    _known: ClassVar[dict[tuple[Callable[..., Any], ...], NodeTypes]] = {}

    def __init__(self, settings: Settings, nodes: Sequence[Callable[..., Any]] = ()) -> None:
        super().__init__(settings, nodes=nodes)
        if not any("<locals>" in function.__qualname__ for function in nodes):
            self.node_types = self._known.setdefault(tuple(nodes), self.node_types)

    @cached_property
    def _weights(self) -> ResidencyManager:
        return _warm_weights()

    def take(self, *, nodes: Sequence[Callable[..., Any]], inputs: Path | None) -> None:
        assert "engine" not in vars(self), "it has the node types that others keep"
        self.node_types = NodeTypes(self.settings)
        super().take(nodes=nodes, inputs=inputs)

    def close(self) -> None:
        vars(self)["_weights"] = residency_manager(self.settings, "cpu")  # has none to let go of
        super().close()


class Bench:
    """Runs small workflows; remembers the events of the last one.

    Args:
        is_cold: It loads weights itself, and shares them with nobody.
    """

    def __init__(
        self, folder: Path, nodes: Sequence[Any] = (), *, is_cold: bool = False, **settings: Any
    ) -> None:
        given: dict[str, Any] = {
            "home": folder / "home",
            "models": (folder / "models",),
            "inputs": folder / "inputs",
            "outputs": folder / "outputs",
            "device": "cpu",
        }
        (folder / "inputs").mkdir()
        self.folder = folder
        kind = Session if is_cold else _WarmSession
        self.session = kind(Settings(**given | settings), nodes=[Picture, Overwrite, *nodes])
        self.events: list[Event] = []

    def run(self, nodes: Mapping[str, Any], *targets: str) -> RunResult:
        self.events = []
        return self.session.run(
            _workflow(nodes), targets=targets or None, listener=self.events.append
        )

    def value(self, nodes: Mapping[str, Any], output: str) -> Any:
        """The value of one output, ``node.port``."""
        result = self.run(nodes, output.partition(".")[0])
        assert not result.errors, result.errors
        return result[output]

    def failure(self, nodes: Mapping[str, Any], *targets: str) -> NodeFailed:
        [error] = self.run(nodes, *targets).errors
        return error

    def problems(self, nodes: Mapping[str, Any], *targets: str) -> list[Problem]:
        """What is found before anything runs."""
        return self.session.check(_workflow(nodes), targets=targets or None)

    def warnings(self, nodes: Mapping[str, Any]) -> list[Problem]:
        """What is worth knowing before it runs, besides nodes that nothing needs."""
        session = self.session
        found = workflow_warnings(_workflow(nodes), session.registry, session.environment)
        return [warning for warning in found if warning.code != "unused"]

    def facts(self, nodes: Mapping[str, Any], node: str) -> Mapping[str, Facts]:
        """What is known of a node's outputs before anything runs."""
        session = self.session
        found = analyse(_workflow(nodes), session.registry, session.environment, targets=[node])
        assert not found.problems, found.problems
        return found.nodes[node].facts

    def told(self, kind: str) -> list[Event]:
        return [event for event in self.events if event.kind == kind]


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    yield made
    made.session.close()


@pytest.fixture
def cold_bench(tmp_path: Path) -> Iterator[Bench]:
    """To see which weights are loaded."""
    made = Bench(tmp_path, is_cold=True)
    yield made
    made.session.close()


def link(output: str) -> dict[str, str]:
    return {"from": output}


def _workflow(nodes: Mapping[str, Any]) -> Workflow:
    return Workflow.from_dict({"format": "nodegraph/1", "nodes": dict(nodes)})


def write_adapter(folder: Path, model: Path) -> Path:
    """Write an IP-Adapter of random weights for a small model, with its image encoder beside it."""
    from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

    projected = 24
    torch.manual_seed(0)
    eyes = CLIPVisionModelWithProjection(
        CLIPVisionConfig(
            hidden_size=32,
            intermediate_size=32,
            projection_dim=projected,
            num_hidden_layers=1,
            num_attention_heads=4,
            image_size=16,
            patch_size=8,
        )
    )
    eyes.save_pretrained(folder / "image_encoder")
    unet = load_file(next((model / "unet").glob("*.safetensors")))
    # in the order in which diffusers names attention: down, up, middle
    order = ("down", "up", "mid")
    keys = [name for name in unet if name.endswith("attn2.to_k.weight")]
    keys.sort(key=lambda name: (order.index(name.split("_")[0]), name))
    reads = unet[keys[0]].shape[1]
    tensors = {
        "image_proj.proj.weight": torch.randn(4 * reads, projected),
        "image_proj.proj.bias": torch.zeros(4 * reads),
        "image_proj.norm.weight": torch.ones(reads),
        "image_proj.norm.bias": torch.zeros(reads),
    }
    for number, key in enumerate(keys):
        for part in ("k", "v"):
            name = f"ip_adapter.{2 * number + 1}.to_{part}_ip.weight"
            tensors[name] = torch.randn(unet[key].shape)
    save_file(tensors, folder / "ip.safetensors")
    return folder / "ip.safetensors"
