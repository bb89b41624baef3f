"""Files, within an event loop."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Collection
from pathlib import Path
from typing import TYPE_CHECKING

from nodegraph.client import file_calls
from nodegraph.client.async_asking import AsyncAsks
from nodegraph.client.downloads import downloaded
from nodegraph.client.file_calls import AnyFile, ArtifactFilter
from nodegraph.client.pulling import Progress, Pulled, PullWish, pulled
from nodegraph.client.sending import paged
from nodegraph.client.shapes import Artifact, JobSummary, OutputFile, Upload

if TYPE_CHECKING:
    from typing_extensions import Unpack


class AsyncAsksForFiles(AsyncAsks):
    """What jobs gave, and what is brought for them to read."""

    async def pull(
        self,
        job: JobSummary | str,
        folder: Path | str = ".",
        *,
        nodes: Collection[str] | None = None,
        overwrite: bool = False,
        progress: Progress | None = None,
    ) -> tuple[Pulled, ...]:
        """See `Client.pull`."""
        wish = PullWish(Path(folder), nodes, overwrite, progress)
        return await self._doer.done(pulled(job, wish, self._retries))

    async def download(self, file: AnyFile, path: Path | str) -> None:
        """See `Client.download`."""
        await self._doer.done(downloaded(file, Path(path), self._retries))

    async def thumbnail(self, file: AnyFile, size: int = 256) -> bytes:
        """See `Client.thumbnail`."""
        return await self._asked(file_calls.thumbnail(file, size))

    def artifacts(self, **which: Unpack[ArtifactFilter]) -> AsyncGenerator[Artifact, None]:
        """See `Client.artifacts`."""
        return self._doer.told(paged(file_calls.artifacts(which), self._retries))

    async def delete_artifact(
        self, file: OutputFile, *, job: JobSummary | str | None = None
    ) -> None:
        """See `Client.delete_artifact`."""
        await self._asked(file_calls.delete_artifact(file.digest, job))

    async def upload(self, file: Path | str | bytes, name: str | None = None) -> Upload:
        """See `Client.upload`."""
        return await self._asked(file_calls.upload(file, name))

    def uploads(self) -> AsyncGenerator[Upload, None]:
        """See `Client.uploads`."""
        return self._doer.told(paged(file_calls.uploads, self._retries))

    async def delete_upload(self, upload: Upload) -> None:
        """See `Client.delete_upload`."""
        await self._asked(file_calls.delete_upload(upload.digest))
