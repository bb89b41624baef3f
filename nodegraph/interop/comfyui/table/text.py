"""Text: join, search, replace, show, save and generate."""

from __future__ import annotations

import re
from typing import Any

from nodegraph.interop.comfyui.entries import Choice, TableEntry, entry, same
from nodegraph.interop.comfyui.table.images import name_of, prefix_of
from nodegraph.interop.comfyui.table.parts import refuse_others
from nodegraph.interop.comfyui.translating import MadeOutput, Passage, Signal, Untranslatable

_LETTERS = "abcdef"
_JOINED = re.compile(r"\{a\}((?:[^{}]|\{\{|\}\})*)\{b\}")
_FLAGS = {"multiline": "m", "dotall": "s"}
_OWN_FLAGS = re.compile(r"\(\?(ms?|s)\)")
_REGEX = (
    'string: STRING = "", regex_pattern: STRING = "", case_insensitive: BOOLEAN = true, '
    "multiline: BOOLEAN = false, dotall: BOOLEAN = false"
)
_TEXT = {"STRING": "text"}


def _escaped(text: str) -> str:
    return text.replace("{", "{{").replace("}", "}}")


def _plain(template: str) -> str:
    return template.replace("{{", "{").replace("}}", "}")


def _concatenate(node: Passage) -> None:
    first, second, between = (node.inputs[name] for name in ("string_a", "string_b", "delimiter"))
    middle, more = "{c}", {"c": between}
    if not between.is_link:
        middle, more = _escaped(str(between.content)), {}
    name = node.add("FormatText", template=f"{{a}}{middle}{{b}}", a=first, b=second, **more)
    node.give("STRING", MadeOutput(name, "text"))


def _concatenate_back(node: Passage) -> None:
    template = node.literal("template")
    matched = _JOINED.fullmatch(template)
    with_middle = template == "{a}{c}{b}"
    if not (matched or with_middle):
        raise Untranslatable("its template has more than two texts with a separator")
    texts = {their: node.inputs[our] for their, our in _AB.items() if our in node.inputs}
    between = _plain(matched[1]) if matched else node.inputs["c"]
    name = node.add("StringConcatenate", **texts, delimiter=between)
    node.give("text", MadeOutput(name, "STRING"))


_AB = {"string_a": "a", "string_b": "b"}


def _format(node: Passage) -> None:
    values = {name.partition(".")[2]: node.inputs[name] for name in node.inputs if "." in name}
    beyond = sorted(set(values) - set(_LETTERS))
    if beyond:
        raise Untranslatable(f"FormatText has no input `{beyond[0]}`")
    name = node.add("FormatText", template=node.inputs["f_string"], **values)
    node.give("STRING", MadeOutput(name, "text"))


def _format_back(node: Passage) -> None:
    values: dict[str, Any] = {}
    for letter in _LETTERS:
        signal = node.inputs.get(letter)
        if signal is None or signal.content is None:
            continue
        if not signal.is_link:
            made = node.add("PrimitiveString", value=str(signal.content))
            signal = Signal(MadeOutput(made, "STRING"))
        values[f"values.{letter}"] = signal
    name = node.add("StringFormat", f_string=node.inputs["template"], **values)
    node.give("text", MadeOutput(name, "STRING"))


def _pattern(node: Passage) -> Any:
    """The pattern with the flags that aren't inputs here in front of it."""
    flags = "".join(flag for name, flag in _FLAGS.items() if node.literal(name))
    pattern = node.inputs["regex_pattern"]
    if not flags:
        return pattern
    node.keep(flags=flags)
    if not pattern.is_link:
        return f"(?{flags}){pattern.content}"
    return MadeOutput(node.add("FormatText", template=f"(?{flags}){{a}}", a=pattern), "text")


def _flags_back(node: Passage, port: str) -> dict[str, Any]:
    """The pattern and its flags, as the nodes there have them."""
    signal, on = node.inputs[port], ""
    pattern: Any = signal
    if not signal.is_link and node.kept.get("flags"):
        matched = _OWN_FLAGS.match(str(signal.content))
        if matched:
            on, pattern = matched[1], str(signal.content)[matched.end() :]
    flags = {name: flag in on for name, flag in _FLAGS.items()}
    return {
        "regex_pattern": pattern,
        "case_insensitive": node.inputs["ignore_case"],
        **flags,
    }


def _regex_replace(node: Passage) -> None:
    name = node.add(
        "ReplaceText",
        text=node.inputs["string"],
        find=_pattern(node),
        replacement=node.inputs["replace"],
        regex=True,
        ignore_case=node.inputs["case_insensitive"],
        most=node.inputs["count"],
    )
    node.give("STRING", MadeOutput(name, "text"))


def _replace_back(node: Passage) -> None:
    text, by = node.inputs["text"], node.inputs["replacement"]
    if node.literal("regex"):
        flags = _flags_back(node, "find")
        most = node.inputs["most"]
        name = node.add("RegexReplace", string=text, replace=by, **flags, count=most)
    else:
        refuse_others(node, {"ignore_case": False, "most": 0})
        name = node.add("StringReplace", string=text, find=node.inputs["find"], replace=by)
    node.give("text", MadeOutput(name, "STRING"))


def _extract(node: Passage) -> None:
    mode = str(node.literal("mode"))
    matches_node = node.add(
        "FindText",
        text=node.inputs["string"],
        pattern=_pattern(node),
        group=node.inputs["group_index"] if "Group" in mode else 0,
        most=1 if mode.startswith("First") else 0,
        ignore_case=node.inputs["case_insensitive"],
    )
    node.keep(group_index=node.inputs["group_index"].content)
    joined = node.add("JoinTexts", texts=MadeOutput(matches_node, "texts"), separator="\\n")
    node.give("STRING", MadeOutput(joined, "text"))


def _matches(node: Passage) -> None:
    name = node.add(
        "CompareTexts",
        text=node.inputs["string"],
        how="matches",
        other=_pattern(node),
        ignore_case=node.inputs["case_insensitive"],
    )
    node.give("matches", MadeOutput(name, "value"))


def _compare(node: Passage) -> None:
    _compare_as(node, _MODES.ours(node.literal("mode")), "string_a", "string_b", "BOOLEAN")


def _contains(node: Passage) -> None:
    _compare_as(node, "contains", "string", "substring", "contains")


def _compare_as(node: Passage, how: str, text: str, other: str, output: str) -> None:
    name = node.add(
        "CompareTexts",
        text=node.inputs[text],
        how=how,
        other=node.inputs[other],
        ignore_case=not node.literal("case_sensitive"),
    )
    node.give(output, MadeOutput(name, "value"))


def _compare_back(node: Passage) -> None:
    how, text, other = node.literal("how"), node.inputs["text"], node.inputs["other"]
    sensitive = not node.literal("ignore_case")
    if how == "matches":
        flags = _flags_back(node, "other")
        made = MadeOutput(node.add("RegexMatch", string=text, **flags), "matches")
    elif how == "contains":
        name = node.add("StringContains", string=text, substring=other, case_sensitive=sensitive)
        made = MadeOutput(name, "contains")
    else:
        name = node.add(
            "StringCompare",
            string_a=text,
            string_b=other,
            mode=_MODES.theirs(how),
            case_sensitive=sensitive,
        )
        made = MadeOutput(name, "BOOLEAN")
    node.give("value", made)


def _json(node: Passage) -> None:
    key = node.inputs["key"]
    name = node.add("PickJson", text=node.inputs["json_string"], path=key, missing="empty")
    node.give("STRING", MadeOutput(node.add("ToText", value=MadeOutput(name, "output")), "text"))


_AROUND = (
    "front view", "front-right quarter view", "right side view", "back-right quarter view",
    "back view", "back-left quarter view", "left side view", "front-left quarter view",
)  # fmt: skip
"""Words of the LoRA that turns the camera about an image for Qwen-Image-Edit 2511."""


def _camera(node: Passage) -> None:
    angle, height, zoom = (
        float(node.literal(name)) for name in ("horizontal_angle", "vertical_angle", "zoom")
    )
    view = _AROUND[round(angle / 45) % 8]
    heights = ("low-angle shot", "eye-level shot", "elevated shot", "high-angle shot")
    shot = heights[(height >= -15) + (height >= 15) + (height >= 45)]
    near = ("wide shot", "medium shot", "close-up")[(zoom >= 2) + (zoom >= 6)]
    name = node.add("Text", text=f"<sks> {view} {shot} {near}")
    node.tell(
        "nodegraph makes the camera position a part of the prompt's text, where it can be changed"
    )
    node.give("prompt", MadeOutput(name, "text"))


def _trim(node: Passage) -> None:
    mode = str(node.literal("mode"))
    pattern = {"Left": r"^\s+", "Right": r"\s+$"}.get(mode, r"^\s+|\s+$")
    name = node.add("ReplaceText", text=node.inputs["string"], find=pattern, regex=True)
    node.give("STRING", MadeOutput(name, "text"))


def _substring(node: Passage) -> None:
    bounds = {name: node.inputs[name] for name in ("start", "end")}
    name = node.add("CutText", text=node.inputs["string"], **bounds)
    node.give("STRING", MadeOutput(name, "text"))


def _substring_back(node: Passage) -> None:
    end = node.inputs.get("end")
    if end is None or end.content is None:
        node.tell("ComfyUI has no open end: the text is cut after 1,000,000 characters")
        end = Signal(1_000_000)
    text, start = node.inputs["text"], node.inputs["start"]
    name = node.add("StringSubstring", string=text, start=start, end=end)
    node.give("text", MadeOutput(name, "STRING"))


def _combo(node: Passage) -> None:
    options = [
        str(node.inputs[name].content)
        for name in sorted((n for n in node.inputs if n.startswith("option")), key=_option_number)
    ]
    shown = [option for option in options if option.strip()]
    choice = node.inputs["choice"]
    if not shown and not choice.is_link:
        shown = [str(choice.content)]
    node.keep(options=options)
    name = node.add("ChooseLine", lines="\n".join(shown), choice=choice)
    node.give("STRING", MadeOutput(name, "text"))
    node.give("INDEX", MadeOutput(name, "number"))


def _option_number(name: str) -> int:
    digits = name.removeprefix("option")
    return int(digits) if digits.isdecimal() else 0


def _combo_back(node: Passage) -> None:
    lines = [line.strip() for line in str(node.literal("lines")).splitlines() if line.strip()]
    choice = node.inputs["choice"]
    chosen = choice if choice.is_link else (choice.content or (lines[0] if lines else ""))
    at = lines.index(chosen) if isinstance(chosen, str) and chosen in lines else 0
    options = {f"option{number}": line for number, line in enumerate([*lines, ""], 1)}
    name = node.add("CustomCombo", choice=chosen, index=at, **options)
    node.give("text", MadeOutput(name, "STRING"))
    node.give("number", MadeOutput(name, "INDEX"))


def _show(node: Passage) -> None:
    node.add("ShowValue", value=node.inputs["source"])
    made = node.add("ToText", value=node.inputs["source"])
    node.give("STRING", MadeOutput(made, "text"))


def _show_back(node: Passage) -> None:
    node.add("PreviewAny", source=node.inputs["value"])


def _save(node: Passage) -> None:
    node.add("SaveText", text=node.inputs["text"], name=name_of(node), format=node.inputs["format"])
    node.give("text", node.inputs["text"])


def _save_back(node: Passage) -> None:
    name, form = prefix_of(node), node.inputs["format"]
    node.add("SaveText", text=node.inputs["text"], filename_prefix=name, format=form)


_DRAWN = (
    *("temperature", "top_k", "top_p", "min_p", "repetition_penalty", "presence_penalty", "seed"),
)


def _generate(node: Passage) -> None:
    if "video" in node.inputs:
        raise Untranslatable("nodegraph supports images and audio here, but no video")
    is_drawn = node.literal("sampling_mode") == "on"
    drawn = {name: node.inputs.get(f"sampling_mode.{name}") for name in _DRAWN}
    name = node.add(
        "GenerateText",
        encoder=node.inputs["clip"],
        prompt=node.inputs["prompt"],
        images=node.inputs.get("image"),
        audio=node.inputs.get("audio"),
        system=node.inputs.get("system_prompt"),
        max_tokens=node.inputs["max_length"],
        sampling=is_drawn,
        **(drawn if is_drawn else {}),
        thinking=node.inputs["thinking"],
        chat=node.inputs["use_default_template"],
    )
    node.give("generated_text", MadeOutput(name, "text"))


def _generate_back(node: Passage) -> None:
    more = {
        their: node.inputs[our]
        for their, our in (("image", "images"), ("audio", "audio"), ("system_prompt", "system"))
        if our in node.inputs and node.inputs[our].content not in (None, "")
    }
    is_drawn = node.literal("sampling")
    drawn = {f"sampling_mode.{name}": node.inputs[name] for name in _DRAWN if is_drawn}
    name = node.add(
        "TextGenerate",
        clip=node.inputs["encoder"],
        prompt=node.inputs["prompt"],
        max_length=node.inputs["max_tokens"],
        sampling_mode="on" if is_drawn else "off",
        **drawn,
        thinking=node.inputs["thinking"],
        use_default_template=node.inputs["chat"],
        **more,
    )
    node.give("text", MadeOutput(name, "generated_text"))


def _video_prompt(node: Passage) -> None:
    """A prompt for LTX-2. ComfyUI and nodegraph have different instructions for it."""
    unused = [name for name in ("image", "video", "audio") if name in node.inputs]
    if unused:
        node.tell(f"nodegraph rewrites the prompt without its {' and '.join(unused)}")
    node.tell("nodegraph has its own instructions for prompts of videos, so the text differs")
    drawn = {name: node.inputs.get(f"sampling_mode.{name}") for name in _DRAWN}
    is_drawn = node.inputs["sampling_mode"].content != "off"
    ignored = (*_DRAWN[1:], "thinking", "use_default_template")
    values = [
        (name, node.inputs.get(f"sampling_mode.{name}") or node.inputs.get(name))
        for name in ignored
    ]
    listed = ", ".join(f"`{name}` {value.content}" for name, value in values if value is not None)
    node.tell(f"the text is drawn by temperature and seed alone, without {listed}")
    length = node.inputs["max_length"]
    if not length.is_link:
        length = Signal(min(max(length.content, 16), 4096))
    names = ("seed", "temperature") if is_drawn else ()
    name = node.add(
        "EnhancePrompt",
        model=node.inputs["clip"],
        prompt=node.inputs["prompt"],
        style="video",
        instructions=node.inputs.get("system_prompt"),
        max_tokens=length,
        **{each: drawn[each] for each in names},
    )
    node.give("generated_text", MadeOutput(name, "text"))


_MODES = Choice({"Equal": "is", "Starts With": "starts with", "Ends With": "ends with"})
_CASES = Choice(
    {"UPPERCASE": "upper", "lowercase": "lower", "Capitalize": "sentence", "Title Case": "title"}
)
_OPTIONS = ", ".join(f'option{number}: STRING = ""' for number in range(1, 31))

_WRITING = (
    "max_length: INT = 512, "
    'sampling_mode: COMBO = "on", sampling_mode.temperature: FLOAT = 0.7 @when(on), '
    "sampling_mode.top_k: INT = 64 @when(on), sampling_mode.top_p: FLOAT = 0.95 @when(on), "
    "sampling_mode.min_p: FLOAT = 0.05 @when(on), "
    "sampling_mode.repetition_penalty: FLOAT = 1.05 @when(on), "
    "sampling_mode.seed: INT = 0 @when(on), "
    "sampling_mode.presence_penalty: FLOAT = 0.0 @when(on), thinking: BOOLEAN = false, "
    "use_default_template: BOOLEAN = true) -> generated_text: STRING, thinking: STRING"
)

ENTRIES: tuple[TableEntry, ...] = (
    entry(
        'StringConcatenate(string_a: STRING = "", string_b: STRING = "", '
        'delimiter: STRING = "") -> STRING',
        _concatenate,
        "FormatText",
        _concatenate_back,
    ),
    entry(
        'StringFormat(f_string: STRING = "", values.*: *?) -> STRING',
        _format,
        "FormatText",
        _format_back,
    ),
    same(
        'StringReplace(string: STRING = "", find: STRING = "", replace: STRING = "") -> STRING',
        "ReplaceText",
        {"string": "text", "replace": "replacement"},
        _TEXT,
    ),
    entry(
        'RegexReplace(string: STRING = "", regex_pattern: STRING = "", replace: STRING = "", '
        "case_insensitive: BOOLEAN = true, multiline: BOOLEAN = false, "
        "dotall: BOOLEAN = false, count: INT = 0) -> STRING",
        _regex_replace,
        "ReplaceText",
        _replace_back,
    ),
    entry(
        'RegexExtract(string: STRING = "", regex_pattern: STRING = "", '
        'mode: COMBO = "First Match", case_insensitive: BOOLEAN = true, '
        "multiline: BOOLEAN = false, dotall: BOOLEAN = false, group_index: INT = 1) -> STRING",
        _extract,
    ),
    entry(f"RegexMatch({_REGEX}) -> matches: BOOLEAN", _matches),
    entry(
        'StringCompare(string_a: STRING = "", string_b: STRING = "", '
        'mode: COMBO = "Starts With", case_sensitive: BOOLEAN = true) -> BOOLEAN',
        _compare,
        "CompareTexts",
        _compare_back,
    ),
    entry(
        'StringContains(string: STRING = "", substring: STRING = "", '
        "case_sensitive: BOOLEAN = true) -> contains: BOOLEAN",
        _contains,
    ),
    entry('StringTrim(string: STRING = "", mode: COMBO = "Both") -> STRING', _trim),
    same(
        'CaseConverter(string: STRING = "", mode: COMBO = "UPPERCASE") -> STRING',
        "ChangeCase",
        {"string": "text", "mode": "to"},
        _TEXT,
        choices={"mode": _CASES},
    ),
    same(
        'StringLength(string: STRING = "") -> length: INT',
        "TextLength",
        {"string": "text"},
        {"length": "number"},
    ),
    entry(
        'StringSubstring(string: STRING = "", start: INT = 0, end: INT = 0) -> STRING',
        _substring,
        "CutText",
        _substring_back,
    ),
    entry(
        "CameraAngle(image: IMAGE?, horizontal_angle: INT = 0, vertical_angle: INT = 0, "
        'zoom: FLOAT = 5.0, view: COMBO = "camera") -> camera_info: LOAD3D_CAMERA, prompt: STRING',
        _camera,
    ),
    entry('JsonExtractString(json_string: STRING = "", key: STRING = "") -> STRING', _json),
    entry(
        f'CustomCombo(choice: COMBO = "", index: INT = 0, {_OPTIONS}) -> STRING, INDEX: INT',
        _combo,
        "ChooseLine",
        _combo_back,
    ),
    entry("PreviewAny(source: *) -> STRING", _show, "ShowValue", _show_back),
    entry(
        'SaveText(text: STRING = "", filename_prefix: STRING = "ComfyUI", '
        'format: COMBO = "txt") -> text: STRING',
        _save,
        "SaveText",
        _save_back,
    ),
    entry(
        "TextGenerate(clip: CLIP, image: IMAGE?, video: IMAGE?, audio: AUDIO?, "
        f'system_prompt: *?, prompt: STRING = "", {_WRITING}',
        _generate,
        "GenerateText",
        _generate_back,
    ),
    entry(
        "TextGenerateLTX2Prompt(clip: CLIP, image: IMAGE?, video: IMAGE?, audio: AUDIO?, "
        f'system_prompt: *?, prompt: STRING = "", {_WRITING}',
        _video_prompt,
    ),
)
