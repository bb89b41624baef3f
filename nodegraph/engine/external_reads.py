"""Files and variables that nodes read by `ctx.file` and `ctx.env`, the plugins that their inputs
name, such as samplers of packs, and what they read of the run around them, with fingerprints.

A deterministic function that is given the same inputs reads the same thing first; given what that
holds, the same second one, and so on. So the cache keeps each step, as it does for lazy inputs: a
result counts while all that was read for it is still what it was.

A step names a file as its node did. Where that is follows from the run's folders: another session
may share the cache and have other ones.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from threading import Lock
from typing import Any

from nodegraph.core.digests import Digest, digest_bytes
from nodegraph.core.file_digests import FILE_DIGESTS, FileStamp
from nodegraph.core.keys import Key, lazy_key
from nodegraph.core.plugins import PluginGroup, plugin_release
from nodegraph.core.spec import NodeSpec
from nodegraph.engine.cache import AskedPort, Entry
from nodegraph.errors import InvalidFile, PackError

_FILE, _VARIABLE, _PLUGIN = "file:", "variable:", "plugin:"
GRAPH, OUTPUT = "graph:", "output:"
"""Reads of the run's graph: of all nodes before a node, and of one output, by ``node.port``."""
UNKNOWN = "unknown"
"""Fingerprint of what can't be told here, or not yet: it is never noted as that of a read."""
_PREFIXES = (_FILE, _VARIABLE, _PLUGIN, GRAPH, OUTPUT)
_RUN = "run:"
IN_RUN = (GRAPH, OUTPUT, _RUN)
"""How names of reads begin that say nothing outside of a run."""
_FACTS: Mapping[str, str] = {
    "node": "the name of the node",
    "workflow": "the workflow",
    "metadata": "the metadata of the workflow",
}
LocalReads = Callable[[str], Digest]
"""Fingerprints of what one node reads of its run's graph."""
_UNSET = "none"
_SHOWN = 200
"""Letters of a path in an error."""


class ExternalReads:
    """What one call has read, in order, with a fingerprint of each; from any thread.

    Attributes:
        local: Fingerprints of the graph of its run; None if its function can't read that.
    """

    # Most calls read nothing, so that costs next to nothing.
    __slots__ = ("_lock", "_passed", "_read", "_stamps", "local")

    def __init__(self) -> None:
        self._read: dict[str, Digest] = {}
        self._stamps: dict[Path, FileStamp | None] = {}
        self._passed = 0
        self._lock = Lock()
        self.local: LocalReads | None = None

    def file(self, path: str | Path, inputs: Path) -> Path:
        """Note that a file is about to be read.

        Returns:
            Where it is.
        Raises:
            InvalidFile: No file can be there.
        """
        full_path = resolve_path(path, inputs)
        with self._lock:
            self._stamps.setdefault(full_path, _stamp(full_path))
        self._note(f"{_FILE}{path}", inputs)
        return full_path

    def variable(self, name: str, inputs: Path) -> None:
        """Note that an environment variable is about to be read."""
        self._note(f"{_VARIABLE}{name}", inputs)

    def plugins(self, spec: NodeSpec, values: Mapping[str, Any], inputs: Path) -> None:
        """Note the plugins that a call is about to use: those that its inputs name.

        Args:
            values: Of its inputs, literal and linked.
        """
        for port, (group, names) in spec.plugin_ports.items():
            value = values.get(port)
            for name in value if isinstance(value, (list, tuple)) else (value,):
                if isinstance(name, str) and name in names:
                    self._note(f"{_PLUGIN}{group}:{name}", inputs)

    def _note(self, name: str, inputs: Path) -> None:
        with self._lock:
            if name not in self._read:
                self._read[name] = fingerprint(name, inputs, self.local)

    def graph(self, read: str, inputs: Path) -> None:
        """Note that the graph of the run is about to be read, or was used.

        Args:
            read: `GRAPH`, or `OUTPUT` with a name.
        """
        self._note(read, inputs)

    def hold_for(self, local: LocalReads | None) -> bool:
        """Whether another node of the run reads the same in its graph."""
        reads = [step for step in self.steps if step[0].startswith((GRAPH, OUTPUT))]
        return all(local is not None and local(name) == digest for name, digest in reads)

    @property
    def steps(self) -> tuple[tuple[str, Digest], ...]:
        """Names and fingerprints."""
        if not self._read:
            return ()
        with self._lock:
            return tuple(self._read.items())

    @property
    def pending(self) -> tuple[tuple[str, Digest], ...]:
        """The steps that the call's key doesn't have yet."""
        return self.steps[self._passed :] if self._read else ()

    def passed(self, steps: tuple[tuple[str, Digest], ...]) -> None:
        """Note that the call's key has these pending ones now."""
        self._passed += len(steps)

    def are_unchanged(self, inputs: Path) -> bool:
        """Whether all of it is what it was when it was noted, and was so all the time."""
        if not self._stamps and not self._read:
            return True
        with self._lock:
            stamps = tuple(self._stamps.items())
        return all(_stamp(path) == stamp for path, stamp in stamps) and all(
            fingerprint(name, inputs, self.local) == digest for name, digest in self.steps
        )


def resolve_path(path: str | Path, inputs: Path) -> Path:
    """Where a file is that a node names.

    Raises:
        InvalidFile: No file can be there.
    """
    try:
        full_path = (inputs / Path(path).expanduser()).absolute()
        full_path.lstat()
        is_file, is_folder = full_path.is_file(), full_path.is_dir()
    except (FileNotFoundError, NotADirectoryError):
        return full_path
    except (OSError, ValueError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InvalidFile(f"{_quoted(path)} is not a file: {reason}") from error
    if is_folder:
        raise InvalidFile(f"{_quoted(path)} is a folder", hint="Name each file in it.")
    if not is_file and full_path.exists():
        raise InvalidFile(
            f"{_quoted(path)} is not a regular file",
            hint="Devices and pipes have no content to read.",
        )
    return full_path


def _quoted(path: str | Path) -> str:
    return f"`{str(path)[:_SHOWN]}`"


def _stamp(path: Path) -> FileStamp | None:
    try:
        return FileStamp.of(path)
    except (
        OSError,
        RuntimeError,
    ):  # the latter is what Python 3.12 and older say of links in a ring
        return None


def fingerprint(name: str, inputs: Path, local: LocalReads | None = None) -> Digest:
    """Changes with what a step's name stands for, and with where that is.

    Args:
        local: For what is read of the graph of a run.
    """
    if name.startswith((GRAPH, OUTPUT)):
        return UNKNOWN if local is None else local(name)
    if name.startswith(_VARIABLE):
        value = os.environ.get(name.removeprefix(_VARIABLE))
        return _UNSET if value is None else digest_bytes(os.fsencode(value))
    if name.startswith(_PLUGIN):
        return _text_digest(_release(name.removeprefix(_PLUGIN)))
    try:
        path = resolve_path(name.removeprefix(_FILE), inputs)
    except InvalidFile as error:
        return _text_digest(f"invalid {error.problem.message}")
    try:
        content = FILE_DIGESTS.digest(path)
    except InvalidFile as error:
        content = f"unreadable {getattr(error.__cause__, 'errno', '')}"
    return _text_digest(f"{content} {path}")


def _release(plugin: str) -> str:
    """The release of a plugin that a step names by its group and name."""
    group, _, name = plugin.partition(":")
    try:
        return plugin_release(group, name)
    except PackError as error:
        return f"unreadable {error}"


def _text_digest(text: str) -> Digest:
    return digest_bytes(text.encode(errors="surrogatepass"))


def read_label(name: str) -> str:
    """A step's name as people read it."""
    if name.startswith(_VARIABLE):
        return f"variable {name.removeprefix(_VARIABLE)}"
    if name.startswith(_PLUGIN):
        group, _, plugin = name.removeprefix(_PLUGIN).partition(":")
        return f"code of the {PluginGroup.word_of(group)} {plugin}"
    if name.startswith(OUTPUT):
        return f"output {name.removeprefix(OUTPUT)}"
    if name == GRAPH:
        return "nodes before it"
    if name.startswith(_RUN):
        return _FACTS[name.removeprefix(_RUN)]
    return f"file {name.removeprefix(_FILE)}"


def fact_read(fact: str) -> str:
    """Names what a node asks of its run, in key parts and messages."""
    return f"{_RUN}{fact}"


def is_external_read(entry: Entry | None) -> bool:
    """Whether an entry says what a node read next."""
    return isinstance(entry, AskedPort) and entry.port.startswith(_PREFIXES)


def extend_key(key: Key, steps: Iterable[tuple[str, str]]) -> Key:
    """The key once these were read."""
    for name, digest in steps:
        key = lazy_key(key, name, digest)
    return key


def look_up(
    key: Key,
    get: Callable[[Key], Entry | None],
    inputs: Path,
    passed: list[Key] | None = None,
    local: LocalReads | None = None,
) -> tuple[Key, Entry | None]:
    """What a key leads to with all that is read outside as it is now, and the key of that.

    Args:
        inputs: The folder that names of files start from.
        passed: Is given the keys on the way there.
        local: See `ExternalReads`.
    """
    entry = get(key)
    while isinstance(entry, AskedPort) and is_external_read(entry):
        if passed is not None:
            passed.append(key)
        key = lazy_key(key, entry.port, fingerprint(entry.port, inputs, local))
        entry = get(key)
    return key, entry
