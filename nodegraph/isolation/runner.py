"""Interfaces inside the process of an isolated pack: what runs its code, and what a call gets."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from typing import Any, Protocol, TypeAlias

from nodegraph.core.context import Context
from nodegraph.core.spec import HookName, NodeSpec
from nodegraph.packs.declarations import Declarations
from nodegraph.packs.pack import Pack, PackKind

CONTEXT_PARAMETER = "nodegraph_context"
"""Parameter of a proxy's function that takes the context: no port can have this name in a pack."""

RUNNERS: Mapping[PackKind, str] = {
    "native": "nodegraph.isolation.native_runner:NativeRunner",
    "comfyui": "nodegraph.interop.comfyui.packs.runner:ComfyRunner",
}
"""Class of the runner of each kind of pack, as ``module:Class``. By name, because those of other
tools are in packages above this one."""


class CallContext(Context, Protocol):
    """Context of a call in the pack's process.

    All methods of `Context` work as in the main process. `Context.weights` loads the modules in
    this process.
    """

    def ask(self, service: str, **values: Any) -> Any:
        """Call a service of the main worker, where the models are, and wait for its result.

        Args:
            service: Name of the service.
            values: Plain values, tensors, and values of `nodegraph.core.values`.
        Raises:
            Cancelled: The run was cancelled.
            NodegraphError: The service refuses the values, or there is none of this name.
        """

    def lazy_value(self, port: str) -> Any:
        """Evaluate a lazy input and wait for its value. In the thread of a plain function."""

    def lazy(self, port: str) -> Awaitable[Any]:
        """Evaluate a lazy input. On the event loop of an async function."""


Inputs: TypeAlias = Mapping[str, Any]
"""Values by port, and what the node asks of its run by parameter (`NodeSpec.hidden`). Lazy inputs
are absent."""


class PackRunner(Protocol):
    """Runs the code of one pack in this process.

    It is created once per process, as ``PackRunner(pack, environment)``: the pack as the main process
    describes it, and the folders of its session (`nodegraph.core.context.Environment`).
    """

    pack: Pack

    def declare(self) -> tuple[Declarations, tuple[str, ...]]:
        """Import the pack; see `PackHost.declarations`.

        The specs name each class or function by `NodeSpec.module` and `NodeSpec.qualname`.
        """

    def call(self, spec: NodeSpec, inputs: Inputs, context: CallContext) -> Any:
        """Run a node.

        Called in a thread; an async node runs on an event loop of the runner's own.

        Returns:
            What a node's function may return: values, `Expand`, `NodeOutput`, `Blocked`. Values of
            classes that only this process knows become `ForeignValue` on the way.
        Raises:
            Exception: What the pack's code raises. Its traceback is shown to the user.
        """

    def hook(self, spec: NodeSpec, name: HookName, inputs: Any) -> Any:
        """Call a hook of a node type, such as ``validate``, with its `HookInputs`."""

    def migrate(self, spec: NodeSpec, version: int, inputs: dict[str, Any]) -> dict[str, Any]:
        """Convert the inputs of an older version of a node type to those of the next."""
