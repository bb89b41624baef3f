"""Files, for programs that wait for what they ask."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from nodegraph.client import file_calls
from nodegraph.client.asking import Asks
from nodegraph.client.downloads import downloaded
from nodegraph.client.file_calls import AnyFile, ArtifactFilter
from nodegraph.client.pulling import Progress, Pulled, PullWish, pulled
from nodegraph.client.sending import paged
from nodegraph.client.shapes import Artifact, JobSummary, OutputFile, Upload

if TYPE_CHECKING:
    from typing_extensions import Unpack


class AsksForFiles(Asks):
    """What jobs gave, and what is brought for them to read."""

    def pull(
        self,
        job: JobSummary | str,
        folder: Path | str = ".",
        *,
        nodes: Collection[str] | None = None,
        overwrite: bool = False,
        progress: Progress | None = None,
    ) -> tuple[Pulled, ...]:
        """Download what a job gave.

        A file is there once it is whole and its digest is right. What breaks off is gone on with
        the next time.

        Args:
            folder: Where it goes; made if it isn't there.
            nodes: Only what these wrote.
            overwrite: Replace others of the same name; if not, they stay and the new ones get
                names of their own.
            progress: Is told how many bytes of how many there are.
        Raises:
            JobFailed: It has failed, or was cancelled.
            InvalidValue: It hasn't ended, or such a node gave nothing.
            WrongDigest: What comes isn't what the job wrote.
            OutputError: It can't be written.
        """
        wish = PullWish(Path(folder), nodes, overwrite, progress)
        return self._doer.done(pulled(job, wish, self._retries))

    def download(self, file: AnyFile, path: Path | str) -> None:
        """Download one file to a path, in place of what is there; see `pull`."""
        self._doer.done(downloaded(file, Path(path), self._retries))

    def thumbnail(self, file: AnyFile, size: int = 256) -> bytes:
        """A small picture of a picture, upright, as WebP; of an animation the first one.

        Args:
            size: Pixels of the square that it fits into, 64 to 512.
        Raises:
            NotFound: It is no picture that can be shown.
        """
        return self._asked(file_calls.thumbnail(file, size))

    def artifacts(self, **which: Unpack[ArtifactFilter]) -> Iterator[Artifact]:
        """Files that jobs gave, the newest first; asked for as they are needed.

        Args:
            which: See `ArtifactFilter`; all files if not given.
        """
        return self._doer.told(paged(file_calls.artifacts(which), self._retries))

    def delete_artifact(self, file: OutputFile, *, job: JobSummary | str | None = None) -> None:
        """Have jobs no longer list a file; it is deleted if no other job lists it.

        Args:
            job: Only this one; all of one's own that list it if not given.
        Raises:
            Conflict: One of them hasn't ended.
        """
        self._asked(file_calls.delete_artifact(file.digest, job))

    def upload(self, file: Path | str | bytes, name: str | None = None) -> Upload:
        """Bring a picture or a workflow, for inputs of workflows; see `Upload.value`.

        Args:
            file: Its path, or its bytes.
            name: What it is called there.
        """
        return self._asked(file_calls.upload(file, name))

    def uploads(self) -> Iterator[Upload]:
        """What was brought, the newest first; asked for as it is needed."""
        return self._doer.told(paged(file_calls.uploads, self._retries))

    def delete_upload(self, upload: Upload) -> None:
        """Delete what was brought; jobs that wait for their turn can't read it any more."""
        self._asked(file_calls.delete_upload(upload.digest))
