"""What isn't there any more, though it was listed."""

from __future__ import annotations

from nodegraph.server.http.errors import Refused


class Gone(Refused):
    """A file that was changed, moved or deleted since it was listed."""

    code = "gone"
    status = 410
