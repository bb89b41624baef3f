"""Workflows and apps, within an event loop."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from typing import Any

from nodegraph.client import workflow_calls
from nodegraph.client.async_asking import AsyncAsks
from nodegraph.client.job_calls import AsDocument
from nodegraph.client.sending import gathered, paged
from nodegraph.client.shapes import App, AppItem, AppRun, SavedItem, SavedVersion, Template


class AsyncWorkflows(AsyncAsks):
    """The workflows that are saved on a server."""

    async def save(
        self,
        name: str,
        workflow: Mapping[str, Any] | AsDocument,
        *,
        changes: str | None = None,
        is_new: bool = False,
    ) -> SavedVersion:
        """See `Workflows.save`."""
        return await self._asked(workflow_calls.save_workflow(name, workflow, changes, is_new))

    async def get(self, name: str, version: int | None = None) -> Mapping[str, Any]:
        """See `Workflows.get`."""
        return await self._asked(workflow_calls.get_workflow(name, version))

    def list(self, text: str = "") -> AsyncGenerator[SavedItem, None]:
        """See `Workflows.list`."""
        return self._doer.told(paged(lambda at: workflow_calls.workflows(at, text), self._retries))

    async def versions(self, name: str) -> tuple[SavedVersion, ...]:
        """See `Workflows.versions`."""
        return await self._doer.done(gathered(workflow_calls.versions(name), self._retries))

    async def delete(self, name: str) -> None:
        """See `Workflows.delete`."""
        await self._asked(workflow_calls.delete_workflow(name))


class AsyncTemplates(AsyncAsks):
    """The workflows that come with a server, to start from."""

    async def list(self) -> tuple[Template, ...]:
        """See `Templates.list`."""
        return await self._doer.done(gathered(workflow_calls.templates(), self._retries))

    async def get(self, name: str) -> Mapping[str, Any]:
        """See `Templates.get`."""
        return await self._asked(workflow_calls.get_template(name))

    async def picture(self, name: str) -> bytes:
        """See `Templates.picture`."""
        return await self._asked(workflow_calls.template_picture(name))

    async def file(self, name: str, file: str) -> bytes:
        """See `Templates.file`."""
        return await self._asked(workflow_calls.template_file(name, file))


class AsyncApps(AsyncAsks):
    """Saved workflows, run by their names."""

    def list(self) -> AsyncGenerator[AppItem, None]:
        """See `Apps.list`."""
        return self._doer.told(paged(workflow_calls.apps, self._retries))

    async def get(self, name: str) -> App:
        """See `Apps.get`."""
        return await self._asked(workflow_calls.app(name))

    async def run(
        self,
        name: str,
        values: Mapping[str, Any] | None = None,
        *,
        wait: int = 0,
        key: str | None = None,
    ) -> AppRun:
        """See `Apps.run`."""
        return await self._asked(workflow_calls.run_app(name, values or {}, wait, key))
