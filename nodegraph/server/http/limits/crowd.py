"""All connections of a server: how many each address has, and which of them go for new ones."""

from __future__ import annotations

from collections.abc import Container
from typing import Protocol

from nodegraph.server.access.rates import network

SPARE = 32


class Member(Protocol):
    """A connection."""

    @property
    def is_idle(self) -> bool:
        """Whether nothing goes on but for what the client has yet to send."""

    def close_for_other(self) -> None:
        """End at once."""


class ConnectionLimiter:
    """Keeps places free: who has most connections that only wait loses the oldest of those.

    So nobody is kept out by others that send half of something, or nothing; from their own address
    neither. On one event loop.

    Args:
        most: Connections at a time.
        most_of_address: The same of one address.
        exempt: Addresses of proxies, which bring many clients.
    """

    def __init__(self, most: int, most_of_address: int, exempt: Container[str] = ()) -> None:
        self._most = most
        self._most_of_address = most_of_address
        self._exempt = exempt
        # The oldest ones first.
        self._of: dict[str, dict[Member, None]] = {}
        self._count = 0
        self._spare: dict[Member, None] = {}

    def enter(self, member: Member, address: str) -> bool:
        """A connection is made; False if there is no place for it but a spare one.

        Those are few, for who asks whether the server lives: the oldest gives way to the newest.
        """
        whose = network(address)
        own = self._of.setdefault(whose, {})
        own[member] = None
        self._count += 1
        has_place = True
        if len(own) > self._most_of_address and address not in self._exempt:
            has_place = self._make_room((whose,), member)
        if has_place and self._count > self._most:
            most_first = sorted(self._of, key=lambda each: len(self._of[each]), reverse=True)
            has_place = self._make_room(most_first, member)
        if not has_place:
            self.leave(member, address)
            self._spare[member] = None
            if len(self._spare) > SPARE:
                oldest = next(iter(self._spare))
                del self._spare[oldest]
                oldest.close_for_other()
        return has_place

    def leave(self, member: Member, address: str) -> None:
        """A connection has ended, or is no longer this member's."""
        self._spare.pop(member, None)
        whose = network(address)
        own = self._of.get(whose, {})
        if member in own:
            del own[member]
            self._count -= 1
            if not own:
                del self._of[whose]

    def _make_room(self, addresses: list[str] | tuple[str], newest: Member) -> bool:
        for address in addresses:
            for member in self._of[address]:
                if member is not newest and member.is_idle:
                    self.leave(member, address)
                    member.close_for_other()
                    return True
        return False
