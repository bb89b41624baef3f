"""Changes of the server's packs: one at a time, in a thread, with notices of its progress.

Only packs of the configured indexes can be installed. No path and no address of a client is used.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from math import inf
from threading import Lock, Thread
from time import monotonic, time
from typing import TYPE_CHECKING, Any

from nodegraph.client.shapes import (
    AvailablePack,
    AvailablePacks,
    PackAction,
    PackChange,
    PackEntry,
)
from nodegraph.core.file_access import PathRedactor
from nodegraph.errors import NodegraphError
from nodegraph.server.http.errors import Conflict, NotFound
from nodegraph.server.workflows.node_types import DeclaredTypes
from nodegraph.session.settings import Settings

if TYPE_CHECKING:
    from nodegraph.packs.installation.index import PackIndexes
    from nodegraph.packs.installation.installed import InstalledPack, PackFolder
    from nodegraph.packs.installation.operations import PackOperations
    from nodegraph.packs.installation.plans import InstallPlan

_LOG = logging.getLogger(__name__)
_FRESH_SECONDS = 300.0
"""Seconds for which what was read from an index at an address counts as current."""
_RETRY_SECONDS = 30.0
_MOST_AVAILABLE = 200

# Imports of installation are inside functions: most servers change no packs.


class PackManager:
    """The packs of one server. Used on one event loop.

    Args:
        settings: Name the home folder and the indexes.
        redactor: Replaces paths in errors.
        refresh: Reads new and changed packs.
        notify: Receives each state of a change, on the event loop.

    Attributes:
        change: The change that runs, or ran last.
    """

    def __init__(
        self,
        settings: Settings,
        redactor: PathRedactor,
        refresh: Callable[[], Awaitable[Any]],
        notify: Callable[[PackChange], None],
    ) -> None:
        self.change: PackChange | None = None
        self._settings = settings
        self._redactor = redactor
        self._refresh = refresh
        self._notify = notify
        self._loop = asyncio.get_running_loop()
        self._task: asyncio.Task[PackChange] | None = None
        # A clock that counts from the start of the machine may be less than the interval.
        self._refresh_at = -inf
        self._refresh_problem: str | None = None
        self._refreshing = Lock()
        self._read: tuple[list[Any], PackIndexes] | None = None

    @property
    def has_index(self) -> bool:
        """Whether packs can be installed."""
        return bool(self._settings.pack_index)

    def _folder(self) -> PackFolder:
        from nodegraph.packs.installation.installed import PackFolder

        return PackFolder(self._settings.data_folder / "packs")

    def _indexes(self) -> PackIndexes:
        """The indexes; read again only when their files change."""
        from nodegraph.packs.installation.index import PackIndexes

        indexes = PackIndexes(self._settings.pack_index, self._folder())
        stamps, read = indexes.stamps(), self._read
        if read is None or read[0] != stamps:
            read = self._read = stamps, indexes
        return read[1]

    # Lists. Called in a thread.

    def entries(self, types: DeclaredTypes) -> list[PackEntry]:
        """The installed packs, by name.

        Args:
            types: The node types that packs declare.
        Raises:
            PackError: The list of packs is damaged.
        """
        installed = self._folder().read()
        return [self._entry(pack, types) for _, pack in sorted(installed.items())]

    def entry(self, name: str, types: DeclaredTypes) -> PackEntry:
        """An installed pack.

        Raises:
            NotFound: There is none of this name.
        """
        return self._entry(self._installed(name), types)

    def _installed(self, name: str) -> InstalledPack:
        pack = self._folder().read().get(name)
        if pack is None:
            raise NotFound("there is no such pack", given=ascii(name[:80]))
        return pack

    def _entry(self, pack: InstalledPack, types: DeclaredTypes) -> PackEntry:
        from nodegraph.packs.installation.environments import host_versions
        from nodegraph.packs.registry import SEE_DOCTOR

        version = pack.current
        names = {pack.name, *(module.name for module in version.modules)}
        count = sum(1 for name in types.specs if name.rpartition(":")[0] in names)
        faults = [each for name in sorted(names) for each in types.faults(name)]
        named = [each for each in types.problems if f"`{pack.name}`" in each]
        if named:  # which say why themselves
            faults = [each for each in faults if each != SEE_DOCTOR]
        start = f"pack `{pack.name}`: "  # the entry has the name
        faults = [each.removeprefix(start) for each in (*faults, *named)]
        return PackEntry(
            name=pack.name,
            version=version.version,
            kind=version.kind,
            source=str(version.source),
            index=version.source.index,
            summary=version.summary,
            license=version.license,
            enabled=pack.enabled,
            trusted=pack.trusted,
            isolated=version.needs_process,
            environment=version.environment,
            node_types=count or len(version.node_types),
            earlier=tuple(each.version for each in pack.history),
            newer=self._newer(pack),
            problems=tuple(dict.fromkeys([*self._folder().faults(pack, host_versions()), *faults])),
        )

    def _newer(self, pack: InstalledPack) -> str | None:
        """The version that an update would bring, as far as the index on this disk says."""
        from nodegraph.packs.installation.operations import is_same_source

        source = pack.current.source
        if not source.index:
            return None
        try:
            entry = self._indexes().find(source.listed or pack.name)
        except NodegraphError:
            return None
        return None if is_same_source(entry.source, source) else entry.version

    def available(
        self, search: str, node_types: Sequence[str], names: Sequence[str]
    ) -> AvailablePacks:
        """Packs of the indexes. Contacts those at addresses now and then."""
        problem = self._refreshed()
        try:
            entries = self._indexes().search(search)
        except NodegraphError as error:
            return AvailablePacks((), self._redactor.redact(str(error)))
        installed = self._folder().read()
        wanted = [
            entry
            for entry in entries
            if not (node_types or names)
            or entry.name in names
            or any(_provides(entry, each) for each in node_types)
        ]
        return AvailablePacks(
            tuple(_offer(entry, installed) for entry in wanted[:_MOST_AVAILABLE]), problem
        )

    def _refreshed(self) -> str | None:
        """Read the indexes at addresses again if it is time; returns why one could not be read.

        The answer holds for the same time: an address that does not reply would hold up each
        search for its time limit.
        """
        with self._refreshing:
            if self.has_index and monotonic() > self._refresh_at:
                self._refresh_problem = None
                try:
                    self._indexes().refresh()
                except NodegraphError as error:
                    self._refresh_problem = self._redactor.redact(str(error))
                is_fine = self._refresh_problem is None
                self._refresh_at = monotonic() + (_FRESH_SECONDS if is_fine else _RETRY_SECONDS)
            return self._refresh_problem

    # Changes

    def start(
        self, name: str, action: PackAction, *, version: str = "", agree: bool = False
    ) -> PackChange:
        """Start a change; `change` has its state.

        Args:
            agree: Accept the costs of an installation.
        Raises:
            Conflict: Another change runs.
            NotFound: The pack is not installed.
        """
        if self._task is not None and not self._task.done():
            assert self.change is not None
            raise Conflict(
                "the packs are being changed",
                given=f"{self.change.action} {self.change.name}",
                hint="Wait until it is done.",
            )
        if action != "install":
            self._installed(name)
        change = self.change = PackChange(name, action, "running", started=time())
        self._notify(change)
        work = partial(self._work, name, action, version, agree)
        self._task = asyncio.create_task(self._follow(work))
        return change

    async def run(self, name: str, action: PackAction) -> None:
        """Make a short change, and wait for it.

        Raises:
            Conflict, NotFound: See `start`.
            NodegraphError: It failed.
        """
        self.start(name, action)
        task = self._task
        assert task is not None
        change = await asyncio.shield(task)
        if change.error is not None:
            raise Conflict(change.error)

    async def close(self) -> None:
        """Follow the change no more. It is undone, or done, by the next one."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _follow(self, work: Callable[[], None]) -> PackChange:
        try:
            await _in_thread(work)
            if self.change is not None and self.change.state == "running":
                self._set(step="node types")
                await self._refresh()
        except NodegraphError as error:
            self._set(state="failed", step="", error=self._redactor.redact(str(error)))
        except Exception:  # noqa: BLE001 - nobody waits for the result
            _LOG.exception("a change of packs failed")
            self._set(state="failed", step="", error="it failed; the server's log says why")
        else:
            if self.change is not None and self.change.state == "running":
                self._set(state="done", step="")
        assert self.change is not None
        return self.change

    def _set(self, **values: Any) -> None:
        if self.change is not None:
            self.change = replace(self.change, **values)
            self._notify(self.change)

    def _report(self, **values: Any) -> None:
        """`_set` from the thread of a change."""
        self._loop.call_soon_threadsafe(partial(self._set, **values))

    def _work(self, name: str, action: PackAction, version: str, agree: bool) -> None:
        from nodegraph.packs.installation.operations import PackOperations
        from nodegraph.packs.installation.plans import InstallOptions

        confirm = partial(self._confirm, agree)
        operations = PackOperations(self._folder(), self._indexes(), confirm)
        self._report(step="files")
        if action == "install":
            operations.add_listed(name, InstallOptions(version=version))
        elif action == "update":
            operations.update(name)
        else:
            _short_change(operations, name, action)

    def _confirm(self, agree: bool, plan: InstallPlan) -> bool:
        costs = tuple(map(self._redactor.redact, (*plan.costs, *plan.conflicts)))
        notes = tuple(map(self._redactor.redact, (*plan.reasons, *plan.notes)))
        if costs and not agree:
            self._report(state="stopped", step="", costs=costs, notes=notes)
            return False
        self._report(step="packages" if plan.lock is not None else "files", notes=notes)
        return True


def _short_change(operations: PackOperations, name: str, action: PackAction) -> None:
    if action == "rollback":
        operations.rollback(name)
    elif action == "remove":
        operations.remove(name)
    else:
        operations.set_enabled(name, action == "enable")


async def _in_thread(work: Callable[[], None]) -> None:
    """Call a function in a thread that does not hold up the end of the process."""
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[None] = loop.create_future()

    def finish(error: BaseException | None) -> None:
        if ended.cancelled():
            return
        if error is None:
            ended.set_result(None)
        else:
            ended.set_exception(error)

    def call() -> None:
        error: BaseException | None = None
        try:
            work()
        except Exception as raised:  # noqa: BLE001 - it is raised where it is awaited
            error = raised
        if not loop.is_closed():
            loop.call_soon_threadsafe(finish, error)

    Thread(target=call, name="packs", daemon=True).start()
    await ended


def _provides(entry: Any, node_type: str) -> bool:
    prefix = node_type.rpartition(":")[0]
    return entry.name == prefix if prefix else node_type in entry.node_types


def _offer(entry: Any, installed: Mapping[str, InstalledPack]) -> AvailablePack:
    pack = installed.get(entry.name)
    return AvailablePack(
        name=entry.name,
        version=entry.version,
        kind=entry.kind,
        summary=entry.summary,
        license=entry.license,
        index=entry.index,
        requires=entry.requires,
        node_types=entry.node_types,
        installed=None if pack is None else pack.current.version,
    )


def change_progress(change: PackChange) -> dict[str, Any]:
    """The fields of a notice about a change, which all clients may see."""
    return {
        "name": change.name,
        "action": change.action,
        "state": change.state,
        "step": change.step,
    }
