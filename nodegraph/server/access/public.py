"""What is answered to anybody who can reach the server, without a token."""

from __future__ import annotations

from nodegraph.server.http.limits.body import LOGIN

LOGOUT = "/logout"
ICON = "/favicon.svg"
"""What stands beside the title of each page; of the one for logging in, too."""
ICONS = (ICON, "/favicon.ico")
"""The second one is asked for by browsers that show what is no page, such as a picture."""
HEALTH = frozenset({b"/healthz", b"/readyz"})
"""What tells whether the server lives and is of use, however much else it has to do."""
PUBLIC = frozenset({"/healthz", "/readyz", LOGIN, LOGOUT, *ICONS})
"""Paths that tell nothing: probes ask for them, and whoever has yet to say who they are."""
