"""Texts: constants, templates, parts, patterns, files."""

from __future__ import annotations

import json
from itertools import islice
from typing import Annotated, Any, Literal

from nodegraph import Advanced, Context, File, InvalidValue, Multiline, Range, node
from nodegraph.core.patterns import compile_pattern, search_with_timeout

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
    """A text, for several inputs at once.

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
    """Put values into a text: {a} is the value of the input a, {a:.2f} a number with two digits.

    Args:
        template: The text. {a:04d} writes a number with four digits; {{ is a plain bracket.
        a, b, c, d, e, f: What comes into its places: texts, numbers, true or false;
            with a list the node runs for each item. ToText makes a text of anything else.
    """
    return fill_template(template, {"a": a, "b": b, "c": c, "d": d, "e": e, "f": f})


@node(
    category="text",
    tags=("concat", "append", "combine", "string", "list", "StringConcatenate", "join strings"),
)
def JoinTexts(texts: list[str], separator: str = ", ") -> str:
    r"""Put texts together, one after the other.

    Args:
        texts: Those of a List, say.
        separator: What stands between them; \n is a line break, \t a tab.
    """
    return join_texts(texts, separator_of(separator))


@node(category="text", tags=("string", "list", "separate", "csv", "words"))
def SplitText(
    text: str, separator: str = ",", trim: bool = True, keep_empty: bool = False
) -> list[str]:
    r"""Cut a text into parts.

    Args:
        text: The text.
        separator: What stands between the parts; \n is a line break, \t a tab. Empty: any space.
        trim: Whether space around each part is left out.
        keep_empty: Whether empty parts are kept.
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
    r"""Put another text in place of what is found in a text.

    Args:
        text: The text.
        find: What to look for.
        replacement: What comes in its place, each time; of a pattern, \1 is its first group.
        regex: Whether what is looked for is a pattern (a regular expression).
        ignore_case: Whether capitals count as small letters.
        most: How many are replaced, from the first on; 0 for all.
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
            f"names a group that isn't there: {fault}", port="replacement", given=replacement[:60]
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
    """Find all parts of a text that a pattern (a regular expression) matches.

    Args:
        text: The text.
        pattern: Such as [0-9]+ for numbers.
        group: Of each match, what stands within its so many brackets; 0 is the whole.
        ignore_case: Whether capitals count as small letters.
        most: How many are found, from the first on; 0 for all.
    """
    wanted = compile_pattern(pattern, port="pattern", ignore_case=ignore_case)
    if group > wanted.groups:
        raise InvalidValue(
            "the pattern has fewer brackets",
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
    """Whether a text is, contains, starts or ends with another one, or matches a pattern.

    Args:
        text: The text.
        how: How they are compared; matches takes the other one as a regular expression.
        other: What it is compared with.
        ignore_case: Whether capitals count as small letters.
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
    """Write a text in small letters, in capitals, or with capitals where words or sentences begin.

    Args:
        text: The text.
        to: How; sentence makes the first letter a capital and leaves the others.
        trim: Whether space at its ends is left out, and several spaces become one.
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
    """Read a part of a JSON text: a text, a number, true or false, or a list of such.

    Args:
        text: JSON.
        path: Which part, such as images[0].seed; empty for the whole.
        missing: What a part that isn't there is: an error, or an empty text.
    """
    try:
        picked_value = get_json_part(json.loads(text), path.strip())
    except (InvalidValue, ValueError, RecursionError) as error:
        if missing == "empty":
            return ""
        if isinstance(error, InvalidValue):
            raise
        raise InvalidValue(f"is no JSON: {error}", port="text", given=text[:60]) from None
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
    """Read a text from a file.

    Args:
        path: In UTF-8; relative paths start from the inputs folder.
    """
    environment = ctx.environment
    return read_text(
        resolve_text_path(environment.inputs, path), names=environment.readable is None
    )


@node(version=2, category="text", tags=("convert", "string", "cast", "number"))
def ToText(value: Any, digits: Annotated[int, Range(-1, 15)] = -1) -> str:
    """Any value as a text: of pictures and latents their size and statistics.

    Args:
        value: Of a list each item becomes a line.
        digits: Of a number, how many after the point; -1 for as many as it has.
    """
    if digits >= 0 and isinstance(value, (int, float)) and not isinstance(value, bool):
        return f"{value:.{digits}f}"
    return value_text(value, "\n")
