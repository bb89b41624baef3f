"""Single flight across machines: a claim on this one, and a lease among all."""

from __future__ import annotations

from nodegraph.core.keys import Key
from nodegraph.store.claims import Claims
from nodegraph.store.remote.tier import RemoteTier


class LeasedClaims:
    """As `Claims`, but other machines are kept out, too, of what was asked for at the place.

    Args:
        claims: Those of this machine.
    """

    def __init__(self, claims: Claims, tier: RemoteTier) -> None:
        self._claims = claims
        self._tier = tier

    @property
    def is_shared(self) -> bool:
        """Whether other processes see these claims."""
        return True

    def try_claim(self, name: Key) -> bool:
        """Take a name, unless somebody has it. Asks the place: not for the event loop."""
        if not self._claims.try_claim(name):
            return False
        is_mine = False
        try:
            is_mine = self._tier.lease(name)
        finally:
            if not is_mine:
                self._claims.release(name)
        return is_mine

    def release(self, name: Key) -> None:
        """Give a name back; the lease ends once the result is at the place, if it goes there."""
        self._claims.release(name)
        self._tier.release(name)

    def is_held(self, name: Key) -> bool:
        """Whether anybody has a name, as far as is known here."""
        return self._claims.is_held(name) or self._tier.is_leased(name)
