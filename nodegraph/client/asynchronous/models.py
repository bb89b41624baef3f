"""Methods of AsyncClient for models on a server, and for those of other sites."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nodegraph.client.answers import mapping, page, parse_answer, picture
from nodegraph.client.asynchronous.transport import AsyncClientPart
from nodegraph.client.request_fields import (
    AsDocument,
    DownloadChoice,
    ModelRecordChange,
    workflow_document,
)
from nodegraph.client.requests import PLAN_SECONDS, Request, json_request, query, url_path
from nodegraph.client.shapes import (
    DownloadOffer,
    LinkedFolder,
    MissingModel,
    Model,
    ModelDownload,
    ModelRecord,
    ModelUpdate,
    ModelUses,
    OfferedModel,
    StarterModel,
    VerifiedFile,
)

if TYPE_CHECKING:
    from typing_extensions import Unpack

_DOWNLOADS, _LINKS = "/models/downloads", "/models/links"
_READ_SECONDS = 600.0
"""Seconds for reading a large model."""


class AsyncModelMethods(AsyncClientPart):
    """Models of a server."""

    async def models(self) -> tuple[Model, ...]:
        """Return the models of the server."""
        return page(Model, await self._channel.send(Request("GET", "/models"))).items

    async def model_thumbnail(self, name: str, size: int = 256) -> bytes:
        """Return the bytes of a small WebP image of a model.

        Args:
            name: Name of the model.
            size: Side of the square that the image fits into, 64 to 512 pixels.
        Raises:
            NotFound: The model has no image.
        """
        request = Request("GET", "/models/thumbnail", query(name=name, size=size))
        return picture(await self._channel.send(request))

    async def model_record(self, name: str) -> ModelRecord:
        """Return what is known about a model: its source, license, trigger words and notes.

        Args:
            name: Name of the model.
        Raises:
            NotFound: There is no model of this name.
        """
        request = Request("GET", "/models/record", query(name=name))
        return parse_answer(ModelRecord, await self._channel.send(request))

    async def change_model_record(
        self, name: str, **change: Unpack[ModelRecordChange]
    ) -> ModelRecord:
        """Change what people note about a model. This needs a token with the scope
        `models`, as does all that changes models.

        Args:
            name: Name of the model.
            change: See `ModelRecordChange`. Omitted fields stay unchanged.
        """
        request = json_request("PATCH", "/models/record", change)
        request = replace(request, query=query(name=name))
        return parse_answer(ModelRecord, await self._channel.send(request))

    async def move_model(self, name: str, new: str) -> str:
        """Move a model to another name in its models folder, and return this name.

        Args:
            name: Name of the model.
            new: New path below its models folder.
        """
        body = {"name": name, "new": new}
        request = json_request("POST", "/models/record/move", body, is_repeatable=False)
        return str(mapping(await self._channel.send(request))["name"])

    async def remove_model(self, name: str) -> None:
        """Remove a model from the server's disk, with the notes and the image beside it.

        Args:
            name: Name of the model.
        """
        request = Request("DELETE", "/models/record", query(name=name), already_done_status=404)
        await self._channel.send(request)

    async def change_model_picture(self, name: str, image: Path | str | bytes) -> None:
        """Set the image of a model, which is kept in a file beside it.

        Args:
            name: Name of the model.
            image: Path of a PNG, JPEG or WebP file, or its bytes.
        """
        body = Path(image) if isinstance(image, str) else image
        headers = {"Content-Type": "application/octet-stream"}
        request = Request("PUT", "/models/picture", query(name=name), headers, body)
        await self._channel.send(request)

    async def remove_model_picture(self, name: str) -> None:
        """Remove the image of a model.

        Args:
            name: Name of the model.
        """
        request = Request("DELETE", "/models/picture", query(name=name), already_done_status=404)
        await self._channel.send(request)

    async def verify_model(self, name: str) -> tuple[VerifiedFile, ...]:
        """Read a model and compare it with the digests of its source.

        Args:
            name: Name of the model.
        """
        request = Request("POST", "/models/verify", query(name=name), extra_seconds=_READ_SECONDS)
        files = mapping(await self._channel.send(request))["files"]
        return tuple(VerifiedFile(**each) for each in files)

    async def model_uses(self, name: str) -> ModelUses:
        """Return which saved workflows and jobs name a model.

        Args:
            name: Name of the model.
        """
        request = Request("GET", "/models/uses", query(name=name), extra_seconds=PLAN_SECONDS)
        return parse_answer(ModelUses, await self._channel.send(request))

    async def lookup_model(self, name: str) -> ModelRecord:
        """Look a model up at Civitai by its hash, and keep what is known there.

        Args:
            name: Name of the model.
        """
        request = Request("POST", "/models/lookup", query(name=name), extra_seconds=_READ_SECONDS)
        return parse_answer(ModelRecord, await self._channel.send(request))

    async def model_update(self, name: str) -> ModelUpdate:
        """Ask the source of a model for a newer version.

        Args:
            name: Name of the model.
        """
        request = Request("GET", "/models/update", query(name=name), extra_seconds=PLAN_SECONDS)
        return parse_answer(ModelUpdate, await self._channel.send(request))

    async def model_links(self) -> tuple[LinkedFolder, ...]:
        """Return the linked folders of models of other programs."""
        return page(LinkedFolder, await self._channel.send(Request("GET", _LINKS))).items

    async def link_models(self, path: str) -> tuple[LinkedFolder, ...]:
        """Use the models of ComfyUI, A1111 or InvokeAI where they are; the linked folders then.

        Args:
            path: Folder on the server's machine, or ComfyUI's file ``extra_model_paths.yaml``.
        """
        request = json_request("POST", _LINKS, {"path": path})
        return page(LinkedFolder, await self._channel.send(request)).items

    async def unlink_models(self, folder: str) -> None:
        """Do not use a linked folder any more.

        Args:
            folder: See `LinkedFolder`.
        """
        request = Request("DELETE", _LINKS, query(folder=folder), already_done_status=404)
        await self._channel.send(request)


class AsyncModelDownloads(AsyncClientPart):
    """Models of other sites, and their downloads to a server; for tokens with the scope `models`,
    except `list` and `starter`."""

    async def starter(self) -> tuple[StarterModel, ...]:
        """Return the starter catalogue: well-known models by purpose and memory."""
        return page(StarterModel, await self._channel.send(Request("GET", "/models/starter"))).items

    async def missing(self, workflow: Mapping[str, Any] | AsDocument) -> tuple[MissingModel, ...]:
        """Return the models that a workflow names and the server lacks, with their sources.

        Args:
            workflow: A workflow document.
        """
        body = {"workflow": workflow_document(workflow)}
        request = json_request("POST", "/models/missing", body, seconds=PLAN_SECONDS)
        return page(MissingModel, await self._channel.send(request)).items

    async def search(
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
        return page(OfferedModel, await self._channel.send(request)).items

    async def plan(self, source: str, **choice: Unpack[DownloadChoice]) -> DownloadOffer:
        """Return what a download would bring: files, sizes and license.

        Args:
            source: Reference of the model, such as ``org/name`` or ``civitai:128713``.
        """
        body = {"source": source, **choice}
        request = json_request("POST", f"{_DOWNLOADS}/plan", body, seconds=PLAN_SECONDS)
        return parse_answer(DownloadOffer, await self._channel.send(request))

    async def start(self, source: str, **choice: Unpack[DownloadChoice]) -> ModelDownload:
        """Start a download, or continue the one of the same model.

        Args:
            source: Reference of the model, such as ``org/name`` or ``civitai:128713``.
        """
        body = {"source": source, **choice}
        request = json_request("POST", _DOWNLOADS, body, seconds=PLAN_SECONDS)
        return parse_answer(ModelDownload, await self._channel.send(request))

    async def list(self) -> tuple[ModelDownload, ...]:
        """Return the downloads, the newest first."""
        return page(ModelDownload, await self._channel.send(Request("GET", _DOWNLOADS))).items

    async def pause(self, id: str) -> ModelDownload:
        """Pause a download. Its parts stay."""
        request = Request("POST", f"{_DOWNLOADS}{url_path(id, 'pause')}")
        return parse_answer(ModelDownload, await self._channel.send(request))

    async def resume(self, id: str) -> ModelDownload:
        """Continue a paused or failed download."""
        request = Request("POST", f"{_DOWNLOADS}{url_path(id, 'resume')}")
        return parse_answer(ModelDownload, await self._channel.send(request))

    async def cancel(self, id: str) -> None:
        """Stop a download and remove its parts; of a finished one only the record."""
        await self._channel.send(
            Request("DELETE", _DOWNLOADS + url_path(id), already_done_status=404)
        )
