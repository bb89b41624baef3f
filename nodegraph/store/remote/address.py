"""The address of shared results: a folder that machines mount, or a bucket."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

from nodegraph.errors import InvalidValue
from nodegraph.store.remote.bucket import BucketStorage
from nodegraph.store.remote.folder import FolderStorage
from nodegraph.store.remote.place import ObjectStorage


def open_storage(url: str) -> ObjectStorage:
    """The place that a URL names; nothing is asked of it yet.

    Raises:
        InvalidValue: It names none, or what speaks with it isn't installed.
    """
    kind, _, location = url.partition("://")
    if not location or not kind:
        raise InvalidValue(
            "the remote store is no URL",
            given=url,
            expected="such as s3://bucket/folder, gs://…, az://… or file:///mnt/shared/folder",
            hint="Folders of this machine are written file:///path, too."
            if url.startswith(("/", "~", "."))
            else None,
        )
    if kind == "file":
        parts = urlsplit(url)
        if parts.netloc not in ("", "localhost"):
            raise InvalidValue(
                "the remote store names a host",
                given=url,
                expected="file:///path with three slashes",
                hint="Mount the share, and name the folder where it is mounted.",
            )
        return FolderStorage(url, Path(unquote(parts.path)))
    return BucketStorage(url)
