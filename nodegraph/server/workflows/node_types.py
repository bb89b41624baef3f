"""Node types as packs last declared them, reread when packs change."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from nodegraph.core.catalog import NO_USAGE, OtherNames, PackFinder, Usage
from nodegraph.core.digests import digest_bytes
from nodegraph.core.spec import HookName, NodeSpec
from nodegraph.core.types import TypeInfo, TypeTable
from nodegraph.errors import NodegraphError, PackError, Problem
from nodegraph.jobs.supervisor.errors import NoAnswerYet
from nodegraph.packs.manifest import ManifestCache, PackManifest
from nodegraph.packs.pack import Pack, pack_at
from nodegraph.packs.registry import Registry
from nodegraph.packs.translations import NO_TRANSLATIONS, Translations
from nodegraph.server.content.frames import NO_FRAMES, FrameDocuments, documents
from nodegraph.server.http.errors import Unavailable
from nodegraph.session.examples import NodeExample, examples
from nodegraph.session.node_types import PackFolders, all_packs, pack_finder, specs_folder
from nodegraph.session.settings import Settings

PackProcessKind = Literal["process", "sandbox"]


@dataclass(frozen=True)
class DeclaredTypes:
    """What all packs declared when they were last read; a `Catalog` whose hooks say nothing.

    Attributes:
        specs: By node type.
        types: Port types.
        packs: Versions by the names that workflows require them by.
        problems: What is wrong with packs.
        left_out: What of each pack couldn't be read, and why, by its name.
        unread: Names of packs that have yet to be read, or read anew.
        is_current: Whether no pack has changed since it was read, nor failed to be; those that are
            made of what another package holds aside.
        is_unchanged: Whether these are still the packs that there are, and their files what they
            were then; cheap.
        examples: Workflows that show what a node type does, by node type.
        frames: Pages with what packs bring into the editor.
        translations: Texts of node types in other languages.
        usage: How often node types occur and are linked in the workflows that come with nodegraph.
        other_names: What other programs' node types are here.
        comfyui_packs: The enabled packs of ComfyUI.
        isolated: By the names of packs that run in their own processes, in which kind of process.
        pack_finder: Finds packs that workflows lack; None without an index.
        response_cache: What was made of them for an answer, by a name of it: hundreds take their
            time.
    """

    specs: Mapping[str, NodeSpec] = field(default_factory=dict)
    types: TypeTable = field(default_factory=TypeTable)
    packs: Mapping[str, str] = field(default_factory=dict)
    problems: tuple[str, ...] = ()
    left_out: Mapping[str, Sequence[str]] = field(default_factory=dict)
    unread: frozenset[str] = frozenset()
    is_current: bool = False
    is_unchanged: Callable[[], bool] = lambda: True
    examples: Mapping[str, NodeExample] = field(default_factory=dict)
    frames: FrameDocuments = NO_FRAMES
    translations: Translations = field(default=NO_TRANSLATIONS, compare=False)
    usage: Usage = NO_USAGE
    other_names: OtherNames = field(default_factory=dict)
    comfyui_packs: tuple[Pack, ...] = ()
    isolated: Mapping[str, PackProcessKind] = field(default_factory=dict)
    pack_finder: PackFinder | None = field(default=None, compare=False)
    response_cache: dict[str, bytes] = field(default_factory=dict, compare=False, repr=False)

    def spec(self, node_type: str) -> NodeSpec | None:
        return self.specs.get(node_type)

    def node_types(self) -> list[str]:
        return sorted(self.specs)

    def require_read(self, node_type: str) -> None:
        """Call no node type unknown whose pack is still being read, as on a busy machine.

        Raises:
            Unavailable: It has yet to be read.
        """
        pack = node_type.rpartition(":")[0]
        if pack in self.unread and node_type not in self.specs:
            subject = f"node pack `{pack}` is" if pack else "built-in nodes are"
            raise Unavailable(f"the {subject} still being read")

    def require_read_of(self, problems: Iterable[Problem]) -> None:
        """As `require_read`, of the types that are called unknown."""
        for problem in problems:
            if problem.code == "unknown-node-type":
                self.require_read(problem.node_type or "")

    def hook(self, node_type: str, name: HookName) -> Callable[..., Any] | None:
        return None

    def migrations(self, node_type: str) -> dict[int, Callable[[dict[str, Any]], dict[str, Any]]]:
        return {}

    def faults(self, pack: str) -> Sequence[str]:
        """What of a pack was left out, and why."""
        return self.left_out.get(pack, ())

    def pack_versions(self) -> Mapping[str, str]:
        """Versions of the packs by the name that workflows require them by."""
        return self.packs

    def type_infos(self) -> list[TypeInfo]:
        """The port types, by name."""
        return [self.types.info(name) for name in self.types.names()]

    @cached_property
    def digest(self) -> str:
        """Changes when anything in it does."""
        parts = [spec.digest for spec in self.specs.values()]
        shown = [
            (name, entry.needs, entry.folders, bool(entry.picture))
            for name, entry in self.examples.items()
        ]
        contents = (
            *(self.type_infos(), self.problems, sorted(self.unread), shown, self.usage),
            sorted(self.isolated.items()),
            self.translations.digest,
        )
        text = "\n".join(
            [
                *sorted(parts),
                *(repr(entry) for entry in contents),
                *(f"{href} {entry.script}" for href, entry in self.frames.by_path.items()),
            ]
        )
        return digest_bytes(text.encode("utf-8", "surrogatepass"))


class _Last(ManifestCache):
    """Manifests as they were last written, by a process that may import packs."""

    are_current = True

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.unread: set[str] = set()

    def manifest(self, pack: Pack) -> PackManifest:
        last_manifest = self.last(pack)
        files = pack.snapshot().listing
        is_unread = last_manifest is None or last_manifest.stamp != files.text(last_manifest.also)
        if last_manifest is None or is_unread or not self.is_valid(last_manifest, pack):
            # One that is made of others may take long to be read: what else there is needn't wait.
            self.are_current = self.are_current and pack.is_generated
            left_out = self.left_out(pack)
            if is_unread and (left_out is None or self.import_timeouts.is_importing(pack)):
                self.unread.add(pack.name)
            if left_out is not None:
                return left_out
        if last_manifest is None:
            name = pack.name or pack.package
            raise PackError(f"pack `{name}`: its declarations are not known yet")
        return last_manifest


def load_declared_types(
    packs: Sequence[Pack], folder: Path, is_complete: Callable[[], bool] = lambda: True
) -> DeclaredTypes:
    """What packs declared when they were last read; imports none.

    Args:
        folder: Where that is kept.
        is_complete: Whether these are still the packs there are; cheap.
    """
    manifests = _Last(folder)
    registry = Registry(packs, manifests=manifests)
    specs = {name: spec for name in registry.node_types() if (spec := registry.spec(name))}
    frames = documents(registry.scripts())
    translations = Translations(packs)
    return DeclaredTypes(
        specs,
        registry.types,
        registry.pack_versions(),
        (*registry.problems, *frames.problems, *translations.problems),
        {pack.name: registry.faults(pack.name) for pack in packs},
        frozenset(manifests.unread),
        manifests.are_current,
        lambda: (
            is_complete()
            and registry.is_current()
            and frames.is_unchanged()
            and translations.is_unchanged()
        ),
        {name: example for name, example in examples(packs).items() if name in specs},
        frames,
        translations,
        registry.usage,
        registry.other_names,
        tuple(pack for pack in packs if pack.isolation and pack.isolation.kind == "comfyui"),
        {
            pack.name: "process" if pack.isolation.trusted else "sandbox"
            for pack in packs
            if pack.isolation is not None
        },
    )


TypesListener = Callable[[DeclaredTypes], None]
AskPlanner = Callable[[], Awaitable[Any]]
"""Has a process that may import packs read those that have changed."""

_LOG = logging.getLogger(__name__)
_BUILT_IN = ""
"""Name of the built-in pack."""
_SECONDS = 3.0
"""Between looks at the packs' files while somebody may want to know."""
_PATIENCE = 60.0
"""Seconds that a request waits for packs to be read for the first time."""
_PATIENCE_AGAIN = 10.0
"""Seconds that requests wait for packs that changed: one may hang where it is imported."""


class NodeTypeCache:
    """The node types of one installation. Used on one event loop.

    Args:
        settings: Where packs lie.
        packs: Paths of more of them.
        ask: None if there is nobody to ask.

    Attributes:
        now: Those that are known.
    """

    def __init__(self, settings: Settings, packs: Sequence[Path], ask: AskPlanner | None) -> None:
        self.now = DeclaredTypes()
        self._settings = settings
        self._packs = packs
        self._ask = ask
        self._listeners: list[TypesListener] = []
        self._one_at_a_time = asyncio.Lock()
        self._is_read = asyncio.Event()
        self._reading: asyncio.Task[bool] | None = None
        self._waited_until = 0.0
        self._is_due = False
        self._was_ready = False

    @property
    def is_ready(self) -> bool:
        """Whether what is asked for is answered at once: packs were read since the start.

        Those that change later are waited for by whoever asks, and change nothing of it.
        """
        if not self._was_ready:
            is_read = self._is_read.is_set() and not self._is_due
            self._was_ready = is_read and _BUILT_IN not in self.now.unread
        return self._was_ready

    def listen(self, listener: TypesListener) -> Callable[[], None]:
        """Have a function called, on the event loop, when they have changed.

        Returns:
            What ends it.
        """
        self._listeners = [*self._listeners, listener]

        def end() -> None:
            self._listeners = [each for each in self._listeners if each is not listener]

        return end

    async def current(self) -> DeclaredTypes:
        """Those that are known, once packs that have changed have been read.

        Raises:
            Unavailable: That takes too long.
        """
        if not self._is_read.is_set():
            try:
                await asyncio.wait_for(self._is_read.wait(), _PATIENCE)
            except asyncio.TimeoutError:
                raise Unavailable("the node packs are still being read") from None
        elif self._ask is not None and (self._is_due or not self.now.is_unchanged()):
            await self._read_anew()
        return self.now

    async def watch(self, is_wanted: Callable[[], bool]) -> None:
        """Look now and then whether packs have changed, until it is cancelled.

        Args:
            is_wanted: Whether there is anybody to tell.
        """
        while True:
            await asyncio.sleep(_SECONDS)
            if self._is_read.is_set() and is_wanted():
                await self.current()

    async def _read_anew(self) -> None:
        """Have packs read, and wait for it for a while; all who ask meanwhile wait for the same."""
        clock = asyncio.get_running_loop().time
        if self._reading is None or self._reading.done():
            self._reading = asyncio.create_task(self.try_refresh())
            self._waited_until = clock() + _PATIENCE_AGAIN
        await asyncio.wait({self._reading}, timeout=max(0.0, self._waited_until - clock()))

    async def try_refresh(self) -> bool:
        """Have packs that changed read anew; False if they aren't, and the log says why."""
        self._is_due = False
        try:
            await self.refresh()
        except NoAnswerYet as error:
            # By then they may have been read all the same, or be asked for once more.
            self._is_due = True
            _LOG.warning("the node packs are still being read: %s", error)
        except NodegraphError as error:
            _LOG.error("the node packs could not be read: %s", error)
        else:
            return True
        return False

    async def load(self) -> None:
        """Take over what was last read of all packs."""
        latest = await asyncio.to_thread(self._last)
        if latest.is_current or self._ask is None:
            self._is_read.set()
        former, self.now = self.now, latest
        # Digests take a tenth of a second, in which the server would not answer.
        if self._listeners:
            is_new = await asyncio.to_thread(_are_different, latest, former)
            if is_new:
                self._notify(latest)

    async def refresh(self) -> DeclaredTypes:
        """Have packs that changed read anew.

        Raises:
            NodegraphError: They can't be read now; those that are known stay.
        """
        async with self._one_at_a_time:
            try:
                if self._ask is not None:
                    await self._ask()
            finally:
                # If nobody could read them, what is known of them has to do.
                await self.load()
                self._is_read.set()
        return self.now

    def _notify(self, types: DeclaredTypes) -> None:
        for listener in self._listeners:
            try:
                listener(types)
            except Exception:  # noqa: BLE001 - the other listeners are still called
                _LOG.exception("a listener to changed node types failed")

    def _last(self) -> DeclaredTypes:
        folders = PackFolders(self._settings)  # before they are looked into
        try:
            more = [pack_at(path) for path in self._packs]
            packs = all_packs(self._settings, more)
        except NodegraphError as error:
            return DeclaredTypes(problems=(str(error),), is_unchanged=folders.is_unchanged)
        types = load_declared_types(packs, specs_folder(self._settings), folders.is_unchanged)
        return replace(types, pack_finder=pack_finder(self._settings))


def _are_different(types: DeclaredTypes, others: DeclaredTypes) -> bool:
    return types.digest != others.digest
