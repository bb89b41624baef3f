"""Running workflows in a process, whichever it is, and evaluating them plainly beside that."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from types import ModuleType
from typing import Any

from nodegraph import Session, Settings, Workflow
from nodegraph.errors import NodegraphError
from tests.adversarial.cells import CELLS
from tests.adversarial.plain import Evaluated, Plain, evaluate, shown

_NOTEBOOK = "adversarial_notebook"
_NUMBERS = count()


@dataclass(frozen=True)
class Wish:
    """A run that is asked for; plain values, as it may go to another process.

    Attributes:
        nodes: Those of the workflow.
        targets: Whose outputs are wanted.
        environ: Variables that are set before; None for those that aren't there.
        spoil: Whether the caller changes the outputs that it was given.
        midway: A file that is written when the first node starts, with what.
    """

    nodes: Mapping[str, Any]
    targets: Sequence[str]
    environ: Mapping[str, str | None] = field(default_factory=dict)
    spoil: bool = False
    midway: tuple[str, str] | None = None


@dataclass
class Answer:
    """What came of it.

    Attributes:
        plain: The targets' outputs as they should be; None if evaluating them fails.
        outputs: As nodegraph gave them; None if it gave none.
        ran: Nodes that ran, by the report.
        called: Names that the functions wrote into the log.
        surely, perhaps: Nodes that the plan announced.
        fault: What was raised.
        calls: What each node calls with what.
        refused: Nodes that nodegraph should fail, as they change what they share with others.
    """

    plain: dict[str, str] | None = None
    outputs: dict[str, str] | None = None
    ran: list[str] = field(default_factory=list)
    called: list[str] = field(default_factory=list)
    surely: list[str] = field(default_factory=list)
    perhaps: list[str] = field(default_factory=list)
    fault: str = ""
    calls: dict[str, str] = field(default_factory=dict)
    refused: list[str] = field(default_factory=list)

    def take(self, found: Evaluated, targets: Sequence[str]) -> None:
        """Note how it should be."""
        self.plain = {name: shown(found.outputs[name]) for name in targets}
        self.calls = found.calls
        self.refused = found.refused


class Driver:
    """A process' session over a folder, and a notebook whose cells have been run in it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._session: Session | None = None
        self._cells = ModuleType(f"{_NOTEBOOK}_{next(_NUMBERS)}")
        sys.modules[self._cells.__name__] = self._cells
        if str(root) not in sys.path:
            sys.path.insert(0, str(root))

    def close(self) -> None:
        """End the session."""
        self.restart()
        sys.modules.pop(self._cells.__name__, None)
        # Packs put folders there, too.
        sys.path[:] = [place for place in sys.path if not place.startswith(str(self.root))]

    def restart(self) -> None:
        """End the session; the next run begins another."""
        if self._session is not None:
            self._session.close()
        self._session = None

    def cell(self, text: str) -> None:
        """Run a cell: it makes its functions anew."""
        self.restart()
        exec(compile(text, "<cell>", "exec"), vars(self._cells))

    def poke(self, text: str) -> None:
        """Change something that is there already."""
        exec(compile(text, "<poke>", "exec"), vars(self._cells))

    def script(self, path: str) -> None:
        """Be a script that was begun just now."""
        self._cells = ModuleType("__main__")
        sys.modules["__main__"] = self._cells
        vars(self._cells)["__file__"] = path
        exec(compile(Path(path).read_text(), path, "exec"), vars(self._cells))

    def run(self, wish: Wish) -> Answer:
        """Run a workflow in the session that there is."""
        set_environment(wish.environ)
        answer = Answer()
        try:
            answer.take(evaluate(wish.nodes, wish.targets, self._function()), wish.targets)
        except Exception as error:  # noqa: BLE001 - the border with code that may be broken
            answer.fault = f"plainly: {type(error).__name__}: {error}"
        log = self.root / "calls.log"
        before = log.stat().st_size
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                self._run(wish, answer)
        except NodegraphError as error:
            answer.fault += f" {type(error).__name__}: {error}"
        with log.open() as lines:
            lines.seek(before)
            answer.called = lines.read().split()
        return answer

    def _function(self) -> Callable[[str], Callable[..., Any]]:
        plain = Plain(self.root)

        def function(node_type: str) -> Callable[..., Any]:
            own: Callable[..., Any] | None = vars(self._cells).get(node_type)
            if node_type == "LoadImage":
                return load_image
            return own if own is not None else plain.function(node_type)

        return function

    def _run(self, wish: Wish, answer: Answer) -> None:
        session = self._opened()
        workflow = Workflow.from_dict({"format": "nodegraph/1", "nodes": dict(wish.nodes)})
        targets = list(wish.targets)
        announced = session.plan(workflow, targets=targets, values=True).nodes
        runs = {name: plan for name, plan in announced.items() if plan.status == "run"}
        answer.surely = [name for name, plan in runs.items() if plan.certain]
        answer.perhaps = [name for name, plan in runs.items() if not plan.certain]
        result = session.run(workflow, targets=targets, listener=_writer(wish.midway))
        answer.ran = [name for name, report in result.nodes.items() if report.status == "ran"]
        if result.errors:
            raise result.errors[0]
        values = {
            _node(name): value for name, value in result.outputs.items() if not _is_mask(name)
        }
        answer.outputs = {name: shown(value) for name, value in values.items()}
        if wish.spoil:
            for value in values.values():
                spoil(value)

    def _opened(self) -> Session:
        if self._session is None:
            own = [vars(self._cells)[name] for name in CELLS if name in vars(self._cells)]
            self._session = Session(Settings(home=self.root), nodes=own, inputs=self.root)
        return self._session


def set_environment(variables: Mapping[str, str | None]) -> None:
    """Set variables, and take away those that are None."""
    for name, value in variables.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


def _node(output: str) -> str:
    return output.partition(".")[0]


def _is_mask(output: str) -> bool:
    return output.endswith(".mask")


def load_image(path: str) -> Any:
    """An image's pixels, as a link carries them."""
    import numpy
    import torch
    from PIL import Image

    with Image.open(path) as picture:
        return torch.from_numpy(numpy.array(picture, dtype=numpy.float32) / 255)[None]


def spoil(value: Any) -> None:
    """Do to a value what its new owner may."""
    import torch

    if isinstance(value, torch.Tensor):
        with torch.no_grad():
            value.detach().numpy()[...] *= 2
            value.add_(1)
    elif isinstance(value, (dict, list)):
        for item in value.values() if isinstance(value, dict) else list(value):
            spoil(item)
        value.clear()


def _writer(midway: tuple[str, str] | None) -> Callable[[Any], None]:
    waiting = [midway] if midway is not None else []

    def listen(event: Any) -> None:
        if waiting and event.kind == "node.started":
            path, text = waiting.pop()
            Path(path).write_text(text)

    return listen
