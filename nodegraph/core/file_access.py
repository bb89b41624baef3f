"""File names that clients may use: upload references, readable folders, redacted server paths.

A client names files on a machine that isn't its own, so only the readable folders are open to it.
An upload reference names a file by its content: it means the same on every server that has the
file, and doesn't reveal its path.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Container, Iterator, Mapping
from dataclasses import fields, replace
from functools import lru_cache
from pathlib import Path, PurePath, PurePosixPath, PureWindowsPath
from typing import Any

from nodegraph.core.context import Environment
from nodegraph.core.digests import Digest
from nodegraph.core.spec import NodeSpec
from nodegraph.errors import InvalidValue, Problem


class PathOutside(InvalidValue):
    """A file outside the folders that may be read."""

    code = "path-outside"


def file_links_to_check(
    spec: NodeSpec, linked: Container[str], environment: Environment
) -> tuple[str, ...]:
    """Inputs that get the names of files from other nodes, which the run has to look at.

    Even before a result that is known: it may be that of a file which belongs to somebody else.
    """
    if not spec.file_ports or (environment.readable is None and not _secrets(environment)):
        return ()
    return tuple(port for port in spec.file_ports if port in linked)


def check_paths(
    node: str, spec: NodeSpec, values: Mapping[str, Any], environment: Environment
) -> None:
    """Refuse a call whose inputs name files that it may not read.

    Raises:
        PathOutside: They do.
    """
    for problem in path_problems(node, spec, values, environment):
        raise PathOutside(
            problem.message, node=node, node_type=spec.type, port=problem.port, given=problem.given
        )


def path_problems(
    node: str, spec: NodeSpec, values: Mapping[str, Any], environment: Environment
) -> Iterator[Problem]:
    """A problem for each input that names a file outside of what may be read.

    Args:
        values: Of the node's inputs, as far as they are known.
    """
    is_free = environment.readable is None
    if is_free and not _secrets(environment):
        return
    for port in spec.file_ports:
        is_model = spec.inputs_by_name[port].is_model_file and not is_free
        for name in _names(values.get(port)):
            if _escapes_folder(name) if is_model else not is_readable(name, environment):
                yield Problem(
                    PathOutside.code,
                    "this file may not be read here",
                    node,
                    spec.type,
                    port,
                    given=ascii(name[:200]),
                    expected="a model's name"
                    if is_model
                    else "an upload, or a file in the inputs folder",
                )


def _names(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Path):
        yield str(value)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _names(item)


def _escapes_folder(name: str) -> bool:
    """Whether a model's name leads out of the folders of models.

    Links within those stay: the owner of the server has put them there.
    """
    posix, windows = PurePosixPath(name), PureWindowsPath(name)
    is_absolute = posix.is_absolute() or bool(windows.anchor) or name.startswith("~")
    return is_absolute or ".." in windows.parts or "\0" in name


def is_readable(name: str, environment: Environment) -> bool:
    """Whether a file lies in a folder that may be read, wherever links on its way lead."""
    try:
        resolved = (environment.inputs / Path(name).expanduser()).resolve()
        if any(_is_same_file(resolved, secrets) for secrets in _secrets(environment)):
            return False  # a workflow of somebody else could send it to a service
        if environment.readable is None:
            return True
        if any(resolved == file.resolve() for file in environment.granted):
            return True
        roots = [root.resolve() for root in environment.readable]
        return any(resolved.is_relative_to(root) for root in roots) and not _is_upload(
            resolved, environment.uploads
        )
    except (OSError, RuntimeError, ValueError):
        # A loop of links, nobody's home, a zero byte: whoever reads it reports that.
        return environment.readable is None


def _secrets(environment: Environment) -> tuple[Path, ...]:
    """The file with the secrets, if there is one."""
    path = environment.services.secrets
    return (path,) if path is not None and path.exists() else ()


def _is_same_file(first: Path, second: Path) -> bool:
    """Whether two paths lead to one file, also by a hard link."""
    return first.exists() and first.samefile(second)


def _is_upload(file: Path, uploads: Path | None) -> bool:
    """Whether a file lies in the folder of uploads, which may lie within one that may be read.

    Folders are compared, not their names: some file systems know one by several.
    """
    if uploads is None or not uploads.exists():
        return False
    return any(parent.exists() and parent.samefile(uploads) for parent in (file, *file.parents))


_END = r"(?![\w.-])"
_UPLOADED = r"[/\\]+([0-9a-f]{64})\.[a-z0-9]+"


class PathRedactor:
    """Replaces paths in texts by names, as where things lie is nobody's business.

    Args:
        folders: By the name to say instead. The longer a path, the sooner it is looked for.
        uploads: Whose files are called as workflows call them.
        database: Address that errors name; what follows it is what that server says of itself.
    """

    def __init__(
        self,
        folders: Mapping[str, Path],
        uploads: Path | None = None,
        *,
        database: str | None = None,
    ) -> None:
        self._names = {
            text: name
            for name, folder in folders.items()
            for path in (folder.absolute(), folder.resolve())
            # Nothing is hidden by another word for the root, and much spoiled.
            if len(path.parts) > 1
            for text in (str(path), ascii(str(path))[1:-1])
        }
        longest_first = sorted(self._names, key=len, reverse=True)
        self._folder = re.compile(f"({'|'.join(map(re.escape, longest_first))}){_END}")
        self._upload = None
        if uploads is not None:
            roots = map(re.escape, (str(uploads), ascii(str(uploads))[1:-1]))
            self._upload = re.compile(f"(?:{'|'.join(roots)}){_UPLOADED}")
        self._database = None
        if database is not None:
            around = rf"(?: at)? {re.escape(database)}( [^:]*)?(?::.*)?"
            self._database = re.compile(around, re.DOTALL)

    def redact(self, text: str) -> str:
        """A text without the paths, and without what the database says."""
        if self._database is not None:
            text = self._database.sub(lambda match: match[1] or "", text)
        if self._upload is not None:
            text = self._upload.sub(lambda match: upload_reference(match[1]), text)
        return self._folder.sub(lambda match: self._names[match[1]], text)

    def redact_json(self, value: Any) -> Any:
        """The same of all texts in a value of JSON."""
        if isinstance(value, str):
            return self.redact(value)
        if isinstance(value, Mapping):
            return {key: self.redact_json(item) for key, item in value.items()}
        return (
            [self.redact_json(item) for item in value]
            if isinstance(value, (list, tuple))
            else value
        )

    def redact_problem(self, problem: Problem) -> Problem:
        """The same of a problem."""
        texts = {field.name: getattr(problem, field.name) for field in fields(problem)}
        return replace(problem, **{name: self.redact_json(text) for name, text in texts.items()})


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


def uploads_in(document: Any) -> Iterator[Digest]:
    """The digests in all references of a JSON document."""
    if isinstance(document, str):
        digest = upload_digest(document)
        if digest is not None:
            yield digest
    elif isinstance(document, (Mapping, list, tuple)):
        for item in document.values() if isinstance(document, Mapping) else document:
            yield from uploads_in(item)


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
