"""The file of tokens, and what the command line does with it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Literal, ParamSpec, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from nodegraph.core.files import make_private_folder, write_file
from nodegraph.core.suggest import did_you_mean
from nodegraph.errors import InvalidFile, InvalidValue, OutputError
from nodegraph.server.access.caller import LOCAL, Scope
from nodegraph.server.access.token import (
    LARGEST_NAME,
    TokenRecord,
    new_token,
    record_of,
    split_token,
)
from nodegraph.store.turns import exclusive_lock

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
            f"can't read {self.path}: there is no {self.path.resolve()}",
            hint="Mount what it leads to, or make the first token: nodegraph token add NAME",
        )

    def _content(self) -> list[TokenRecord]:
        """What the file says; raises FileNotFoundError if there is none, else as `read`."""
        try:
            return _Document.model_validate_json(self.path.read_bytes()).tokens
        except FileNotFoundError:
            raise
        except OSError as error:
            raise InvalidFile(f"can't read {self.path}: {error.strerror or error}") from error
        except ValidationError as error:
            location = ".".join(map(str, error.errors()[0]["loc"])) or "the text"
            raise InvalidFile(
                f"{self.path} is no file of tokens: {location} is wrong",
                hint="Restore it from a backup, or delete it and make new tokens.",
            ) from None

    def add(
        self, name: str, scopes: Sequence[Scope], *, lifetime: float | None = None
    ) -> tuple[str, TokenRecord]:
        """A new token, and what is kept of it.

        Args:
            lifetime: Seconds after which it is of no use; None for one that stays.
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
                    "there is a token of that name already"
                    if name != LOCAL.name
                    else "this is the name of those who need no token",
                    given=name,
                    hint=f"Choose another name, or `nodegraph token rotate {name}`."
                    if name != LOCAL.name
                    else "Choose another name.",
                )
            made = _create_token(name, frozenset(scopes), now, lifetime)
            tokens.append(made[1])
        return made

    def put(self, name: str, scopes: Sequence[Scope], text: str) -> TokenRecord:
        """Have a token that was made elsewhere stand for a name, in place of any other of it.

        Nothing changes if it does so already, so that this can be done at each start.

        Raises:
            InvalidValue: It is no token, stands for another name, or the name is none.
            InvalidFile, OutputError: The file can't be read or written.
        """
        token_parts = split_token(text)
        if token_parts is None or name == LOCAL.name:
            raise InvalidValue(
                "this is no token"
                if token_parts is None
                else "this is the name of those without one",
                expected="ng_, 12 hexadecimal digits, _ and 48 more"
                if token_parts is None
                else None,
                hint="`nodegraph token add` makes one." if token_parts is None else None,
            )
        public, secret = token_parts
        with self._changing() as tokens:
            known = next((token for token in tokens if token.id == public), None)
            if known is not None and known.name != name:
                raise InvalidValue("this token stands for another name", given=known.name)
            if known is not None and known.accepts(secret) and known.scopes == frozenset(scopes):
                made = known
            else:
                made = _checked(
                    name, record_of, public, secret, name, frozenset(scopes), self._clock()
                )
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
        """A new token in place of the one of a name, with its scopes and its end.

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
            made = _create_token(name, last.scopes, now, lasting)
            kept = [token for token in tokens if token.name != name]
            if grace > 0:
                kept += [_ending(token, now + grace) for token in current]
            tokens[:] = [*kept, made[1]]
        return made

    @contextmanager
    def _changing(self) -> Iterator[list[TokenRecord]]:
        """The tokens, written back after the block if it raised nothing; one process at a time."""
        try:
            make_private_folder(self.path.parent)
        except OSError as error:
            raise OutputError(f"can't change {self.path}: {error.strerror or error}") from error
        # Beside the file itself, so that all who share it by links take turns by one lock.
        there = self.path.resolve()
        if not there.parent.is_dir():  # never made: what isn't mounted must be noticed
            raise OutputError(f"can't change {self.path}: there is no {there.parent}")
        with exclusive_lock(there.with_name(f"{there.name}-lock"), str(self.path)):
            try:
                tokens = self._content()
            except FileNotFoundError:
                tokens = []
            yield tokens
            now = self._clock()
            document = _Document(tokens=[each for each in tokens if not each.is_expired(now)])
            write_file(self.path, document.model_dump_json(indent=2).encode(), private=True)


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
            "this can't be a token's name",
            given=name,
            expected=f"1 to {LARGEST_NAME} letters, digits and . _ -, a letter or digit first",
        ) from None


def _ending(token: TokenRecord, at: float) -> TokenRecord:
    expires = at if token.expires is None else min(at, token.expires)
    return token.model_copy(update={"expires": expires})


def _unknown(name: str, tokens: Sequence[TokenRecord]) -> InvalidValue:
    names = [token.name for token in tokens]
    return InvalidValue(
        "there is no token of that name", given=name, hint=did_you_mean(name, names) or None
    )
