"""The server itself and its queue, for programs that wait for what they ask."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from nodegraph.client import server_calls
from nodegraph.client.asking import Asks
from nodegraph.client.job_calls import AnyWorkflow, WishFields
from nodegraph.client.node_types import NodeTypes
from nodegraph.client.sending import gathered
from nodegraph.client.server_calls import SettingsChange
from nodegraph.client.shapes import (
    Checked,
    Model,
    Plan,
    QueueState,
    Refreshed,
    Source,
    System,
)
from nodegraph.core.spec import NodeSpec

if TYPE_CHECKING:
    from typing_extensions import Unpack


class AsksForServer(Asks):
    """What can be asked of the server without a job."""

    def validate(self, workflow: AnyWorkflow, **wish: Unpack[WishFields]) -> Checked:
        """Everything that is wrong with a workflow."""
        return self._asked(server_calls.validate(workflow, wish))

    def plan(self, workflow: AnyWorkflow, **wish: Unpack[WishFields]) -> Plan:
        """What a run would do, node by node, and what it is expected to take."""
        return self._asked(server_calls.plan(workflow, wish))

    def node_types(self) -> NodeTypes:
        """What the server's nodes take and give."""
        return self._asked(server_calls.node_types())

    def node_type(self, name: str) -> NodeSpec:
        """What one of them takes and gives.

        Raises:
            NotFound: There is none of that name.
        """
        return self._asked(server_calls.node_type(name))

    def models(self) -> tuple[Model, ...]:
        """The server's models."""
        return self._doer.done(gathered(server_calls.models(), self._retries))

    def model_thumbnail(self, name: str, size: int = 256) -> bytes:
        """A small picture of a model, as a WebP file.

        Args:
            name: The model's.
            size: Pixels of the square that it fits into, 64 to 512.
        Raises:
            NotFound: There is none beside it.
        """
        return self._asked(server_calls.model_thumbnail(name, size))

    def sources(
        self, *, models: Sequence[str] = (), packs: Sequence[str] = ()
    ) -> tuple[Source, ...]:
        """Where to get models and node packs that a plan says are missing; hints for people.

        Args:
            models, packs: Their names.
        """
        return self._doer.done(gathered(server_calls.sources(models, packs), self._retries))

    def system(self) -> System:
        """The server itself: versions, processes, memory, the queue."""
        return self._asked(server_calls.system())

    def refresh(self) -> Refreshed:
        """Have the server look at its node packs anew; workers take up what has changed.

        Takes a token that may administer.
        """
        return self._asked(server_calls.refresh())


class Queue(Asks):
    """A server's queue as a whole."""

    def get(self, upcoming: int = 50) -> QueueState:
        """How the queue is.

        Args:
            upcoming: How many of the next jobs are told.
        """
        return self._asked(server_calls.queue(upcoming))

    def pause(self) -> QueueState:
        """Begin no more jobs, also after a restart; what runs goes on.

        Takes a token that may administer, as `resume` does.
        """
        return self._asked(server_calls.pause())

    def resume(self) -> QueueState:
        """Begin jobs again."""
        return self._asked(server_calls.resume())

    def clear(self, *, client: str | None = None, tag: str | None = None) -> int:
        """Cancel one's jobs that wait, or everybody's with a token that may administer.

        Args:
            client: Only its jobs.
            tag: Only jobs with it.
        Returns:
            How many those were.
        """
        return self._asked(server_calls.clear(client, tag))


class Settings(Asks):
    """A server's settings; for tokens that may administer."""

    def get(self) -> Mapping[str, Any]:
        """The settings in force, as docs/operations.md lists them."""
        return self._asked(server_calls.settings())

    def change(self, **change: Unpack[SettingsChange]) -> Mapping[str, Any]:
        """Change some until the server starts again; the settings in force then.

        Args:
            change: See `SettingsChange`. What isn't given stays.
        """
        return self._asked(server_calls.change_settings(change))
