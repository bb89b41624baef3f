"""What people read is plain: short sentences, no words of a private dialect, no spelling mistakes.

Figures of a page may only fall. `python -m tests.test_prose` prints what is left of each page, with
its lines.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MOST_WORDS = 35
"""Of a sentence."""
BANNED = re.compile(
    r"\b(whoever|whatever|is told|are told|tells? of|heeds?|goes on|go on|comes? along|came along"
    r"|all the same|but for|as it stands|nobody|somebody|anybody|of its own accord)\b",
    re.IGNORECASE,
)
GENERATED = {"docs/cli.md", "docs/model-card.md", "docs/node-reference.md"}
"""Pages that are made of the code: to change what they say, change the code."""
REFERENCE = sorted(f"docs/reference/{path.name}" for path in (ROOT / "docs/reference").glob("*.md"))
PAGES = [
    "README.md",
    "CONTRIBUTING.md",
    *sorted(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md")),
    *REFERENCE,
]
LEFT: dict[str, tuple[int, int]] = {
    "docs/model-card.md": (19, 0),
    "docs/reference/conditioning.md": (1, 0),
    "docs/reference/number.md": (1, 0),
    "docs/reference/text-prompt.md": (1, 0),
}
"""Long sentences and banned words that pages still have."""


def sentences(page: str) -> Iterator[str]:
    """The sentences of a page's paragraphs and lists, without code, headings and tables."""
    text = (ROOT / page).read_text(encoding="utf-8")
    text = re.sub(r"```.*?```|<!--.*?-->|<a id=[^>]*></a>", "", text, flags=re.DOTALL)
    for paragraph in re.split(r"\n\s*\n|\n(?=\s*(?:[-*]|\d+\.) )", text):
        lines = [
            line for line in paragraph.splitlines() if not re.match(r"\s*(#|\||!\[|    )", line)
        ]
        joined = " ".join(line.strip() for line in lines)
        joined = re.sub(r"^([-*]|\d+\.) ", "", joined)
        joined = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", re.sub(r"`[^`]*`", "X", joined))
        yield from filter(None, re.split(r"(?<=[.!?:])\s+(?=[A-Z*\"“(]|nodegraph)", joined))


def left(page: str) -> tuple[list[str], list[str]]:
    """The long sentences of a page, and its sentences with banned words."""
    found = list(sentences(page))
    return (
        [sentence for sentence in found if len(sentence.split()) > MOST_WORDS],
        [sentence for sentence in found if BANNED.search(sentence)],
    )


@pytest.mark.parametrize("page", PAGES)
def test_sentences_are_short_and_plain(page: str) -> None:
    long, banned = left(page)
    allowed = LEFT.get(page, (0, 0))
    assert (len(long), len(banned)) == allowed, (
        f"{page} may have {allowed[0]} sentences of more than {MOST_WORDS} words and {allowed[1]} "
        f"with banned words; if there are fewer, lower the figures in LEFT: {long} {banned}"
    )


def test_each_page_says_what_kind_of_page_it_is() -> None:
    """Tutorial, how-to, reference or explanation, as a comment below its title."""
    kinds = re.compile(r"\A# .+\n<!-- kind: (tutorial|how-to|reference|explanation) -->\n")
    made = {*GENERATED, *REFERENCE}
    pages = [page for page in PAGES if page.startswith("docs/") and page not in made]
    unsorted = [
        page for page in pages if not kinds.match((ROOT / page).read_text(encoding="utf-8"))
    ]
    assert unsorted == []


def test_nothing_is_misspelt() -> None:
    folders = ["docs", "nodegraph", "nodes", "pipelines", "benchmarks", "training"]
    _check_spelling("README.md", "CONTRIBUTING.md", *folders)


def test_docs_have_american_spelling() -> None:
    # Names in code, some of them released.
    names = "cancelled,cancelling,catalogue,neighbours,optimiser,prioritise,recognises"
    dictionaries = "--builtin=clear,rare,en-GB_to_en-US"
    # The model's vocabulary has a doughnut.
    pages = [page for page in PAGES if page not in (*REFERENCE, "docs/model-card.md")]
    _check_spelling(dictionaries, f"--ignore-words-list={names}", *pages)


def _check_spelling(*arguments: str) -> None:
    command = [sys.executable, "-m", "codespell_lib", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


if __name__ == "__main__":
    for each in PAGES:
        long_ones, banned_ones = left(each)
        sys.stdout.write(f'    "{each}": ({len(long_ones)}, {len(banned_ones)}),\n')
        for line in (*long_ones, *banned_ones) if "-v" in sys.argv else ():
            sys.stdout.write(f"        {line}\n")
