"""Workflows and apps, for programs that wait for what they ask."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from nodegraph.client import workflow_calls
from nodegraph.client.asking import Asks
from nodegraph.client.job_calls import AsDocument
from nodegraph.client.sending import gathered, paged
from nodegraph.client.shapes import App, AppItem, AppRun, SavedItem, SavedVersion, Template


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
        return self._asked(workflow_calls.save_workflow(name, workflow, changes, is_new))

    def get(self, name: str, version: int | None = None) -> Mapping[str, Any]:
        """What the file of a workflow says; the newest version's if none is given.

        Raises:
            NotFound: There is none of that name, or version.
        """
        return self._asked(workflow_calls.get_workflow(name, version))

    def list(self, text: str = "") -> Iterator[SavedItem]:
        """The saved workflows by name; asked for as they are needed.

        Args:
            text: Only those with it in name, title or description.
        """
        return self._doer.told(paged(lambda at: workflow_calls.workflows(at, text), self._retries))

    def versions(self, name: str) -> tuple[SavedVersion, ...]:
        """The versions of a workflow that are kept, the newest first."""
        return self._doer.done(gathered(workflow_calls.versions(name), self._retries))

    def delete(self, name: str) -> None:
        """Delete a workflow with all its versions."""
        self._asked(workflow_calls.delete_workflow(name))


class Templates(Asks):
    """The workflows that come with a server, to start from."""

    def list(self) -> tuple[Template, ...]:
        """All of them, by name."""
        return self._doer.done(gathered(workflow_calls.templates(), self._retries))

    def get(self, name: str) -> Mapping[str, Any]:
        """What the file of one says.

        Raises:
            NotFound: There is none of that name.
        """
        return self._asked(workflow_calls.get_template(name))

    def picture(self, name: str) -> bytes:
        """A picture of what one makes, as a WebP file.

        Raises:
            NotFound: There is none.
        """
        return self._asked(workflow_calls.template_picture(name))

    def file(self, name: str, file: str) -> bytes:
        """A file that one needs, such as a picture to be uploaded.

        Raises:
            NotFound: It needs no such file.
        """
        return self._asked(workflow_calls.template_file(name, file))


class Apps(Asks):
    """Saved workflows, run by their names."""

    def list(self) -> Iterator[AppItem]:
        """The apps by name; asked for as they are needed."""
        return self._doer.told(paged(workflow_calls.apps, self._retries))

    def get(self, name: str) -> App:
        """What an app takes and gives."""
        return self._asked(workflow_calls.app(name))

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
        return self._asked(workflow_calls.run_app(name, values or {}, wait, key))
