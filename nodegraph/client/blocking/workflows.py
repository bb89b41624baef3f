# Made from ../asynchronous/workflows.py by docs/generate_blocking_client.py: don't edit.
"""Parts of Client for workflows: checks, comparisons, saved ones, templates and apps."""

from __future__ import annotations

import secrets
from collections.abc import Generator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from nodegraph.client.answers import (
    mapping,
    page,
    parse_answer,
    picture,
)
from nodegraph.client.blocking.transport import ClientPart
from nodegraph.client.request_fields import (
    AnyWorkflow,
    AsDocument,
    PlanFields,
    WishFields,
    workflow_document,
)
from nodegraph.client.request_fields import request_body as wished
from nodegraph.client.requests import (
    JSON,
    PLAN_SECONDS,
    Request,
    json_request,
    query,
    url_path,
)
from nodegraph.client.shapes import (
    App,
    AppItem,
    AppRun,
    Checked,
    MergedWorkflow,
    Plan,
    SavedItem,
    SavedVersion,
    Template,
    Translated,
    WorkflowComparison,
)

if TYPE_CHECKING:
    from typing_extensions import Unpack

_WORKFLOWS, _TEMPLATES, _APPS = "/workflows", "/templates", "/apps"


class WorkflowMethods(ClientPart):
    """Methods of a workflow that need no job."""

    def validate(self, workflow: AnyWorkflow, **fields: Unpack[WishFields]) -> Checked:
        """Return all problems of a workflow."""
        request = json_request("POST", "/validate", wished(workflow, fields), seconds=PLAN_SECONDS)
        return parse_answer(Checked, self._channel.send(request))

    def plan(self, workflow: AnyWorkflow, **fields: Unpack[PlanFields]) -> Plan:
        """Return what a run would do, node by node, with its expected time and memory."""
        request = json_request("POST", "/plan", wished(workflow, fields), seconds=PLAN_SECONDS)
        return parse_answer(Plan, self._channel.send(request))

    def import_comfyui(self, document: Mapping[str, Any]) -> Translated:
        """Translate a ComfyUI workflow, and list what cannot be translated.

        Args:
            document: Content of the file, in any format of ComfyUI.
        Raises:
            ServerError: The document is not a ComfyUI workflow, or it is damaged.
        """
        request = json_request("POST", "/import", {"document": document}, seconds=PLAN_SECONDS)
        return parse_answer(Translated, self._channel.send(request))

    def script(self, workflow: Mapping[str, Any] | AsDocument) -> str:
        """Return the Python script that builds a workflow, like `nodegraph export --python`."""
        request = json_request(
            "POST", "/script", {"workflow": workflow_document(workflow)}, seconds=PLAN_SECONDS
        )
        return str(mapping(self._channel.send(request))["text"])

    def compare(
        self,
        first: Mapping[str, Any] | AsDocument,
        second: Mapping[str, Any] | AsDocument,
    ) -> WorkflowComparison:
        """Return how two workflows differ, like `nodegraph diff`."""
        body = {"first": workflow_document(first), "second": workflow_document(second)}
        request = json_request("POST", "/compare", body, seconds=PLAN_SECONDS)
        return parse_answer(WorkflowComparison, self._channel.send(request))

    def merge(
        self,
        base: Mapping[str, Any] | AsDocument,
        ours: Mapping[str, Any] | AsDocument,
        theirs: Mapping[str, Any] | AsDocument,
        *,
        skipped_ours: Sequence[int] = (),
        skipped_theirs: Sequence[int] = (),
    ) -> MergedWorkflow:
        """Merge two workflows with a common base, like `nodegraph merge`.

        Args:
            skipped_ours, skipped_theirs: Indices of changes to leave out, as an earlier merge of
                the same workflows lists them.
        """
        sides = {"base": base, "ours": ours, "theirs": theirs}
        body = {
            **{name: workflow_document(each) for name, each in sides.items()},
            "skipped_ours": list(skipped_ours),
            "skipped_theirs": list(skipped_theirs),
        }
        request = json_request("POST", "/merge", body, seconds=PLAN_SECONDS)
        return parse_answer(MergedWorkflow, self._channel.send(request))


class Workflows(ClientPart):
    """Saved workflows of a server."""

    def save(
        self,
        name: str,
        workflow: Mapping[str, Any] | AsDocument,
        *,
        changes: str | None = None,
        is_new: bool = False,
    ) -> SavedVersion:
        """Save a workflow under a name. If it differs from the stored one, it is the next version.

        Args:
            changes: `SavedVersion.digest` of the version that was changed. The server refuses to
                overwrite any other version.
            is_new: Whether to refuse if a workflow of this name exists.
        Raises:
            Conflict: The workflow was changed meanwhile, or it already exists.
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
        """Return the content of a workflow file, by default of the newest version.

        Raises:
            NotFound: There is no workflow of this name, or no such version.
        """
        way = url_path(name) if version is None else url_path(name, "versions", version)
        return mapping(self._channel.send(Request("GET", _WORKFLOWS + way)))

    def list(self, text: str = "") -> Generator[SavedItem, None, None]:
        """Iterate over the saved workflows, sorted by name. Pages are requested as needed.

        Args:
            text: Only workflows with this text in their name, title or description.
        """
        return self._channel.items(SavedItem, _WORKFLOWS, query(text=text))

    def versions(self, name: str) -> tuple[SavedVersion, ...]:
        """Return the stored versions of a workflow, the newest first."""
        request = Request("GET", _WORKFLOWS + url_path(name, "versions"))
        return page(SavedVersion, self._channel.send(request)).items

    def delete(self, name: str) -> None:
        """Delete a workflow with all its versions."""
        self._channel.send(Request("DELETE", _WORKFLOWS + url_path(name), already_done_status=404))


class Templates(ClientPart):
    """Workflows that ship with a server, as starting points."""

    def list(self) -> tuple[Template, ...]:
        """Return all templates, sorted by name."""
        return page(Template, self._channel.send(Request("GET", _TEMPLATES))).items

    def get(self, name: str) -> Mapping[str, Any]:
        """Return the content of a template's workflow file.

        Raises:
            NotFound: There is no template of this name.
        """
        return mapping(self._channel.send(Request("GET", _TEMPLATES + url_path(name))))

    def picture(self, name: str) -> bytes:
        """Return the bytes of a WebP image that a template makes.

        Raises:
            NotFound: There is no image.
        """
        request = Request("GET", _TEMPLATES + url_path(name, "picture"))
        return picture(self._channel.send(request))

    def lesson(self, name: str) -> Mapping[str, Any]:
        """Return the content of the lesson about a template: its steps, with texts by language.

        Raises:
            NotFound: There is no lesson.
        """
        request = Request("GET", _TEMPLATES + url_path(name, "lesson"))
        return mapping(self._channel.send(request))

    def file(self, name: str, file: str) -> bytes:
        """Return the bytes of a file that a template needs, such as an image to upload.

        Raises:
            NotFound: The template does not need such a file.
        """
        request = Request("GET", _TEMPLATES + url_path(name, "files", file))
        return (self._channel.send(request)).body


class Apps(ClientPart):
    """Apps of a server: saved workflows that are run by their names."""

    def list(self) -> Generator[AppItem, None, None]:
        """Iterate over the apps, sorted by name. Pages are requested as needed."""
        return self._channel.items(AppItem, _APPS)

    def get(self, name: str) -> App:
        """Return the parameters and outputs of an app."""
        request = Request("GET", _APPS + url_path(name), headers={"Accept": JSON})
        return parse_answer(App, self._channel.send(request))

    def run(
        self,
        name: str,
        values: Mapping[str, Any] | None = None,
        *,
        wait: int = 0,
        key: str | None = None,
        webhook: str | None = None,
        not_before: str | None = None,
    ) -> AppRun:
        """Run an app.

        Args:
            values: Values of its parameters. For a file, `Upload.value` of an upload.
            wait: Seconds to wait for the result, at most 120. An unfinished run continues, and can
                be awaited as a job.
            key: Idempotency key: a second run with the same key returns the same job. By default
                a new key.
            webhook: Address that is sent the end of the job, or ``none``. By default the webhook of
                the token.
            not_before: Time before which the job does not start, as ISO 8601.
        Raises:
            JobFailed: The run failed during the wait.
        """
        headers = {
            "Accept": JSON,
            "Idempotency-Key": key or secrets.token_hex(16),
            "Prefer": f"wait={wait}",
        }
        request = json_request(
            "POST", _APPS + url_path(name), dict(values or {}), headers=headers, seconds=float(wait)
        )
        request = replace(request, query=query(webhook=webhook, not_before=not_before))
        return parse_answer(AppRun, self._channel.send(request))
