"""Workflows, apps and the server itself, for programs that wait for what they ask."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from nodegraph.client import server_calls
from nodegraph.client.asking import Asks
from nodegraph.client.entries import (
    App,
    AppItem,
    AppRun,
    Checked,
    Model,
    Plan,
    SavedItem,
    SavedVersion,
    System,
)
from nodegraph.client.job_calls import AnyWorkflow, AsDocument, WishFields
from nodegraph.client.node_types import NodeTypes
from nodegraph.client.sending import gathered, paged
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

    def system(self) -> System:
        """The server itself: versions, processes, memory, the queue."""
        return self._asked(server_calls.system())


class Workflows(Asks):
    """The workflows that are saved on a server."""

    def save(
        self,
        name: str,
        workflow: Mapping[str, Any] | AsDocument,
        *,
        changes: str | None = None,
        is_new: bool = False,
    ) -> SavedVersion:
        """Keep a workflow under a name; what differs from what is there is its next version.

        Args:
            changes: `SavedVersion.digest` of what the change was made to, so that nobody else's is
                overwritten.
            is_new: Refuse if there is one of that name.
        Raises:
            Conflict: It was changed meanwhile, or is there.
        """
        return self._asked(server_calls.save_workflow(name, workflow, changes, is_new))

    def get(self, name: str, version: int | None = None) -> Mapping[str, Any]:
        """What the file of a workflow says; the newest version's if none is given.

        Raises:
            NotFound: There is none of that name, or version.
        """
        return self._asked(server_calls.get_workflow(name, version))

    def list(self, text: str = "") -> Iterator[SavedItem]:
        """The saved workflows by name; asked for as they are needed.

        Args:
            text: Only those with it in name, title or description.
        """
        return self._doer.told(paged(lambda at: server_calls.workflows(at, text), self._retries))

    def versions(self, name: str) -> tuple[SavedVersion, ...]:
        """The versions of a workflow that are kept, the newest first."""
        return self._doer.done(gathered(server_calls.versions(name), self._retries))

    def delete(self, name: str) -> None:
        """Delete a workflow with all its versions."""
        self._asked(server_calls.delete_workflow(name))


class Apps(Asks):
    """Saved workflows, run by their names."""

    def list(self) -> Iterator[AppItem]:
        """The apps by name; asked for as they are needed."""
        return self._doer.told(paged(server_calls.apps, self._retries))

    def get(self, name: str) -> App:
        """What an app takes and gives."""
        return self._asked(server_calls.app(name))

    def run(
        self,
        name: str,
        values: Mapping[str, Any] | None = None,
        *,
        wait: int = 0,
        key: str | None = None,
    ) -> AppRun:
        """Run an app.

        Args:
            values: Of its parameters. For a file, `Upload.value` of one that was brought.
            wait: Seconds to wait for it to finish, 120 at most; what is left of it goes on, and
                can be waited for as a job.
            key: Running it again with the same one gives the same job; a new one if not given.
        Raises:
            JobFailed: It failed while it was waited for.
        """
        return self._asked(server_calls.run_app(name, values or {}, wait, key))
