"""Lineage of clients' files, as far as each client may see it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from nodegraph.client.shapes.lineage import (
    FileLineage,
    LineageEdge,
    LineageGroup,
    LineageItem,
)
from nodegraph.core.digests import Digest
from nodegraph.server.content.artifacts import Artifact, Artifacts
from nodegraph.server.content.uploads.uploads import Uploads
from nodegraph.server.http.errors import NotFound
from nodegraph.server.root_path import public_path
from nodegraph.server.workflows.job_entries import artifact_entry
from nodegraph.session.lineage.graph import (
    LineageEntry,
    LineageGraph,
    build_lineage,
    is_notable,
)
from nodegraph.store.index import Index
from nodegraph.store.lineage import Lineage, LineageFile

_INDEX = "index.sqlite"


class FileLineages:
    """Answers what files were made from, from the index in the store of the server's workers.

    Args:
        store: Folder of the store. Workers on other machines may have another one: the lineage of
            what they made is not known here.
    """

    def __init__(self, store: Path, artifacts: Artifacts, uploads: Uploads) -> None:
        self._store = store
        self._artifacts = artifacts
        self._uploads = uploads

    def find(self, digest: Digest, client: str | None) -> FileLineage:
        """The lineage of an output file or an upload.

        Args:
            client: Whose files may be shown; None for everybody's.
        Raises:
            NotFound: The client has no such file.
            InvalidFile: The index is damaged.
        """
        self._artifacts.catch_up()  # what was put into the trash since
        reader = _Reader(self._artifacts, self._uploads, client)
        subject = reader.subject(digest)
        if not (self._store / _INDEX).is_file():
            return reader.answer(LineageGraph(subject))
        index = Index(self._store / _INDEX, read_only=True)
        try:
            graph = build_lineage(Lineage(index), digest, reader.is_visible)
        finally:
            index.close()
        known = graph if graph.subject.file is not None or graph.used_in else LineageGraph(subject)
        return reader.answer(known)


class _Reader:
    """Reads one lineage for one client."""

    def __init__(self, artifacts: Artifacts, uploads: Uploads, client: str | None) -> None:
        self._artifacts = artifacts
        self._uploads = uploads
        self._client = client
        self._known: dict[Digest, Artifact | None] = {}

    def _artifact(self, digest: Digest) -> Artifact | None:
        if digest not in self._known:
            try:
                self._known[digest] = self._artifacts.find(digest, self._client)
            except NotFound:
                self._known[digest] = None
        return self._known[digest]

    def is_visible(self, file: LineageFile) -> bool:
        """Whether the client has this output file, outside of the trash."""
        artifact = self._artifact(file.digest)
        return artifact is not None and artifact.trashed is None

    def subject(self, digest: Digest) -> LineageEntry:
        """An entry for a file of the client of which no lineage is known.

        Raises:
            NotFound: The client has no such file.
        """
        artifact = self._artifact(digest)
        if artifact is not None:
            return LineageEntry("result", digest, Path(artifact.path).name)
        upload = self._uploads.find(digest, self._client)
        return LineageEntry("input", digest, upload.name)

    def answer(self, graph: LineageGraph) -> FileLineage:
        """A lineage as an answer."""
        edges = [edge for edge in graph.edges() if is_notable(edge[0])]
        entries = {graph.subject.key: graph.subject}
        entries |= {entry.key: entry for edge in edges for entry in edge}
        for group in graph.related:
            source = group.source
            entry = LineageEntry(source.role, source.key, source.name, source.detail)
            entries.setdefault(source.key, entry)
            for file in group.results:
                entries.setdefault(file.digest, LineageEntry("result", file.digest, file.name))
        upward = set(_keys(graph.made_from)) | {graph.subject.key}
        return FileLineage(
            graph.subject.key,
            tuple(self._item(entry) for entry in entries.values()),
            tuple(_edge(*edge) for edge in edges if edge[1].key in upward),
            tuple(_edge(*edge) for edge in edges if edge[1].key not in upward),
            tuple(
                LineageGroup(
                    group.source.key, tuple(file.digest for file in group.results), group.has_more
                )
                for group in graph.related
            ),
            graph.is_complete,
        )

    def _item(self, entry: LineageEntry) -> LineageItem:
        key, role = entry.key, entry.role
        if role not in ("result", "input"):
            return LineageItem(key, role, entry.name, entry.detail)
        artifact = self._artifact(key)
        if artifact is not None:
            shown = artifact_entry(artifact)
            href, thumbnail = shown.href, shown.thumbnail
            return LineageItem(key, "result", shown.name, "", shown, href, thumbnail)
        try:
            upload = self._uploads.find(key, self._client)
        except NotFound:
            return LineageItem(key, role, entry.name)
        href = public_path(f"/api/v1/uploads/{key}")
        is_image = upload.media_type.startswith("image/")
        return LineageItem(
            key, role, upload.name, href=href, thumbnail=f"{href}/thumbnail" if is_image else None
        )


def _edge(source: LineageEntry, result: LineageEntry) -> LineageEdge:
    return LineageEdge(source.key, result.key)


def _keys(entries: Iterable[LineageEntry]) -> Iterator[str]:
    for entry in entries:
        yield entry.key
        yield from _keys(entry.children)
