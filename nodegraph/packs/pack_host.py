"""Interface of the processes that run the code of isolated packs."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from nodegraph.core.spec import HookName, NodeSpec
from nodegraph.packs.pack import Pack
from nodegraph.packs.snapshot import Snapshot

if TYPE_CHECKING:
    from nodegraph.core.context import Context
    from nodegraph.core.foreign_value import ForeignValue
    from nodegraph.core.node import NodeDefinition
    from nodegraph.packs.declarations import Declarations


class PackHost(Protocol):
    """Runs the code of isolated packs in processes of their environments.

    The registry asks it for everything that needs a pack's code. Files that a snapshot contains are
    the ones that run: a host refuses to run others.
    """

    def declarations(self, pack: Pack, snapshot: Snapshot) -> tuple[Declarations, tuple[str, ...]]:
        """Import a pack in its process.

        Returns:
            What it declares, and files and folders outside the pack that the declarations depend
            on, such as a folder of models that an input lists.
        Raises:
            PackError: The process does not start, or ends.
        """

    def definition(self, pack: Pack, snapshot: Snapshot, spec: NodeSpec) -> NodeDefinition:
        """Return a node type whose function runs in the pack's process; starts no process."""

    def hook(
        self, pack: Pack, snapshot: Snapshot, spec: NodeSpec, name: HookName
    ) -> Callable[..., Any]:
        """Return a hook of a node type, which runs in the pack's process; starts no process."""

    def lend(
        self,
        pack: Pack,
        snapshot: Snapshot,
        spec: NodeSpec,
        value: ForeignValue,
        context: Context,
        run: Callable[[Any], Any],
    ) -> Any:
        """Run a node of this process with a model, sampler or noise of a pack.

        Args:
            pack, snapshot: Of the pack that holds it.
            spec: Of the node.
            value: It, as the pack's process gave it.
            context: Of the node's call.
            run: Runs the node with what it stands for, such as a `LentModel`, and returns what its
                function returns.
        Returns:
            What `run` returns; models in it that keep patches are values of the pack again.
        Raises:
            PackError: The process does not start, ends, or lends nothing.
            Exception: What `run` raises.
        """
