"""What a server calls the places that it works with when it speaks to clients."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from nodegraph.core.uploads import upload_reference
from nodegraph.errors import Problem

_END = r"(?![\w.-])"
_UPLOADED = r"[/\\]+([0-9a-f]{64})\.[a-z0-9]+"


class PathRedactor:
    """Replaces paths in texts by names, as where things lie is nobody's business.

    Args:
        folders: By the name to say instead. The longer a path, the sooner it is looked for.
        uploads: Whose files are called as workflows call them.
        database: Address that errors name; what follows it is what that server says of itself.
    """

    def __init__(
        self,
        folders: Mapping[str, Path],
        uploads: Path | None = None,
        *,
        database: str | None = None,
    ) -> None:
        self._names = {
            text: name
            for name, folder in folders.items()
            for path in (folder.absolute(), folder.resolve())
            # Nothing is hidden by another word for the root, and much spoiled.
            if len(path.parts) > 1
            for text in (str(path), ascii(str(path))[1:-1])
        }
        longest_first = sorted(self._names, key=len, reverse=True)
        self._folder = re.compile(f"({'|'.join(map(re.escape, longest_first))}){_END}")
        self._upload = None
        if uploads is not None:
            roots = map(re.escape, (str(uploads), ascii(str(uploads))[1:-1]))
            self._upload = re.compile(f"(?:{'|'.join(roots)}){_UPLOADED}")
        self._database = None
        if database is not None:
            around = rf"(?: at)? {re.escape(database)}( [^:]*)?(?::.*)?"
            self._database = re.compile(around, re.DOTALL)

    def redact(self, text: str) -> str:
        """A text without the paths, and without what the database says."""
        if self._database is not None:
            text = self._database.sub(lambda match: match[1] or "", text)
        if self._upload is not None:
            text = self._upload.sub(lambda match: upload_reference(match[1]), text)
        return self._folder.sub(lambda match: self._names[match[1]], text)

    def redact_json(self, value: Any) -> Any:
        """The same of all texts in a value of JSON."""
        if isinstance(value, str):
            return self.redact(value)
        if isinstance(value, Mapping):
            return {key: self.redact_json(item) for key, item in value.items()}
        return (
            [self.redact_json(item) for item in value]
            if isinstance(value, (list, tuple))
            else value
        )

    def redact_problem(self, problem: Problem) -> Problem:
        """The same of a problem."""
        texts = {field.name: getattr(problem, field.name) for field in fields(problem)}
        return replace(problem, **{name: self.redact_json(text) for name, text in texts.items()})
