"""Drafts that are open: who is there, and every patch in one order for all of them."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from time import time
from typing import Any

from nodegraph.core.digests import digest_bytes
from nodegraph.core.json_text import read_json, write_json
from nodegraph.core.workflow import Workflow
from nodegraph.errors import InvalidFile, NodegraphError
from nodegraph.server.access.authentication import RateLimiter
from nodegraph.server.content.drafts.patches import (
    LARGEST_PATCH,
    NodeRenamed,
    Rename,
    apply_patch,
    changed_parts,
    check_types,
    parse_patch,
    renames_of,
)
from nodegraph.server.content.drafts.store import (
    COMPACT_EVERY,
    LARGEST_DRAFT,
    Draft,
    DraftEntry,
    DraftStore,
    check_length,
)
from nodegraph.server.content.saved import SavedWorkflow, SavedWorkflows
from nodegraph.server.http.errors import NotFound, TooManyRequests, Unprocessable
from nodegraph.server.http.limits.body import JsonGauge
from nodegraph.server.http.responses import check_match, etag
from nodegraph.server.workflows.checks import check_size

_LOG = logging.getLogger(__name__)
MOST_MEMBERS = 100
"""Windows in one draft."""
_PATCHES_PER_SECOND, _PATCH_BURST = 40.0, 400
_SHOWN_PER_SECOND, _SHOWN_BURST = 30.0, 120
_MOST_LIVE = 25
"""Windows in a draft up to which pointers are passed on: the messages grow with their square."""
_DEEPEST, _MOST_VALUES = 64, 1_000_000
"""Levels and values of a patch; what can't be read again would be lost."""
_INDENTED = 4
"""How much longer a patch is at most, as a rule, once it is laid out in the text of a draft."""
_SAVED, _OWN = "saved", "own"

Send = Callable[[Mapping[str, Any]], None]


class DraftRates:
    """How often one client may change drafts, and show what it looks at."""

    def __init__(self) -> None:
        self._changes = RateLimiter(_PATCHES_PER_SECOND, _PATCH_BURST)
        self._shown = RateLimiter(_SHOWN_PER_SECOND, _SHOWN_BURST)

    def check_change(self) -> None:
        """Count a change.

        Raises:
            TooManyRequests: There were too many.
        """
        if wait := self._changes.acquire(""):
            raise TooManyRequests("too many changes", seconds=wait)

    def check_shown(self) -> None:
        """Count a message about what a window looks at.

        Raises:
            TooManyRequests: There were too many.
        """
        if wait := self._shown.acquire(""):
            raise TooManyRequests("a window shows what it looks at too often", seconds=wait)


@dataclass(slots=True)
class DraftMember:
    """A window that has a draft open.

    Attributes:
        id: Of the window in this draft.
        name: Of the caller.
        may_write: Whether it may change the draft.
        since: Unix time.
        path: The blocks entered.
        selection: Ids of what is selected.
        is_gone: Whether its connection has ended.
        rates: How often it may change drafts, and show something; of the whole connection.
    """

    name: str
    may_write: bool
    send: Send
    id: str = field(default_factory=lambda: secrets.token_urlsafe(6))
    since: float = field(default_factory=time)
    path: tuple[str, ...] = ()
    selection: tuple[str, ...] = ()
    is_gone: bool = False
    rates: DraftRates = field(default_factory=DraftRates)

    def as_dict(self) -> dict[str, Any]:
        """What the other windows are told."""
        return {
            "member": self.id,
            "name": self.name,
            "writes": self.may_write,
            "since": self.since,
            "path": self.path,
            "selection": self.selection,
        }


@dataclass(slots=True)
class _Room:
    """A draft that is open.

    Attributes:
        key: Of the draft.
        draft: None until it was read.
        written: The revision at which its text was written.
        waiting: Characters of the patches since then.
        length: Characters of the draft, at most about so many.
        renamed: The revision at which a node got another name last.
        lock: Whoever changes it holds it.
    """

    key: str
    draft: Draft | None = None
    written: int = 0
    waiting: int = 0
    length: int = 0
    renamed: int = 0
    members: dict[str, DraftMember] = field(default_factory=dict)
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    users: int = 0


@dataclass(frozen=True, slots=True)
class DraftSource:
    """Which draft is meant, and what it begins with.

    Attributes:
        key: Of the draft.
        name: Of the saved workflow; None for a document that was never saved.
        client: Whose document it is; empty for a saved workflow.
        text: What a document begins with; None if it must be there.
        reset: Whether what isn't saved is dropped.
    """

    key: str
    name: str | None
    client: str
    text: str | None = None
    reset: bool = False

    @classmethod
    def saved(cls, name: str, *, reset: bool = False) -> DraftSource:
        """The draft of a saved workflow."""
        return cls(f"{_SAVED}/{name}", name, "", reset=reset)

    @classmethod
    def own(cls, client: str, document: str, text: str | None = None) -> DraftSource:
        """The draft of a client's document that was never saved: only that client can name it."""
        return cls(f"{_OWN}/{client}/{document}", None, client, text)


class DraftRooms:
    """All drafts that windows have open; used on one event loop.

    Args:
        store: Keeps them.
        workflows: The saved workflows that drafts come from.
        most_nodes: Of a workflow.
        in_thread: Calls what takes its time.
    """

    def __init__(
        self,
        store: DraftStore,
        workflows: SavedWorkflows,
        most_nodes: int,
        in_thread: Callable[..., Awaitable[Any]],
    ) -> None:
        self._store = store
        self._workflows = workflows
        self._most_nodes = most_nodes
        self._in_thread = in_thread
        self._rooms: dict[str, _Room] = {}

    async def join(
        self,
        source: DraftSource,
        member: DraftMember,
        sent: str | None,
        since: int | None = None,
        page: str | None = None,
    ) -> dict[str, Any]:
        """Open a draft for a window. Return its content and its members.

        Args:
            sent: Id of a patch that the window has sent, and was not told of.
            since: The revision that the window knows; None for none.
            page: What the ids of patches begin with that the window's page before has sent.
        Raises:
            NotFound: There is no such workflow or draft.
            TooManyRequests: Too many windows have it open.
        """
        async with _Using(self._rooms, source.key) as room:
            if len(room.members) >= MOST_MEMBERS:
                raise TooManyRequests("too many windows have this workflow open", seconds=60)
            draft = await self._in_thread(self._opened, source, room.draft)
            if room.draft is not None and room.draft.revision != draft.revision:
                self._tell(room, {"event": "replaced", "revision": draft.revision})
            if room.draft is not draft:
                room.draft, room.written, room.waiting = draft, draft.revision, 0
            known = None
            if sent is not None:
                known = await self._in_thread(self._store.revision_of, source.key, sent)
            renames: list[Rename] = []
            if since is not None:
                renames = await self._in_thread(self._store.renames_since, source.key, since)
            has_later = False
            if page is not None and since is not None:
                has_later = await self._in_thread(
                    self._store.has_later, source.key, since, page, sent
                )
            if not member.is_gone:
                room.members[member.id] = member
            self._tell_members(room, but=member)
            text = await self._in_thread(write_json, draft.document)
            room.length = len(text)
            return {
                "draft": source.key,
                "member": member.id,
                "revision": draft.revision,
                "saved": draft.saved,
                "etag": etag(draft.digest) if draft.digest else None,
                "text": text,
                "applied": known is not None,
                "later": has_later,
                "renames": renames,
                "members": [each.as_dict() for each in room.members.values()],
            }

    def _opened(self, source: DraftSource, draft: Draft | None) -> Draft:
        """The draft, made from what is saved if there is none, or it is behind."""
        if draft is None:
            draft = self._kept(source)
        if source.name is not None:
            saved = self._workflows.get(source.name)
            if draft is None:
                draft = _draft_of(source, saved.document, 0, saved)
            elif not source.reset and _is_saved_as(draft, saved):
                digest = saved.version.digest
                self._store.mark_saved(draft.key, draft.revision, digest)
                return replace(draft, saved=draft.revision, digest=digest)
            elif source.reset or (
                draft.digest != saved.version.digest and draft.saved == draft.revision
            ):
                # It was changed outside, and nothing here waits to be saved.
                draft = _draft_of(source, saved.document, draft.revision + 1, saved)
            else:
                return draft
        elif draft is not None:
            return draft
        elif source.text is None:
            raise NotFound("there is no such draft", given=ascii(source.key)[:200])
        else:
            _check_json(source.text)
            document = read_json(source.text)
            draft = Draft(source.key, source.client, document, 0, -1, "")
        self._check(draft.document)
        text = write_json(draft.document)
        check_length(text)
        self._store.put(draft, text)
        return draft

    def _kept(self, source: DraftSource) -> Draft | None:
        try:
            return self._store.get(source.key)
        except (InvalidFile, Unprocessable) as error:
            if not source.reset:
                raise Unprocessable(
                    "the server can't read its working copy of this workflow",
                    given=error.problem.message,
                    hint="A newer nodegraph may have written it. Join with `reset` to drop it.",
                ) from error
            self._store.forget(source.key)
            return None

    def _check(self, document: Mapping[str, Any]) -> None:
        check_size(Workflow.from_dict(document), self._most_nodes)
        check_types(document)

    def leave(self, key: str, member: DraftMember) -> None:
        """A window has closed it, or is gone."""
        member.is_gone = True
        room = self._rooms.get(key)
        if room is None or room.members.pop(member.id, None) is None:
            return
        self._tell_members(room)
        if not room.members and not room.users:
            del self._rooms[key]

    async def patch(
        self, key: str, member: DraftMember, patch_id: str, text: str, *, base: int | None = None
    ) -> int:
        """Apply a window's patch, keep it and tell the other windows; its revision.

        A patch that is known already is not applied again.

        Args:
            base: The revision that the window knew; None if it doesn't say.
        Raises:
            TooManyRequests: The window sends too many.
            NodeRenamed: It speaks of nodes by names that may be others now.
            NameTaken, Unprocessable, TooLarge, InvalidWorkflow: It can't be applied.
        """
        member.rates.check_change()
        async with _Using(self._rooms, key) as room:
            draft = self._joined(room, key, member)
            known = await self._in_thread(self._store.revision_of, key, patch_id)
            if known is not None:
                return int(known)
            if base is not None and base < room.renamed:
                raise NodeRenamed(
                    "another window gave a node another name before",
                    given=f"a patch of revision {base}",
                    expected=f"one of revision {room.renamed} or later",
                    hint="Send the changes again, under the new name.",
                )
            draft, room.length, renames = await self._in_thread(
                self._patched, draft, patch_id, text, room.length
            )
            room.draft = draft
            if renames:
                room.renamed = draft.revision
            room.waiting += len(text)
            message = {
                "event": "patch",
                "revision": draft.revision,
                "patch": patch_id,
                "member": member.id,
            }
            for other in list(room.members.values()):
                # The window's own comes in order with those of others, and it has what it says.
                own = {} if other is member else {"operations": text}
                other.send({"draft": key, **message, **own})
            if draft.revision - room.written >= COMPACT_EVERY or room.waiting >= LARGEST_PATCH:
                try:
                    room.length = await self._in_thread(self._compacted, draft)
                    room.written, room.waiting = draft.revision, 0
                except NodegraphError as error:
                    _LOG.warning("the draft %s is not compacted: %s", key, error)
            return int(draft.revision)

    def _patched(
        self, draft: Draft, patch_id: str, text: str, length: int
    ) -> tuple[Draft, int, bool]:
        """The draft with a patch, about how long it is, and whether a node has another name."""
        _check_json(text)
        patch = parse_patch(text)
        document = apply_patch(draft.document, patch)
        # Reading 2,000 nodes takes 30 ms, and dragging one sends ten patches a second.
        self._check(changed_parts(document, patch))
        after = length + _INDENTED * len(text)
        if after > LARGEST_DRAFT:
            written = write_json(document)
            after = len(written)
            if after > length:
                check_length(written)
        renames = renames_of(patch)
        self._store.add_patch(draft.key, draft.revision + 1, patch_id, text, renames)
        changed = replace(draft, document=document, revision=draft.revision + 1)
        return changed, after, bool(renames)

    def _compacted(self, draft: Draft) -> int:
        """Write a draft as a whole; its length."""
        text = write_json(draft.document)
        self._store.put(draft, text)
        return len(text)

    async def save(self, name: str, key: str, member: DraftMember, *, over: bool) -> dict[str, Any]:
        """Save the draft as the next version of its workflow.

        Args:
            over: Whether a version that came from outside is replaced.
        Raises:
            PreconditionFailed: The saved workflow was changed outside of the draft.
        """
        async with _Using(self._rooms, key) as room:
            draft = self._joined(room, key, member)

            workflow = await self._in_thread(Workflow.from_dict, draft.document)

            def check(digest: str | None) -> None:
                if not over and not (digest and digest == _digest_of(workflow)):
                    check_match(etag(draft.digest), digest)

            def write() -> SavedWorkflow:
                saved, _ = self._workflows.put(name, workflow, check)
                try:
                    self._store.mark_saved(key, draft.revision, saved.version.digest)
                except NodegraphError as error:
                    # It is saved. The next window that joins finds both equal.
                    _LOG.warning("that the draft %s is saved is not noted: %s", key, error)
                return saved

            saved = await self._in_thread(write)
            room.draft = replace(draft, saved=draft.revision, digest=saved.version.digest)
            outcome = _outcome(draft.revision, saved)
            self._tell(room, {"event": "saved", "member": member.id, **outcome})
            return outcome

    def show(
        self, key: str, member: DraftMember, path: Sequence[str], selection: Sequence[str]
    ) -> None:
        """A window looks at, and has selected, something else.

        Raises:
            TooManyRequests: It says so too often.
        """
        member.rates.check_shown()
        member.path, member.selection = tuple(path), tuple(selection)
        room = self._rooms.get(key)
        if room is not None and member.id in room.members:
            self._tell_members(room, but=member)

    def show_live(self, key: str, member: DraftMember, shown: Mapping[str, Any]) -> None:
        """Pass on a window's pointer, and what it drags: of the moment, and kept nowhere.

        Raises:
            TooManyRequests: It says so too often.
        """
        member.rates.check_shown()
        room = self._rooms.get(key)
        if room is not None and member.id in room.members and len(room.members) <= _MOST_LIVE:
            self._tell(room, {"event": "live", "member": member.id, **shown}, but=member)

    async def of_client(self, client: str) -> Sequence[DraftEntry]:
        """Return a client's drafts of documents that were never saved."""
        entries: Sequence[DraftEntry] = await self._in_thread(self._store.of_client, client)
        return entries

    async def delete(self, key: str, name: str | None = None) -> None:
        """Delete a draft; windows that have it open keep what they have.

        Args:
            name: The saved workflow that they are to go on with, if it was saved.

        Raises:
            NotFound: There is none of this key.
        """
        async with _Using(self._rooms, key) as room:
            await self._in_thread(self._store.delete, key)
            self._tell(room, {"event": "deleted", "name": name})
            room.draft = None
            room.members.clear()

    async def refresh(self, name: str, *, is_new: bool = False) -> None:
        """A saved workflow was changed or deleted outside of its draft.

        Args:
            is_new: Whether there was none of this name before: the draft is that of another
                workflow, whose file was deleted by hand.
        """
        source = DraftSource.saved(name)
        async with _Using(self._rooms, source.key) as room:
            before = room.draft
            try:
                if before is None and not await self._in_thread(self._store.has, source.key):
                    return
                if is_new:
                    raise NotFound("the workflow of the draft is gone")
                draft = await self._in_thread(self._opened, source, before)
            except NotFound:
                await self._in_thread(self._store.forget, source.key)
                self._tell(room, {"event": "deleted", "name": None})
                room.draft = None
                room.members.clear()
                return
            except NodegraphError as error:
                # The workflow itself is saved. Who joins next sees it.
                _LOG.warning("the draft %s does not follow its file: %s", source.key, error)
                return
            room.draft = draft
            if before is not None and before.revision != draft.revision:
                room.written, room.waiting = draft.revision, 0
                self._tell(room, {"event": "replaced", "revision": draft.revision})
            elif before is not None and before.digest != draft.digest:
                version = await self._in_thread(self._workflows.get, name)
                outcome = _outcome(draft.revision, version)
                self._tell(room, {"event": "saved", "member": "", **outcome})

    def _joined(self, room: _Room, key: str, member: DraftMember) -> Draft:
        if room.draft is None or member.id not in room.members:
            raise NotFound(
                "this window has not joined the draft", given=ascii(key)[:200], hint="Join first."
            )
        return room.draft

    def _tell_members(self, room: _Room, *, but: DraftMember | None = None) -> None:
        members = [each.as_dict() for each in room.members.values()]
        self._tell(room, {"event": "members", "members": members}, but=but)

    def _tell(
        self, room: _Room, message: Mapping[str, Any], *, but: DraftMember | None = None
    ) -> None:
        for member in list(room.members.values()):
            if member is not but:
                member.send({"draft": room.key, **message})


def _outcome(revision: int, saved: SavedWorkflow) -> dict[str, Any]:
    version = saved.version
    return {"revision": revision, "etag": etag(version.digest), "version": version.number}


def _digest_of(workflow: Workflow) -> str:
    """Of the file that it is saved as."""
    return digest_bytes(workflow.to_json().encode())


def _is_saved_as(draft: Draft, saved: SavedWorkflow) -> bool:
    """Whether a file that the draft does not come from says the same."""
    is_other = draft.digest != saved.version.digest
    return is_other and write_json(draft.document) == write_json(saved.document)


def _check_json(text: str) -> None:
    JsonGauge(_DEEPEST, _MOST_VALUES).feed(text.encode("utf-8", "surrogatepass"))


def _draft_of(source: DraftSource, document: Any, revision: int, saved: SavedWorkflow) -> Draft:
    digest = saved.version.digest
    return Draft(source.key, source.client, document, revision, revision, digest)


class _Using:
    """Holds a room's lock, and keeps the room while a task waits for it."""

    def __init__(self, rooms: dict[str, _Room], key: str) -> None:
        self._rooms = rooms
        self._room = rooms.setdefault(key, _Room(key))

    async def __aenter__(self) -> _Room:
        self._room.users += 1
        try:
            await self._room.lock.acquire()
        except BaseException:
            self._left()
            raise
        return self._room

    async def __aexit__(self, *_: object) -> None:
        self._room.lock.release()
        self._left()

    def _left(self) -> None:
        self._room.users -= 1
        if not self._room.users and not self._room.members:
            self._rooms.pop(self._room.key, None)
