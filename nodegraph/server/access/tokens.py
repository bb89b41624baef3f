"""Access tokens: what is stored of each, the file that holds them, and their lookup."""

from __future__ import annotations

import hmac
import logging
import os
import re
import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Literal, ParamSpec, TypeVar

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from nodegraph.core.files import make_private_folder, write_file
from nodegraph.core.suggest import did_you_mean
from nodegraph.errors import InvalidFile, InvalidValue, NodegraphError, OutputError
from nodegraph.server.access.caller import LOCAL, Caller, Scope, implied
from nodegraph.store.claims import exclusive_lock

PATTERN = r"ng_[0-9a-f]{12}_[0-9a-f]{48}"
"""Of a token, so that it can be found where it mustn't be: in logs, in files that are published."""
_FULL = re.compile(PATTERN)
LARGEST_NAME = 64

TokenName = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=LARGEST_NAME)
]


class TokenRecord(BaseModel):
    """What is kept of a token.

    Attributes:
        id: The part of it that is no secret.
        name: Whose it is: the client of the jobs that come with it.
        sha256: Of its secret part. That is 192 random bits: guessing is out of the question, so a
            slow hash would protect nothing.
        created, expires: Unix times; None for a token that stays.
        webhook: Address that is sent the events of its jobs, unless a job says otherwise.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{12}$")]
    name: TokenName
    scopes: Annotated[frozenset[Scope], Field(min_length=1)]
    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
    created: float
    expires: float | None = None
    webhook: Annotated[str, Field(max_length=2_048)] | None = None

    def is_expired(self, now: float) -> bool:
        """Whether it is of no use any more."""
        return self.expires is not None and self.expires <= now

    def accepts(self, secret: str) -> bool:
        """Whether it is the secret part, in a time that doesn't tell how much of it is right."""
        return hmac.compare_digest(_digest(secret), self.sha256)


NOBODY = TokenRecord(
    id="0" * 12, name="nobody", scopes=frozenset({"read"}), sha256="0" * 64, created=0.0
)
"""What a token of an unknown id is compared with, so that it takes as long as a known one."""


def new_token(
    name: str, scopes: frozenset[Scope], now: float, expires: float | None
) -> tuple[str, TokenRecord]:
    """A token, which is shown once, and what is kept of it.

    Raises:
        ValidationError: No such name or scope.
    """
    public, secret = secrets.token_hex(6), secrets.token_hex(24)
    return f"ng_{public}_{secret}", record_of(public, secret, name, scopes, now, expires)


def record_of(
    public: str,
    secret: str,
    name: str,
    scopes: frozenset[Scope],
    now: float,
    expires: float | None = None,
) -> TokenRecord:
    """What is kept of a token.

    Raises:
        ValidationError: No such name or scope.
    """
    digest = _digest(secret)
    return TokenRecord(
        id=public, name=name, scopes=scopes, sha256=digest, created=now, expires=expires
    )


def split_token(token: str) -> tuple[str, str] | None:
    """A token's id and secret; None if it isn't of a token's form."""
    if not _FULL.fullmatch(token):
        return None
    _, public, secret = token.split("_")
    return public, secret


def _digest(secret: str) -> str:
    return sha256(secret.encode()).hexdigest()


P = ParamSpec("P")
T = TypeVar("T")


class _Document(BaseModel):
    """The file's content."""

    model_config = ConfigDict(extra="forbid")

    version: Annotated[Literal[1], Field()] = 1
    tokens: list[TokenRecord] = []


class TokenFile:
    """The tokens of one home folder.

    Args:
        path: The file, or a link to one that several servers share; made with the first token,
            readable by its owner alone.
        clock: Unix time.
    """

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        self.path = path
        self._clock = clock

    def read(self) -> list[TokenRecord]:
        """The tokens; none if there is neither a file nor a link to one.

        Raises:
            InvalidFile: It can't be read, or is none of tokens.
        """
        try:
            return self._content()
        except FileNotFoundError:
            if not self.path.is_symlink():
                return []
        # A share that isn't mounted, perhaps: with no tokens, whoever is here would be let in.
        raise InvalidFile(
            f"cannot read {self.path}: there is no {self.path.resolve()}",
            hint="Mount the target of the link, or create the first token: nodegraph token add "
            "NAME",
        )

    def _content(self) -> list[TokenRecord]:
        """What the file says; raises FileNotFoundError if there is none, else as `read`."""
        try:
            return _Document.model_validate_json(self.path.read_bytes()).tokens
        except FileNotFoundError:
            raise
        except OSError as error:
            raise InvalidFile(f"cannot read {self.path}: {error.strerror or error}") from error
        except ValidationError as error:
            location = ".".join(map(str, error.errors()[0]["loc"])) or "the text"
            raise InvalidFile(
                f"{self.path} is not a token file: {location} is wrong",
                hint="Restore it from a backup, or delete it and create new tokens.",
            ) from None

    def add(
        self,
        name: str,
        scopes: Sequence[Scope],
        *,
        lifetime: float | None = None,
        webhook: str | None = None,
    ) -> tuple[str, TokenRecord]:
        """A new token, and what is kept of it.

        Args:
            lifetime: Seconds after which it is of no use; None for one that stays.
            webhook: See `TokenRecord`.
        Raises:
            InvalidValue: The name is taken, or none.
            InvalidFile, OutputError: The file can't be read or written.
        """
        with self._changing() as tokens:
            now = self._clock()
            if name == LOCAL.name or any(
                token.name == name and not token.is_expired(now) for token in tokens
            ):
                raise InvalidValue(
                    "there is already a token of that name"
                    if name != LOCAL.name
                    else "this name is reserved for clients that need no token",
                    given=name,
                    hint=f"Choose another name, or `nodegraph token rotate {name}`."
                    if name != LOCAL.name
                    else "Choose another name.",
                )
            text, record = _create_token(name, frozenset(scopes), now, lifetime)
            record = record.model_copy(update={"webhook": webhook})
            tokens.append(record)
        return text, record

    def put(
        self, name: str, scopes: Sequence[Scope], text: str, webhook: str | None = None
    ) -> TokenRecord:
        """Have a token that was made elsewhere stand for a name, in place of any other of it.

        Nothing changes if it does so already, so that this can be done at each start.

        Raises:
            InvalidValue: It is no token, stands for another name, or the name is none.
            InvalidFile, OutputError: The file can't be read or written.
        """
        token_parts = split_token(text)
        if token_parts is None or name == LOCAL.name:
            raise InvalidValue(
                "this is not a token"
                if token_parts is None
                else "this name is reserved for clients without a token",
                expected="ng_, 12 hexadecimal digits, _ and 48 more"
                if token_parts is None
                else None,
                hint="`nodegraph token add` creates one." if token_parts is None else None,
            )
        public, secret = token_parts
        with self._changing() as tokens:
            known = next((token for token in tokens if token.id == public), None)
            if known is not None and known.name != name:
                raise InvalidValue("this token belongs to another name", given=known.name)
            if known is not None and known.accepts(secret) and known.scopes == frozenset(scopes):
                made = known
            else:
                made = _checked(
                    name, record_of, public, secret, name, frozenset(scopes), self._clock()
                )
            made = made.model_copy(update={"webhook": webhook})
            tokens[:] = [*(token for token in tokens if token.name != name), made]
        return made

    def revoke(self, name: str) -> list[TokenRecord]:
        """Forget a token by its name or id; what it was.

        Raises:
            InvalidValue: There is none.
            InvalidFile, OutputError: The file can't be read or written.
        """
        with self._changing() as tokens:
            gone = [token for token in tokens if name in (token.name, token.id)]
            if not gone:
                raise _unknown(name, tokens)
            tokens[:] = [token for token in tokens if token not in gone]
        return gone

    def rotate(self, name: str, *, grace: float = 0.0) -> tuple[str, TokenRecord]:
        """A new token in place of the one of a name, with its scopes, its webhook and its end.

        Args:
            grace: Seconds for which the old one is still good.
        Raises:
            InvalidValue: There is none.
            InvalidFile, OutputError: The file can't be read or written.
        """
        with self._changing() as tokens:
            now = self._clock()
            current = [
                token for token in tokens if name == token.name and not token.is_expired(now)
            ]
            if not current:
                raise _unknown(name, tokens)
            last = max(current, key=lambda token: token.created)
            lasting = None if last.expires is None else last.expires - now
            text, record = _create_token(name, last.scopes, now, lasting)
            record = record.model_copy(update={"webhook": last.webhook})
            kept = [token for token in tokens if token.name != name]
            if grace > 0:
                kept += [_ending(token, now + grace) for token in current]
            tokens[:] = [*kept, record]
        return text, record

    def set_webhook(self, name: str, webhook: str | None) -> list[TokenRecord]:
        """Have the events of a name's jobs sent to another address, or to none; its tokens.

        Raises:
            InvalidValue: There is no token of that name.
            InvalidFile, OutputError: The file can't be read or written.
        """
        with self._changing() as tokens:
            if not any(token.name == name for token in tokens):
                raise _unknown(name, tokens)
            tokens[:] = [
                token.model_copy(update={"webhook": webhook}) if token.name == name else token
                for token in tokens
            ]
            return [token for token in tokens if token.name == name]

    @contextmanager
    def _changing(self) -> Iterator[list[TokenRecord]]:
        """The tokens, written back after the block if it raised nothing; one process at a time."""
        try:
            make_private_folder(self.path.parent)
        except OSError as error:
            raise OutputError(f"cannot change {self.path}: {error.strerror or error}") from error
        # Beside the file itself, so that all who share it by links take turns by one lock.
        there = self.path.resolve()
        if not there.parent.is_dir():  # never made: what isn't mounted must be noticed
            raise OutputError(f"cannot change {self.path}: there is no {there.parent}")
        with exclusive_lock(there.with_name(f"{there.name}-lock"), str(self.path)):
            try:
                tokens = self._content()
            except FileNotFoundError:
                tokens = []
            yield tokens
            now = self._clock()
            document = _Document(tokens=[each for each in tokens if not each.is_expired(now)])
            # Without what is not there, so that earlier versions read it.
            text = document.model_dump_json(indent=2, exclude_none=True)
            write_file(self.path, text.encode(), private=True)


def _create_token(
    name: str, scopes: frozenset[Scope], now: float, lasting: float | None
) -> tuple[str, TokenRecord]:
    expires = None if lasting is None else now + lasting
    return _checked(name, new_token, name, scopes, now, expires)


def _checked(name: str, make: Callable[P, T], *args: P.args, **options: P.kwargs) -> T:
    """What is made for a name, which has to be one.

    Raises:
        InvalidValue: It isn't.
    """
    try:
        return make(*args, **options)
    except ValidationError:
        raise InvalidValue(
            "this cannot be the name of a token",
            given=name,
            expected=f"1 to {LARGEST_NAME} letters, digits and . _ -, starting with a letter or "
            "digit",
        ) from None


def _ending(token: TokenRecord, at: float) -> TokenRecord:
    expires = at if token.expires is None else min(at, token.expires)
    return token.model_copy(update={"expires": expires})


def _unknown(name: str, tokens: Sequence[TokenRecord]) -> InvalidValue:
    names = [token.name for token in tokens]
    return InvalidValue(
        "there is no token of that name", given=name, hint=did_you_mean(name, names) or None
    )


TOKENS_FILE = "tokens.json"
"""Of the file, in the home folder."""
_LOG = logging.getLogger(__name__)
_LOOK_SECONDS = 1.0


class Tokens:
    """Who may come in.

    What the command line changes counts within a second. While the file can't be read, no token is
    good, as one that was revoked must not come back, and all need one.

    Args:
        path: The file.
        clock: Unix time.
        refresh_seconds: Between two looks at whether the file has changed.
    """

    def __init__(
        self,
        path: Path,
        clock: Callable[[], float] = time.time,
        refresh_seconds: float = _LOOK_SECONDS,
    ) -> None:
        self._file = TokenFile(path, clock)
        self._clock = clock
        self.refresh_seconds = refresh_seconds
        self._looked = 0.0
        self._mark: tuple[int, ...] | None = None
        self._known: Mapping[str, tuple[TokenRecord, Caller]] = {}
        self._fault: str | None = None
        self._read()

    def caller(self, token: str) -> Caller | None:
        """Who comes with a token; None if it isn't good."""
        self._refresh()
        token_parts = split_token(token)
        if token_parts is None:
            return None
        public, secret = token_parts
        record, who = self._known.get(public, (NOBODY, None))
        is_right = record.accepts(secret)
        if who is None or not is_right or record.is_expired(self._clock()):
            return None
        return who

    def caller_by_id(self, id: str) -> Caller | None:
        """Whose the token of an id is; None if it isn't good any more."""
        self._refresh()
        record, who = self._known.get(id, (NOBODY, None))
        return None if record.is_expired(self._clock()) else who

    def owner(self, name: str) -> Caller | None:
        """Who acts for a name while nobody asks, as schedules do; None if its tokens are gone."""
        self._refresh()
        if name == LOCAL.name and not (self.are_any or self.is_unreadable):
            return LOCAL
        now = self._clock()
        callers = [
            caller
            for record, caller in self._known.values()
            if record.name == name and not record.is_expired(now)
        ]
        return max(callers, key=lambda caller: len(caller.scopes), default=None)

    def is_good(self, id: str) -> bool:
        """Whether whoever came with the token of an id may stay; without one they may."""
        return not id or self.caller_by_id(id) is not None

    @property
    def are_any(self) -> bool:
        """Whether there is a token that is good."""
        self._refresh()
        now = self._clock()
        return any(not record.is_expired(now) for record, _ in self._known.values())

    @property
    def is_unreadable(self) -> bool:
        """Whether it can't be told if there is one, as the file can't be read."""
        self._refresh()
        return self._fault is not None

    def _refresh(self) -> None:
        now = time.monotonic()
        if now - self._looked >= self.refresh_seconds:
            self._looked = now
            self._read()

    def _read(self) -> None:
        mark = _mark(self._file.path)
        if mark == self._mark:
            return
        try:
            records = self._file.read()
        except NodegraphError as error:
            if str(error) != self._fault:
                _LOG.error("no token is accepted until this is fixed: %s", error)
            self._known, self._mark, self._fault = {}, None, str(error)
            return
        self._fault = None
        self._known = {record.id: (record, _caller(record)) for record in records}
        self._mark = mark


def _caller(record: TokenRecord) -> Caller:
    scopes = implied(record.scopes)
    return Caller(record.name, scopes, record.id, webhook=record.webhook or "")


def _mark(path: Path) -> tuple[int, ...]:
    """What changes with the file."""
    try:
        status = os.stat(path)  # noqa: PTH116 - looked at often
    except OSError:
        return ()
    return status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino
