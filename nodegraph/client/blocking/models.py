# Made from ../asynchronous/models.py by docs/generate_blocking_client.py: don't edit.
"""Methods of Client for models, here and on other sites, packs, and the library of results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nodegraph.client.answers import count, mapping, page, parse_answer, picture, raw
from nodegraph.client.blocking.transport import ClientPart
from nodegraph.client.request_fields import (
    AnyResults,
    AsDocument,
    DownloadChoice,
    GridFields,
    LibraryChange,
    ModelRecordChange,
    digests_of,
    workflow_document,
)
from nodegraph.client.requests import PLAN_SECONDS, Request, json_request, query, url_path
from nodegraph.client.shapes import (
    AvailablePacks,
    Board,
    DownloadOffer,
    LinkedFolder,
    MissingModel,
    Model,
    ModelDownload,
    ModelRecord,
    ModelUpdate,
    ModelUses,
    OfferedModel,
    OutputFile,
    PackChange,
    PackEntry,
    PackList,
    StarterModel,
    TagCount,
    Upload,
    VerifiedFile,
)

if TYPE_CHECKING:
    from typing_extensions import Unpack

_DOWNLOADS, _LINKS, _PACKS = "/models/downloads", "/models/links", "/packs"
_READ_SECONDS = 600.0
"""Seconds for reading a large model."""


class ModelMethods(ClientPart):
    """Models of a server."""

    def models(self) -> tuple[Model, ...]:
        """Return the models of the server."""
        return page(Model, self._channel.send(Request("GET", "/models"))).items

    def model_thumbnail(self, name: str, size: int = 256) -> bytes:
        """Return the bytes of a small WebP image of a model.

        Args:
            name: Name of the model.
            size: Side of the square that the image fits into, 64 to 512 pixels.
        Raises:
            NotFound: The model has no image.
        """
        request = Request("GET", "/models/thumbnail", query(name=name, size=size))
        return picture(self._channel.send(request))

    def model_record(self, name: str) -> ModelRecord:
        """Return what is known about a model: its source, license, trigger words and notes.

        Args:
            name: Name of the model.
        Raises:
            NotFound: There is no model of this name.
        """
        request = Request("GET", "/models/record", query(name=name))
        return parse_answer(ModelRecord, self._channel.send(request))

    def change_model_record(self, name: str, **change: Unpack[ModelRecordChange]) -> ModelRecord:
        """Change what people note about a model. This needs a token with the scope
        `models`, as does all that changes models.

        Args:
            name: Name of the model.
            change: See `ModelRecordChange`. Omitted fields stay unchanged.
        """
        request = json_request("PATCH", "/models/record", change)
        request = replace(request, query=query(name=name))
        return parse_answer(ModelRecord, self._channel.send(request))

    def move_model(self, name: str, new: str) -> str:
        """Move a model to another name in its models folder, and return this name.

        Args:
            name: Name of the model.
            new: New path below its models folder.
        """
        body = {"name": name, "new": new}
        request = json_request("POST", "/models/record/move", body, is_repeatable=False)
        return str(mapping(self._channel.send(request))["name"])

    def remove_model(self, name: str) -> None:
        """Remove a model from the server's disk, with the notes and the image beside it.

        Args:
            name: Name of the model.
        """
        request = Request("DELETE", "/models/record", query(name=name), already_done_status=404)
        self._channel.send(request)

    def change_model_picture(self, name: str, image: Path | str | bytes) -> None:
        """Set the image of a model, which is kept in a file beside it.

        Args:
            name: Name of the model.
            image: Path of a PNG, JPEG or WebP file, or its bytes.
        """
        body = Path(image) if isinstance(image, str) else image
        headers = {"Content-Type": "application/octet-stream"}
        request = Request("PUT", "/models/picture", query(name=name), headers, body)
        self._channel.send(request)

    def remove_model_picture(self, name: str) -> None:
        """Remove the image of a model.

        Args:
            name: Name of the model.
        """
        request = Request("DELETE", "/models/picture", query(name=name), already_done_status=404)
        self._channel.send(request)

    def verify_model(self, name: str) -> tuple[VerifiedFile, ...]:
        """Read a model and compare it with the digests of its source.

        Args:
            name: Name of the model.
        """
        request = Request("POST", "/models/verify", query(name=name), extra_seconds=_READ_SECONDS)
        files = mapping(self._channel.send(request))["files"]
        return tuple(VerifiedFile(**each) for each in files)

    def model_uses(self, name: str) -> ModelUses:
        """Return which saved workflows and jobs name a model.

        Args:
            name: Name of the model.
        """
        request = Request("GET", "/models/uses", query(name=name), extra_seconds=PLAN_SECONDS)
        return parse_answer(ModelUses, self._channel.send(request))

    def lookup_model(self, name: str) -> ModelRecord:
        """Look a model up at Civitai by its hash, and keep what is known there.

        Args:
            name: Name of the model.
        """
        request = Request("POST", "/models/lookup", query(name=name), extra_seconds=_READ_SECONDS)
        return parse_answer(ModelRecord, self._channel.send(request))

    def model_update(self, name: str) -> ModelUpdate:
        """Ask the source of a model for a newer version.

        Args:
            name: Name of the model.
        """
        request = Request("GET", "/models/update", query(name=name), extra_seconds=PLAN_SECONDS)
        return parse_answer(ModelUpdate, self._channel.send(request))

    def model_links(self) -> tuple[LinkedFolder, ...]:
        """Return the linked folders of models of other programs."""
        return page(LinkedFolder, self._channel.send(Request("GET", _LINKS))).items

    def link_models(self, path: str) -> tuple[LinkedFolder, ...]:
        """Use the models of ComfyUI, A1111 or InvokeAI where they are; the linked folders then.

        Args:
            path: Folder on the server's machine, or ComfyUI's file ``extra_model_paths.yaml``.
        """
        request = json_request("POST", _LINKS, {"path": path})
        return page(LinkedFolder, self._channel.send(request)).items

    def unlink_models(self, folder: str) -> None:
        """Do not use a linked folder any more.

        Args:
            folder: See `LinkedFolder`.
        """
        request = Request("DELETE", _LINKS, query(folder=folder), already_done_status=404)
        self._channel.send(request)


class ModelDownloads(ClientPart):
    """Models of other sites, and their downloads to a server; for tokens with the scope `models`,
    except `list` and `starter`."""

    def starter(self) -> tuple[StarterModel, ...]:
        """Return the starter catalogue: well-known models by purpose and memory."""
        return page(StarterModel, self._channel.send(Request("GET", "/models/starter"))).items

    def missing(self, workflow: Mapping[str, Any] | AsDocument) -> tuple[MissingModel, ...]:
        """Return the models that a workflow names and the server lacks, with their sources.

        Args:
            workflow: A workflow document.
        """
        body = {"workflow": workflow_document(workflow)}
        request = json_request("POST", "/models/missing", body, seconds=PLAN_SECONDS)
        return page(MissingModel, self._channel.send(request)).items

    def search(
        self,
        words: str = "",
        *,
        kind: str | None = None,
        family: str | None = None,
        source: str | None = None,
        limit: int = 20,
    ) -> tuple[OfferedModel, ...]:
        """Search Hugging Face and Civitai.

        Args:
            kind: Only models of this kind, such as ``lora``.
            family: Only models of this family, such as ``sdxl``.
            source: Only ``huggingface`` or ``civitai``.
            limit: Largest number of models of each source.
        """
        parameters = query(text=words, kind=kind, family=family, source=source, limit=limit)
        request = Request("GET", "/models/search", parameters, extra_seconds=PLAN_SECONDS)
        return page(OfferedModel, self._channel.send(request)).items

    def plan(self, source: str, **choice: Unpack[DownloadChoice]) -> DownloadOffer:
        """Return what a download would bring: files, sizes and license.

        Args:
            source: Reference of the model, such as ``org/name`` or ``civitai:128713``.
        """
        body = {"source": source, **choice}
        request = json_request("POST", f"{_DOWNLOADS}/plan", body, seconds=PLAN_SECONDS)
        return parse_answer(DownloadOffer, self._channel.send(request))

    def start(self, source: str, **choice: Unpack[DownloadChoice]) -> ModelDownload:
        """Start a download, or continue the one of the same model.

        Args:
            source: Reference of the model, such as ``org/name`` or ``civitai:128713``.
        """
        body = {"source": source, **choice}
        request = json_request("POST", _DOWNLOADS, body, seconds=PLAN_SECONDS)
        return parse_answer(ModelDownload, self._channel.send(request))

    def list(self) -> tuple[ModelDownload, ...]:
        """Return the downloads, the newest first."""
        return page(ModelDownload, self._channel.send(Request("GET", _DOWNLOADS))).items

    def pause(self, id: str) -> ModelDownload:
        """Pause a download. Its parts stay."""
        request = Request("POST", f"{_DOWNLOADS}{url_path(id, 'pause')}")
        return parse_answer(ModelDownload, self._channel.send(request))

    def resume(self, id: str) -> ModelDownload:
        """Continue a paused or failed download."""
        request = Request("POST", f"{_DOWNLOADS}{url_path(id, 'resume')}")
        return parse_answer(ModelDownload, self._channel.send(request))

    def cancel(self, id: str) -> None:
        """Stop a download and remove its parts; of a finished one only the record."""
        self._channel.send(Request("DELETE", _DOWNLOADS + url_path(id), already_done_status=404))


_LIBRARY, _BOARDS, _TRASH = "/library", "/library/boards", "/library/trash"
_AT_ONCE = 1_000


class Packs(ClientPart):
    """Packs that are installed on the server, and those of its index; for tokens with the scope
    `admin`."""

    def list(self) -> PackList:
        """Return the installed packs, and the change that runs or ran last."""
        return parse_answer(PackList, self._channel.send(Request("GET", _PACKS)))

    def available(
        self, search: str = "", *, node_types: Sequence[str] = (), names: Sequence[str] = ()
    ) -> AvailablePacks:
        """Return packs of the index.

        Args:
            search: Words of a name, a summary or a node type.
            node_types: Only packs that have one of these node types.
            names: Only packs of these names.
        """
        parameters = query(search=search, node_type=[*node_types], name=[*names])
        request = Request("GET", f"{_PACKS}/available", parameters, extra_seconds=PLAN_SECONDS)
        return parse_answer(AvailablePacks, self._channel.send(request))

    def install(self, name: str, version: str = "", *, agree: bool = False) -> PackChange:
        """Start the installation of a pack of the index; `list` returns its state.

        Args:
            version: Such as ``>=1.2``; the newest one by default.
            agree: Accept the costs that an earlier attempt returned.
        """
        body = {"name": name, "version": version, "agree": agree}
        request = json_request("POST", _PACKS, body, is_repeatable=False)
        return parse_answer(PackChange, self._channel.send(request))

    def update(self, name: str) -> PackChange:
        """Start an update of a pack to the newest version."""
        request = Request("POST", _PACKS + url_path(name, "update"), is_repeatable=False)
        return parse_answer(PackChange, self._channel.send(request))

    def rollback(self, name: str) -> PackEntry:
        """Use the earlier version of a pack again."""
        return self._change(name, "rollback")

    def enable(self, name: str) -> PackEntry:
        """Offer the node types of a pack again."""
        return self._change(name, "enable")

    def disable(self, name: str) -> PackEntry:
        """Offer the node types of a pack no more. Its files stay."""
        return self._change(name, "disable")

    def _change(self, name: str, action: str) -> PackEntry:
        path = _PACKS + url_path(name, action)
        request = Request("POST", path, extra_seconds=PLAN_SECONDS, is_repeatable=False)
        return parse_answer(PackEntry, self._channel.send(request))

    def remove(self, name: str) -> None:
        """Remove a pack and its environment."""
        path = _PACKS + url_path(name)
        request = Request("DELETE", path, extra_seconds=PLAN_SECONDS, already_done_status=404)
        self._channel.send(request)


class Library(ClientPart):
    """What people note about results. Results are given as output files or by their digests.

    Lists of files have it, too: see `artifacts` and `Artifact`.
    """

    def change(self, results: AnyResults, **change: Unpack[LibraryChange]) -> int:
        """Change what is noted about results. Up to 1,000 are changed together, or not at all.

        Args:
            change: See `LibraryChange`. Omitted fields stay unchanged.
        Returns:
            Number of results that differ now.
        Raises:
            NotFound: There is no such result, or no such board.
        """
        return self._post("PATCH", _LIBRARY, "changed", results, dict(change))

    def trash(self, results: AnyResults) -> int:
        """Put results into the trash, where they stay for 30 days unless the server says otherwise.

        Returns:
            Number of results that were not there.
        """
        return self._post("POST", _TRASH, "trashed", results, {})

    def restore(self, results: AnyResults) -> int:
        """Take results out of the trash, with all that was noted.

        Returns:
            Number of results that were there.
        """
        return self._post("POST", f"{_LIBRARY}/restore", "restored", results, {})

    def empty_trash(self) -> int:
        """Delete all results in the trash for good, with their files. Return their number."""
        request = Request("DELETE", _TRASH, extra_seconds=PLAN_SECONDS, is_repeatable=False)
        return count("deleted", self._channel.send(request))

    def _post(
        self, method: str, path: str, name: str, results: AnyResults, fields: dict[str, object]
    ) -> int:
        digests, changed = digests_of(results), 0
        for start in range(0, len(digests), _AT_ONCE):
            body = {"digests": digests[start : start + _AT_ONCE], **fields}
            # Sent again, it would say that nothing changed.
            request = json_request(method, path, body, seconds=PLAN_SECONDS, is_repeatable=False)
            changed += count(name, self._channel.send(request))
        return changed

    def tags(self) -> tuple[TagCount, ...]:
        """Return all tags in alphabetical order, each with the number of its results."""
        return page(TagCount, self._channel.send(Request("GET", f"{_LIBRARY}/tags"))).items

    def boards(self) -> tuple[Board, ...]:
        """Return all boards in alphabetical order."""
        return page(Board, self._channel.send(Request("GET", _BOARDS))).items

    def add_board(self, name: str) -> Board:
        """Make an empty board.

        Raises:
            Conflict: There is a board of this name.
        """
        request = json_request("POST", _BOARDS, {"name": name}, is_repeatable=False)
        return parse_answer(Board, self._channel.send(request))

    def rename_board(self, board: Board | str, name: str) -> Board:
        """Give a board another name.

        Args:
            board: The board, or its id.
        """
        request = json_request("PATCH", _BOARDS + url_path(_id(board)), {"name": name})
        return parse_answer(Board, self._channel.send(request))

    def delete_board(self, board: Board | str) -> None:
        """Delete a board. The results on it stay.

        Args:
            board: The board, or its id.
        """
        path = _BOARDS + url_path(_id(board))
        self._channel.send(Request("DELETE", path, already_done_status=404))

    def grid(
        self, rows: Sequence[Sequence[OutputFile | str | None]], **fields: Unpack[GridFields]
    ) -> bytes:
        """Return the bytes of one labeled image of several results.

        Args:
            rows: Output files or digests, row by row; None for an empty cell.
            fields: See `GridFields`.
        """
        cells = [[None if each is None else _digest(each) for each in row] for row in rows]
        body = {"rows": cells, **fields}
        request = json_request("POST", "/artifacts/grid", body, seconds=PLAN_SECONDS)
        return raw(self._channel.send(request), "image/")

    def frame(
        self, video: OutputFile | str, *, time: float | None = None, index: int | None = None
    ) -> Upload:
        """Copy a frame of a video to the uploads, for inputs of workflows.

        Args:
            video: The output file, or its digest.
            time: Seconds from the beginning.
            index: Number of the frame, from 0, instead of a time.
        Raises:
            NotFound: There is no such file.
            InvalidFile: It is no video, or has no such frame.
        """
        body = {"time": time} if index is None else {"index": index}
        path = f"/artifacts{url_path(_digest(video), 'frame')}"
        request = json_request("POST", path, body, seconds=PLAN_SECONDS)
        return parse_answer(Upload, self._channel.send(request))


def _digest(file: OutputFile | str) -> str:
    return file if isinstance(file, str) else file.digest


def _id(board: Board | str) -> str:
    return board if isinstance(board, str) else board.id
