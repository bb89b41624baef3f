"""Files, within an event loop."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Collection
from pathlib import Path

from nodegraph.client import job_calls, server_calls
from nodegraph.client.async_asking import AsyncAsks
from nodegraph.client.downloads import downloaded
from nodegraph.client.entries import Upload
from nodegraph.client.jobs import Artifact, JobSummary, OutputFile
from nodegraph.client.pulling import Progress, Pulled, PullWish, pulled
from nodegraph.client.sending import paged


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

    async def download(self, file: OutputFile, path: Path | str) -> None:
        """See `Client.download`."""
        await self._doer.done(downloaded(file, Path(path), self._retries))

    def artifacts(
        self, *, job: JobSummary | str | None = None, kind: str | None = None
    ) -> AsyncGenerator[Artifact, None]:
        """See `Client.artifacts`."""
        return self._doer.told(paged(job_calls.artifacts_of(job, kind), self._retries))

    async def upload(self, file: Path | str | bytes, name: str | None = None) -> Upload:
        """See `Client.upload`."""
        return await self._asked(server_calls.upload(file, name))

    def uploads(self) -> AsyncGenerator[Upload, None]:
        """See `Client.uploads`."""
        return self._doer.told(paged(server_calls.uploads, self._retries))
