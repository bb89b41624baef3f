"""Which results belong together."""

from __future__ import annotations

from nodegraph.core.keys import Key
from nodegraph.store.store import Store


def keys_of_run(store: Store, run: str) -> list[Key]:
    """Keys of what a run computed, not of what it found computed already.

    Args:
        run: Its whole id.
    """
    store.flush()
    with store.index.reading() as connection:
        rows = connection.execute("SELECT key FROM entries WHERE run = ?", (run,)).fetchall()
    return [key.hex() for (key,) in rows]
