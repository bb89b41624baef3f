"""The node types of the installed packs, for graphs and calls that have no session of their own."""

from __future__ import annotations

from threading import Lock

from nodegraph.packs.registry import Registry
from nodegraph.session.node_types import NodeTypes
from nodegraph.session.settings import Settings, load_settings


class InstalledTypes:
    """Those that the settings in force lead to, kept from one question to the next."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._settings: Settings | None = None
        self._types: NodeTypes | None = None

    def read(self) -> NodeTypes:
        """As settings and packs are now."""
        settings = load_settings()
        with self._lock:
            if self._types is None or settings != self._settings:
                self._types, self._settings = NodeTypes(settings), settings
            self._types.refresh()
            return self._types

    @property
    def registry(self) -> Registry:
        """As `read`, for a single question."""
        return self.read().registry


INSTALLED = InstalledTypes()
"""Of this process."""
