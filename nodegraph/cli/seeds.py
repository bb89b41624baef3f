"""Running a workflow several times, each time with other seeds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from nodegraph.core.hints import Seed
from nodegraph.core.links import is_link, read_literal
from nodegraph.core.parts import NodeEntry, Subgraph
from nodegraph.core.subgraphs import node_spec
from nodegraph.core.workflow import Workflow
from nodegraph.errors import InvalidValue

if TYPE_CHECKING:
    from nodegraph.core.catalog import Catalog

_MOST = 100_000


@dataclass(frozen=True)
class Variation:
    """One of several runs.

    Attributes:
        seeds: What the seed inputs are set to, by ``node.input``.
    """

    workflow: Workflow
    seeds: dict[str, int] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """What is different about it, in a few words."""
        values = sorted(set(self.seeds.values()))
        return f"seed {', '.join(map(str, values))}" if values else ""


def parse_seeds(text: str) -> list[int]:
    """Read ``1,2,5-8``.

    Raises:
        InvalidValue: It isn't of that form.
    """
    seeds: list[int] = []
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()):
            raise InvalidValue(f"--seeds {text} names no seeds", expected="such as 1,2,5-8")
        low, high = int(first), int(last or first)
        if high > Seed.LARGEST:
            raise InvalidValue(f"the seed {high} is too large", expected=f"{Seed.LARGEST} at most")
        if high < low:
            raise InvalidValue(f"--seeds {part}: the range ends before it starts")
        if len(seeds) + high - low >= _MOST:
            raise InvalidValue("too many seeds", expected=f"{_MOST} at most")
        seeds.extend(range(low, high + 1))
    return seeds


def with_incremented_seeds(workflow: Workflow, catalog: Catalog, times: int) -> list[Variation]:
    """The workflow several times, its literal seeds raised by one each time.

    Raises:
        InvalidValue: Too many times.
    """
    if times > _MOST:
        raise InvalidValue(f"--repeat {times} is too often", expected=f"{_MOST} at most")
    return [
        _variation(workflow, catalog, lambda seed, at=at: (seed + at) % (Seed.LARGEST + 1))  # type: ignore[misc]
        for at in range(times)
    ]


def with_seeds(workflow: Workflow, catalog: Catalog, seeds: Sequence[int]) -> list[Variation]:
    """The workflow once for each seed, which all of its literal seeds are set to.

    Raises:
        InvalidValue: It has no seed to set.
    """
    if not any(True for _ in _find_seeds(workflow, catalog)):
        raise InvalidValue(
            "--seeds: no node of the workflow has a seed to set",
            hint="Seeds that are linked get theirs from another node.",
        )
    return [_variation(workflow, catalog, lambda _, seed=seed: seed) for seed in seeds]  # type: ignore[misc]


def _variation(workflow: Workflow, catalog: Catalog, change: Callable[[int], int]) -> Variation:
    # Only what holds inputs is copied: the rest is shared by all variations.
    varied = replace(workflow, nodes=_copied(workflow.nodes), subgraphs=_blocks(workflow))
    seeds = {}
    for name, node, port, seed in _find_seeds(varied, catalog):
        node.inputs[port] = seeds[f"{name}.{port}"] = change(seed)
    return Variation(varied, seeds)


def _copied(nodes: dict[str, NodeEntry]) -> dict[str, NodeEntry]:
    return {name: replace(node) for name, node in nodes.items()}


def _blocks(workflow: Workflow) -> dict[str, Subgraph]:
    return {
        name: replace(block, nodes=_copied(block.nodes))
        for name, block in workflow.subgraphs.items()
    }


def _find_seeds(workflow: Workflow, catalog: Catalog) -> Iterator[tuple[str, NodeEntry, str, int]]:
    """Seeds that are literals or defaults: name and entry of the node, the input, the seed.

    Those inside of subgraphs are among them; they are called ``subgraph/node.input``.
    """
    for name, node in workflow.nodes.items():
        for port, seed in _seeds(node, workflow, catalog):
            yield name, node, port, seed
    for block_name, block in workflow.subgraphs.items():
        fed = {target for outer in block.inputs.values() for target in outer.to}
        for name, node in block.nodes.items():
            for port, seed in _seeds(node, workflow, catalog):
                if f"{name}.{port}" not in fed:
                    yield f"{block_name}/{name}", node, port, seed


def _seeds(node: NodeEntry, workflow: Workflow, catalog: Catalog) -> Iterator[tuple[str, int]]:
    spec = node_spec(node, workflow, catalog)
    for port in spec.inputs if spec else ():
        if port.widget != "seed":
            continue
        value = _written(node, port.name, port.default)
        if isinstance(value, int):
            yield port.name, value


def _written(node: NodeEntry, port: str, default: Any) -> Any:
    written = node.inputs.get(port, default)
    return None if is_link(written) else read_literal(written)
