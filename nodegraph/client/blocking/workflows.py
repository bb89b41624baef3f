# Made from ../asynchronous/workflows.py by docs/generate_blocking_client.py: don't edit.
"""Workflows that are kept on the server, those that come with it, and apps."""

from __future__ import annotations

import secrets
from collections.abc import Generator, Mapping
from typing import Any

from nodegraph.client.blocking.channel import Asks
from nodegraph.client.reading import mapping, page, parse_answer, picture
from nodegraph.client.requests import JSON, Request, json_request, query, url_path
from nodegraph.client.shapes import App, AppItem, AppRun, SavedItem, SavedVersion, Template
from nodegraph.client.wishes import AsDocument, workflow_document

_WORKFLOWS, _TEMPLATES, _APPS = "/workflows", "/templates", "/apps"


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
        headers = {"If-None-Match": "*"} if is_new else {}
        if changes is not None:
            headers["If-Match"] = f'"{changes}"'
        request = json_request(
            "PUT",
            _WORKFLOWS + url_path(name),
            workflow_document(workflow),
            headers=headers,
            # With a condition, the second one would be refused because of the first.
            is_repeatable=not headers,
        )
        return parse_answer(SavedVersion, self._channel.send(request))

    def get(self, name: str, version: int | None = None) -> Mapping[str, Any]:
        """What the file of a workflow says; the newest version's if none is given.

        Raises:
            NotFound: There is none of that name, or version.
        """
        way = url_path(name) if version is None else url_path(name, "versions", version)
        return mapping(self._channel.send(Request("GET", _WORKFLOWS + way)))

    def list(self, text: str = "") -> Generator[SavedItem, None, None]:
        """The saved workflows by name; asked for as they are needed.

        Args:
            text: Only those with it in name, title or description.
        """
        return self._channel.items(SavedItem, _WORKFLOWS, query(text=text))

    def versions(self, name: str) -> tuple[SavedVersion, ...]:
        """The versions of a workflow that are kept, the newest first."""
        request = Request("GET", _WORKFLOWS + url_path(name, "versions"))
        return page(SavedVersion, self._channel.send(request)).items

    def delete(self, name: str) -> None:
        """Delete a workflow with all its versions."""
        self._channel.send(Request("DELETE", _WORKFLOWS + url_path(name), already_done_status=404))


class Templates(Asks):
    """The workflows that come with a server, to start from."""

    def list(self) -> tuple[Template, ...]:
        """All of them, by name."""
        return page(Template, self._channel.send(Request("GET", _TEMPLATES))).items

    def get(self, name: str) -> Mapping[str, Any]:
        """What the file of one says.

        Raises:
            NotFound: There is none of that name.
        """
        return mapping(self._channel.send(Request("GET", _TEMPLATES + url_path(name))))

    def picture(self, name: str) -> bytes:
        """A picture of what one makes, as a WebP file.

        Raises:
            NotFound: There is none.
        """
        request = Request("GET", _TEMPLATES + url_path(name, "picture"))
        return picture(self._channel.send(request))

    def file(self, name: str, file: str) -> bytes:
        """A file that one needs, such as a picture to be uploaded.

        Raises:
            NotFound: It needs no such file.
        """
        request = Request("GET", _TEMPLATES + url_path(name, "files", file))
        return (self._channel.send(request)).body


class Apps(Asks):
    """Saved workflows, run by their names."""

    def list(self) -> Generator[AppItem, None, None]:
        """The apps by name; asked for as they are needed."""
        return self._channel.items(AppItem, _APPS)

    def get(self, name: str) -> App:
        """What an app takes and gives."""
        request = Request("GET", _APPS + url_path(name), headers={"Accept": JSON})
        return parse_answer(App, self._channel.send(request))

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
        headers = {
            "Accept": JSON,
            "Idempotency-Key": key or secrets.token_hex(16),
            "Prefer": f"wait={wait}",
        }
        request = json_request(
            "POST", _APPS + url_path(name), dict(values or {}), headers=headers, seconds=float(wait)
        )
        return parse_answer(AppRun, self._channel.send(request))
