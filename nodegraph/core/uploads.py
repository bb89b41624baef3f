"""What workflows call a file that was brought to a server: ``upload:<digest>/<name>``.

It means the same on every server that has the file, and tells nothing of where it lies there.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path, PurePath
from typing import Any

from nodegraph.core.digests import Digest

_REFERENCE = re.compile(r"upload:([0-9a-f]{64})(?:/.*)?", re.DOTALL)
_FILE = re.compile(r"([0-9a-f]{64})\.[a-z0-9]+")


def upload_reference(digest: Digest, name: str = "") -> str:
    """What a workflow calls a file.

    Args:
        name: For people; may be left out.
    """
    return f"upload:{digest}/{name}" if name else f"upload:{digest}"


def upload_digest(text: str) -> Digest | None:
    """The digest in a reference; None if the text is none."""
    match = _REFERENCE.fullmatch(text)
    return None if match is None else match[1]


def with_upload_references(
    document: Any, folder: Path, name_of: Callable[[Digest], str] = lambda digest: ""
) -> Any:
    """A copy of a JSON document in which references stand for paths of files in a folder.

    Args:
        folder: Its files are named by the digests of their bytes.
        name_of: What a file is called.
    """
    prefix = _prefix(folder)

    def copied(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: copied(item) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [copied(item) for item in value]
        if not (isinstance(value, str) and value.startswith(prefix)):
            return value
        match = _FILE.fullmatch(value[len(prefix) :])
        return value if match is None else upload_reference(match[1], name_of(match[1]))

    return copied(document)


def with_upload_paths(document: Any, path_of: Callable[[Digest], Path]) -> Any:
    """A copy of a JSON document in which paths stand for references; the contrary of
    `with_references`.

    Args:
        path_of: Where the file of a digest lies.
    """

    def copied(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {key: copied(item) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [copied(item) for item in value]
        digest = upload_digest(value) if isinstance(value, str) else None
        return value if digest is None else str(path_of(digest))

    return copied(document)


def may_contain_uploads(packed: bytes, folder: Path) -> bool:
    """Whether `with_references` may find something in a document; quick.

    Args:
        packed: It, with all its texts as UTF-8.
    """
    return _prefix(folder).encode(errors="surrogatepass") in packed


def uploaded_paths(text: str, parameters: Mapping[str, Any], folder: Path) -> frozenset[Path]:
    """The files of a folder that a workflow and its parameters name by their very paths.

    A server writes such a path only in place of a reference to what its client brought, and takes
    none that a client wrote: so who sent the workflow may read what it names.

    Args:
        text: The workflow as JSON.
    """
    prefix = _prefix(folder)
    # As it stands in the JSON: most workflows name none, and needn't be read for that.
    written = json.dumps(prefix)[1:-1]
    documents = [parameters, json.loads(text) if written in text else None]
    return frozenset(Path(path) for document in documents for path in _texts(document, prefix))


def _texts(value: Any, prefix: str) -> Iterator[str]:
    if isinstance(value, str):
        if value.startswith(prefix) and _FILE.fullmatch(value, len(prefix)):
            yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _texts(item, prefix)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _texts(item, prefix)


@lru_cache(maxsize=16)
def _prefix(folder: Path) -> str:
    return str(PurePath(folder) / "_")[:-1]
