"""Texts: constants, templates, parts, patterns, files."""

from __future__ import annotations

import json
from itertools import islice
from typing import Annotated, Any, Literal

from nodegraph import Advanced, Context, File, InvalidValue, Multiline, Range, node
from nodegraph.core.patterns import compile_pattern, search_with_timeout

from ._credentials import warn_if_changed
from ._facts import image_state
from ._texts import (
    check_part_count,
    check_pattern,
    check_template,
    check_text_file,
    fill_template,
    get_json_part,
    join_texts,
    read_text,
    replace_text,
    resolve_text_path,
    separator_of,
    substitute_matches,
    value_text,
)


@node(
    id="Text",
    category="text",
    tags=("constant", "string", "primitive", "multiline", "prompt", "PrimitiveNode"),
)
def ConstantText(text: Annotated[str, Multiline()] = "") -> str:
    """A text that can be linked to several inputs.

    Args:
        text: The text.
    """
    return text


@node(
    version=2,
    category="text",
    validate=check_template,
    tags=(
        "template",
        "string",
        "concat",
        "f-string",
        "interpolate",
        "placeholder",
        "StringConcatenate",
        "prompt styler",
        "styles",
    ),
)
def FormatText(
    template: Annotated[str, Multiline()] = "{a}, {b}",
    a: str | int | float | bool | None = None,
    b: str | int | float | bool | None = None,
    c: str | int | float | bool | None = None,
    d: str | int | float | bool | None = None,
    e: str | int | float | bool | None = None,
    f: str | int | float | bool | None = None,
) -> str:
    """Insert values into a text: {a} is the value of the input a, {a:.2f} a number with two
    decimals.

    Args:
        template: The text. {a:04d} writes a number with four digits. {{ is a plain bracket.
        a, b, c, d, e, f: Values to insert: texts, numbers, true or false. With a list the node runs
            for each item. Use ToText for other values.
    """
    return fill_template(template, {"a": a, "b": b, "c": c, "d": d, "e": e, "f": f})


@node(
    category="text",
    tags=("concat", "append", "combine", "string", "list", "StringConcatenate", "join strings"),
)
def JoinTexts(texts: list[str], separator: str = ", ") -> str:
    r"""Join texts into one.

    Args:
        texts: The texts, for example from a List.
        separator: Separator between the texts. \n is a line break, \t a tab.
    """
    return join_texts(texts, separator_of(separator))


@node(category="text", tags=("string", "list", "separate", "csv", "words"))
def SplitText(
    text: str, separator: str = ",", trim: bool = True, keep_empty: bool = False
) -> list[str]:
    r"""Split a text into parts.

    Args:
        text: The text.
        separator: Separator between the parts. \n is a line break, \t a tab. If empty, any
            whitespace.
        trim: Whether to remove whitespace around each part.
        keep_empty: Whether to keep empty parts.
    """
    parts = text.split(separator_of(separator) or None)
    trimmed = [part.strip() for part in parts] if trim else parts
    return check_part_count(part for part in trimmed if part or keep_empty)


@node(
    category="text",
    validate=check_pattern,
    tags=("substitute", "string", "regex", "find", "StringReplace", "prompt S/R"),
)
def ReplaceText(
    text: str,
    find: str,
    replacement: str = "",
    regex: bool = False,
    ignore_case: Annotated[bool, Advanced()] = False,
    most: Annotated[int, Range(0), Advanced()] = 0,
) -> str:
    r"""Replace text in a text.

    Args:
        text: The text.
        find: Text to find.
        replacement: Replacement for each match. With a regular expression, \1 is its first group.
        regex: Whether the text to find is a regular expression.
        ignore_case: Whether to ignore upper and lower case.
        most: Maximum number of replacements, from the start. 0 replaces all.
    """
    if not find:
        return text
    if not regex and not ignore_case and not most:
        return replace_text(text, find, replacement)
    from regex import error, escape

    pattern = compile_pattern(find if regex else escape(find), port="find", ignore_case=ignore_case)

    def by(match: Any) -> str:
        return str(match.expand(replacement)) if regex else replacement

    def search(limit: float) -> str:
        return substitute_matches(
            text, islice(pattern.finditer(text, timeout=limit), most or None), by
        )

    try:
        return search_with_timeout(search, "find")
    except (error, IndexError) as fault:
        raise InvalidValue(
            f"the replacement names a group that the pattern does not have: {fault}",
            port="replacement",
            given=replacement[:60],
        ) from None


@node(
    category="text",
    validate=check_pattern,
    tags=("regex", "extract", "match", "search", "list", "substring", "RegexExtract"),
)
def FindText(
    text: str,
    pattern: str,
    group: Annotated[int, Range(0, 99)] = 0,
    ignore_case: Annotated[bool, Advanced()] = False,
    most: Annotated[int, Range(0), Advanced()] = 0,
) -> list[str]:
    """Find all matches of a regular expression in a text.

    Args:
        text: The text.
        pattern: Regular expression, for example [0-9]+ for numbers.
        group: Number of the capture group to return. 0 is the whole match.
        ignore_case: Whether to ignore upper and lower case.
        most: Maximum number of matches, from the start. 0 returns all.
    """
    wanted = compile_pattern(pattern, port="pattern", ignore_case=ignore_case)
    if group > wanted.groups:
        raise InvalidValue(
            "the pattern has fewer groups",
            port="group",
            given=str(group),
            expected=f"0 to {wanted.groups}",
        )

    def search(limit: float) -> list[Any]:
        return check_part_count(islice(wanted.finditer(text, timeout=limit), most or None))

    matches = search_with_timeout(search, "pattern")
    return [match.group(group) or "" for match in matches]


@node(category="text", validate=check_pattern, tags=("if", "condition", "equal", "string", "regex"))
def CompareTexts(
    text: str,
    how: Literal["is", "contains", "starts with", "ends with", "matches"] = "contains",
    other: str = "",
    ignore_case: bool = True,
) -> bool:
    """Test if a text equals, contains, starts or ends with another text, or matches a pattern.

    Args:
        text: The text.
        how: The comparison. matches uses the other text as a regular expression.
        other: The text to compare with.
        ignore_case: Whether to ignore upper and lower case.
    """
    if how == "matches":
        pattern = compile_pattern(other, port="other", ignore_case=ignore_case)
        return search_with_timeout(
            lambda limit: pattern.search(text, timeout=limit) is not None, "other"
        )
    first, second = (text.casefold(), other.casefold()) if ignore_case else (text, other)
    if how == "is":
        return first == second
    if how == "contains":
        return second in first
    return first.startswith(second) if how == "starts with" else first.endswith(second)


@node(category="text", tags=("upper", "lower", "capital", "title", "trim", "strip", "string"))
def ChangeCase(
    text: str,
    to: Literal["lower", "upper", "title", "sentence", "swapped"] = "lower",
    trim: bool = False,
) -> str:
    """Change a text to lower case, upper case, title case or sentence case.

    Args:
        text: The text.
        to: The case. sentence makes the first letter upper case and keeps the others.
        trim: Whether to remove spaces at both ends, and to reduce several spaces to one.
    """
    text = " ".join(text.split()) if trim else text
    if to == "sentence":
        return text[:1].upper() + text[1:]
    change = {"lower": str.lower, "upper": str.upper, "title": str.title, "swapped": str.swapcase}
    return change[to](text)


@node(category="text", tags=("json", "parse", "extract", "dictionary", "field", "metadata"))
def PickJson(
    text: Annotated[str, Multiline()],
    path: str = "",
    missing: Annotated[Literal["error", "empty"], Advanced()] = "error",
) -> Any:
    """Read part of a JSON text: a text, a number, true or false, or a list of these.

    Args:
        text: The JSON text.
        path: Path of the part, for example images[0].seed. Empty for the whole text.
        missing: What a missing part gives: an error, or an empty text.
    """
    try:
        picked_value = get_json_part(json.loads(text), path.strip())
    except (InvalidValue, ValueError, RecursionError) as error:
        if missing == "empty":
            return ""
        if isinstance(error, InvalidValue):
            raise
        raise InvalidValue(
            f"the text is not valid JSON: {error}", port="text", given=text[:60]
        ) from None
    return (
        json.dumps(picked_value, ensure_ascii=False)
        if isinstance(picked_value, dict)
        else picked_value
    )


@node(
    category="text",
    lane="io",
    validate=check_text_file,
    fingerprint=image_state,
    tags=("open", "read", "file", "txt", "prompts", "load prompts from file", "styles.csv"),
)
def LoadText(ctx: Context, path: Annotated[str, File("text")]) -> str:
    """Load a text from a file.

    Args:
        path: A file in UTF-8. Relative paths start from the inputs folder.
    """
    environment = ctx.environment
    file = resolve_text_path(environment.inputs, path)
    text = read_text(file, names=environment.readable is None)
    warn_if_changed(ctx, file)
    return text


@node(version=2, category="text", tags=("convert", "string", "cast", "number"))
def ToText(value: Any, digits: Annotated[int, Range(-1, 15)] = -1) -> str:
    """Convert any value to text. Images and latents are described by size and statistics.

    Args:
        value: Any value. Each item of a list becomes a line.
        digits: Number of decimals. -1 keeps all.
    """
    if digits >= 0 and isinstance(value, (int, float)) and not isinstance(value, bool):
        return f"{value:.{digits}f}"
    return value_text(value, "\n")
