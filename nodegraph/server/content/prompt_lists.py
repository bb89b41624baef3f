"""What each client keeps for prompts: styles, lists of tags, options; under the home folder."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from threading import RLock
from typing import Any

from nodegraph.core.digests import digest_bytes
from nodegraph.core.suggest import did_you_mean
from nodegraph.core.text_format import format_size
from nodegraph.errors import InvalidFile, OutputError
from nodegraph.server.content.files.safe_files import ConfinedFolder, check_name, client_folder
from nodegraph.server.http.errors import NotFound, TooLarge

FOLDER = "prompt_lists"
"""In the home folder."""
LARGEST_TAG_LIST = 64 << 20
"""Bytes. The largest published lists have a few megabytes."""
LARGEST_STYLES = 4 << 20
MOST_TAG_LISTS = 50
MOST_STYLES = 5_000
_MOST_TAGS = 1_000_000
_LONGEST_NAME = 200
_LONGEST_PIECE = 20_000
_STYLES = "styles.json"
_TAGS = "tags"
_OPTIONS = "options.json"
_LARGEST_OPTIONS = 1 << 20
_PROMPT = ("prompt", "text")
_NEGATIVE = ("negative_prompt", "negative prompt", "negative")
_SHOWN = 60


@dataclass(frozen=True, slots=True)
class Style:
    """Pieces of text around a prompt and a negative prompt; ``{prompt}`` stands for the prompt."""

    name: str
    prompt: str = ""
    negative_prompt: str = ""


@dataclass(frozen=True, slots=True)
class TagList:
    """A list of tags as it is listed.

    Attributes:
        tags: Number of tags.
        bytes: Size of its text.
        digest: blake3 of its text.
    """

    name: str
    tags: int
    bytes: int
    digest: str


class PromptLists:
    """The styles and tag lists of all clients; safe to use from several threads.

    Args:
        folder: Has a folder for each client, named by a digest, as names of clients may be any.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = ConfinedFolder(folder)
        self._lock = RLock()

    def styles(self, client: str) -> Sequence[Style]:
        """Return the styles of a client in their order; none of a damaged file.

        Raises:
            OutputError: The file cannot be read now. Nobody takes that for no styles, and saves it.
        """
        try:
            data = self._folder.read(client_folder(client), _STYLES, limit=2 * LARGEST_STYLES)
            return [Style(**each) for each in json.loads(data)]
        except FileNotFoundError:
            return ()
        except OSError as error:
            raise OutputError(f"the styles cannot be read: {error.strerror or error}") from error
        except (ValueError, TypeError):
            return ()

    def put_styles(self, client: str, styles: Sequence[Style]) -> Sequence[Style]:
        """Replace the styles of a client. Of several with one name the last one counts.

        Raises:
            InvalidFile: A style has no name or is too long; the message names its row.
            TooLarge: There are too many.
        """
        for row, style in enumerate(styles, 1):
            _check_style(style, f"style {row}")
        kept = list({style.name: style for style in styles}.values())
        data = json.dumps([asdict(style) for style in kept], ensure_ascii=False).encode()
        if len(kept) > MOST_STYLES or len(data) > LARGEST_STYLES:
            raise TooLarge(
                "there are too many styles",
                given=f"{len(kept):,} styles, {format_size(len(data))}",
                expected=f"at most {MOST_STYLES:,}, and {format_size(LARGEST_STYLES)}",
            )
        with self._lock:
            self._folder.write(data, client_folder(client), _STYLES)
        return kept

    def options(self, client: str) -> Mapping[str, Any]:
        """Return the options that a client keeps for AUTOMATIC1111's API; none of a damaged file.

        Raises:
            OutputError: The file cannot be read now.
        """
        try:
            options = json.loads(
                self._folder.read(client_folder(client), _OPTIONS, limit=_LARGEST_OPTIONS)
            )
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise OutputError(f"the options cannot be read: {error.strerror or error}") from error
        except ValueError:
            return {}
        return options if isinstance(options, dict) else {}

    def change_options(self, client: str, changes: Mapping[str, Any]) -> None:
        """Change some options of a client."""
        with self._lock:
            options = {**self.options(client), **changes}
            self._folder.write(json.dumps(options).encode(), client_folder(client), _OPTIONS)

    def tag_lists(self, client: str) -> Sequence[TagList]:
        """Return the tag lists of a client, sorted by name."""
        names = self._folder.names(client_folder(client), _TAGS)
        entries = (
            self._entry(client, name.removesuffix(".csv")) for name in names if _is_list(name)
        )
        return [entry for entry in entries if entry is not None]

    def _entry(self, client: str, name: str) -> TagList | None:
        try:
            data = self._folder.read(
                client_folder(client), _TAGS, f"{name}.csv", limit=LARGEST_TAG_LIST
            )
        except OSError:
            return None
        # Checked when it was saved, so a line is a tag or the titles.
        lines = data.count(b"\n") + (not data.endswith(b"\n"))
        return TagList(name, lines, len(data), str(digest_bytes(data)))

    def tag_list(self, client: str, name: str) -> bytes:
        """Return the text of a tag list.

        Raises:
            NotFound: The client has none of this name.
        """
        check_name(name)
        try:
            return self._folder.read(
                client_folder(client), _TAGS, f"{name}.csv", limit=LARGEST_TAG_LIST
            )
        except OSError:
            names = [entry.name for entry in self.tag_lists(client)]
            raise NotFound(
                "there is no such tag list",
                given=ascii(name[:_SHOWN]),
                hint=did_you_mean(name, names) if names else None,
            ) from None

    def put_tag_list(self, client: str, name: str, data: bytes) -> TagList:
        """Save a tag list in place of one of this name.

        Raises:
            InvalidFile: A row is not a tag; the message names it.
            InvalidValue: It is not a valid name.
            TooLarge: It is too large, or the client has too many.
        """
        check_name(name)
        tags = list(read_tags(data, name))
        with self._lock:
            names = self._folder.names(client_folder(client), _TAGS)
            if f"{name}.csv" not in names and len(names) >= MOST_TAG_LISTS:
                raise TooLarge(
                    "there are too many tag lists",
                    expected=f"at most {MOST_TAG_LISTS}",
                    hint="Delete one first.",
                )
            # Written anew, so that each tag is one line, however the file was quoted.
            text = io.StringIO()
            csv.writer(text, lineterminator="\n").writerows(tags)
            written = text.getvalue().encode()
            self._folder.write(written, client_folder(client), _TAGS, f"{name}.csv")
        return TagList(name, len(tags), len(written), str(digest_bytes(written)))

    def delete_tag_list(self, client: str, name: str) -> None:
        """Delete a tag list.

        Raises:
            NotFound: The client has none of this name.
        """
        self.tag_list(client, name)
        with self._lock:
            self._folder.remove(client_folder(client), _TAGS, f"{name}.csv")


def _is_list(name: str) -> bool:
    return name.endswith(".csv") and not name.startswith(".")


def read_tags(data: bytes, name: str) -> Iterator[tuple[str, str, int, str]]:
    """Yield the tags of a CSV file: name, category, count, aliases with commas between them.

    The rows are those of a1111-tagcomplete: ``name,category,count,"alias,alias"``. The category and
    the aliases may be missing. A first row of titles is skipped.

    Raises:
        InvalidFile: A row is not a tag, or there are none.
        TooLarge: There are too many.
    """
    count = 0
    for number, row in _rows(data, name):
        tag = _read_tag(row)
        if tag is None:
            if number == 1 and len(row) > 1 and not any(each.strip().isdecimal() for each in row):
                continue
            raise InvalidFile(
                f"{name}, row {number}: this is not a tag",
                given=ascii(",".join(row)[:_SHOWN]),
                expected="name, category, count and aliases, or name and count",
            )
        count += 1
        if count > _MOST_TAGS:
            raise TooLarge(f"{name} has too many tags", expected=f"at most {_MOST_TAGS:,}")
        yield tag
    if not count:
        raise InvalidFile(f"{name} has no tags", expected="rows of name, category, count, aliases")


def _read_tag(row: Sequence[str]) -> tuple[str, str, int, str] | None:
    name = " ".join(row[0].split())
    if not name or len(name) > _LONGEST_NAME:
        return None
    # The count is behind the category; where no category is, it is the second column.
    at = next((at for at in (2, 1) if at < len(row) and _is_count(row[at])), None)
    if at is None:
        return None
    aliases = row[at + 1] if at + 1 < len(row) else ""
    plain = ",".join(alias for alias in map(str.strip, aliases.split(",")) if alias)
    return name, row[1].strip() if at == 2 else "0", int(row[at]), plain[:_LONGEST_PIECE]


def _is_count(text: str) -> bool:
    plain = text.strip()
    return plain.isascii() and plain.isdecimal() and len(plain) <= 15


def read_styles(data: bytes, name: str = "styles.csv") -> Sequence[Style]:
    """Return the styles of a CSV file of A1111.

    The columns ``name``, ``prompt`` and ``negative_prompt`` may have any order. Rows without
    prompts are headings of A1111's list, and skipped.

    Raises:
        InvalidFile: A column or a name is missing, or a text is too long, with the row.
    """
    rows = _rows(data, name)
    titles = [title.strip().lower() for title in next(rows, (1, []))[1]]
    columns = [
        next((titles.index(each) for each in names if each in titles), -1)
        for names in (("name",), _PROMPT, _NEGATIVE)
    ]
    missing = next((("name", "prompt")[at] for at in (0, 1) if columns[at] < 0), None)
    if missing is not None:
        raise InvalidFile(
            f"{name}, row 1: there is no column `{missing}`",
            given=ascii(", ".join(titles)[:_SHOWN]),
            expected="name, prompt, negative_prompt",
        )
    styles = []
    for number, row in rows:
        cells = [row[at] if 0 <= at < len(row) else "" for at in columns]
        style = Style(cells[0].strip(), cells[1], cells[2])
        if style.prompt.strip() or style.negative_prompt.strip():
            _check_style(style, f"{name}, row {number}")
            styles.append(style)
    return styles


def _check_style(style: Style, where: str) -> None:
    if not style.name.strip() or len(style.name) > _LONGEST_NAME:
        raise InvalidFile(
            f"{where}: the name is {'too long' if style.name.strip() else 'missing'}",
            given=ascii(style.name[:_SHOWN]),
            expected=f"1 to {_LONGEST_NAME} characters",
        )
    longest = max(len(style.prompt), len(style.negative_prompt))
    if longest > _LONGEST_PIECE:
        raise InvalidFile(
            f"{where}: the text of `{style.name[:_SHOWN]}` is too long",
            given=f"{longest:,} characters",
            expected=f"at most {_LONGEST_PIECE:,}",
        )


def _rows(data: bytes, name: str) -> Iterator[tuple[int, list[str]]]:
    """The rows of a CSV file that are not empty, numbered from 1.

    Raises:
        InvalidFile: It is not UTF-8, or a row is broken.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise InvalidFile(f"{name}, row {line}: the text is not UTF-8") from None
    if "\0" in text:
        line = text[: text.index("\0")].count("\n") + 1
        raise InvalidFile(f"{name}, row {line}: the text contains a NUL character")
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    number = 0
    while True:
        number += 1
        try:
            row = next(reader, None)
        except csv.Error as error:
            raise InvalidFile(f"{name}, row {number}: {error}") from None
        if row is None:
            return
        if any(cell.strip() for cell in row):
            yield number, row
