"""Code of packs in this process, on a real session: values cross as they do between processes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from nodegraph import Context, Session, Settings, Workflow, node
from nodegraph.errors import NodegraphError
from nodegraph.interop.comfyui.packs import handles, latents, stand_ins
from nodegraph.interop.comfyui.packs.services import COMFY_SERVICES
from nodegraph.isolation.runner import calling_back
from nodegraph.store import msgpack_codec


class _Tensors:
    """Tensors of a message."""

    def __init__(self) -> None:
        self.kept: list[Any] = []

    def add(self, tensor: Any) -> list[Any]:
        self.kept.append(tensor.clone() if isinstance(tensor, torch.Tensor) else tensor)
        return [len(self.kept) - 1]

    add_array = add

    def tensor(self, reference: list[Any]) -> Any:
        return self.kept[reference[0]]

    array = tensor


def carried(value: Any) -> Any:
    """A value after it has crossed to another process."""
    tensors = _Tensors()
    data = msgpack_codec.pack(value, {}, tensors)
    return msgpack_codec.unpack(data, {}, tensors)


class DirectCall:
    """A call's context that reaches the services of its own process."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self.asked: list[str] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._context, name)

    def ask(self, service: str, /, *, callback: Any = None, **values: Any) -> Any:
        self.asked.append(service)

        def called(**shown: Any) -> Any:
            with torch.inference_mode():
                return carried(callback(**carried(shown)))

        # a mode of the pack's process
        with torch.inference_mode(False), calling_back(called if callback else None):
            return carried(COMFY_SERVICES[service](self._context, **carried(values)))


_CODE: dict[str, tuple[str, dict[str, Any]]] = {}


@node(lane="gpu", deterministic=False)
def RunCode(ctx: Context, code: str) -> str:
    """Run a function `run` of some code of a pack."""
    source, found = _CODE[code]
    call = DirectCall(ctx)
    with torch.inference_mode(), stand_ins.installed(ctx.environment):
        token = handles.current_call.set(call)  # type: ignore[arg-type]
        latents.forget_formats()
        try:
            names: dict[str, Any] = {"torch": torch, **found}
            exec(compile(source, "pack.py", "exec"), names)
            found["result"] = names["run"]()
            found["asked"] = call.asked
        finally:
            handles.current_call.reset(token)
    return "done"


class PackBench:
    """Runs code of packs in nodes, and native workflows beside them."""

    def __init__(self, folder: Path) -> None:
        for name in ("inputs", "models", "outputs"):
            (folder / name).mkdir()
        self.folder = folder
        self.session = Session(
            Settings(
                home=folder / "home",
                models=(folder / "models",),
                inputs=folder / "inputs",
                outputs=folder / "outputs",
                device="cpu",
            ),
            nodes=[RunCode],
        )
        self.events: list[Any] = []

    def native(self, nodes: dict[str, Any], output: str) -> Any:
        """A value of a native workflow."""
        workflow = Workflow.from_dict({"format": "nodegraph/1", "nodes": nodes})
        result = self.session.run(workflow, targets=[output.partition(".")[0]])
        assert not result.errors, result.errors
        return result[output]

    def run(self, code: str, **names: Any) -> Any:
        """What the function `run` of a pack's code returns.

        Args:
            names: Further names in the code.
        """
        found = dict(names)
        _CODE[code] = (code, found)
        workflow = Workflow.from_dict(
            {
                "format": "nodegraph/1",
                "nodes": {"run": {"type": "RunCode", "inputs": {"code": code}}},
            }
        )
        self.events = []
        result = self.session.run(workflow, targets=["run"], listener=self.events.append)
        if result.errors:
            raise result.errors[0]
        self.asked: list[str] = found["asked"]
        return found["result"]

    def failure(self, code: str, **names: Any) -> str:
        """The message of the error that a pack's code ends with."""
        try:
            self.run(code, **names)
        except NodegraphError as error:
            return str(error)
        raise AssertionError("the code did not fail")


@contextmanager
def pack_bench(folder: Path) -> Iterator[PackBench]:
    """A bench, closed afterwards."""
    bench = PackBench(folder)
    try:
        yield bench
    finally:
        bench.session.close()


Code = Callable[[], Any]
