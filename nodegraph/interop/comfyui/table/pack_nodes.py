"""Common nodes of custom packs: values, switches, texts and LoRA rows."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from nodegraph.interop.comfyui.entries import (
    InputSignature,
    Signature,
    TableEntry,
    Translate,
    entry,
    parse_signature,
    same,
    type_entry,
)
from nodegraph.interop.comfyui.import_context import compose
from nodegraph.interop.comfyui.table.parts import add_list
from nodegraph.interop.comfyui.table.values import LOGIC_ENTRIES, NUMBERS
from nodegraph.interop.comfyui.translating import MadeOutput, Passage, Signal, Untranslatable


def seed_of(node: Passage, name: str) -> Signal:
    """A seed; of one below 0, which the pages of packs draw anew, the smallest."""
    seed = node.inputs[name]
    if not seed.is_link and int(seed.content) < 0:
        node.tell("a seed below 0, which is random on each run in ComfyUI, becomes 0")
        return Signal(0)
    return seed


def _seed(output: str) -> Translate:
    def forward(node: Passage) -> None:
        made = node.add("Seed", seed=seed_of(node, "seed"))
        node.give(output, MadeOutput(made, "number"))

    return forward


def _any(node: Passage) -> None:
    """The first of several that is connected."""
    signals = [node.inputs[name] for name in sorted(node.inputs) if name.startswith("any_")]
    connected = [signal for signal in signals if signal.content is not None or signal.carried]
    node.give("*", connected[0] if connected else Signal(None))


def _sage(node: Passage) -> None:
    """SageAttention, which chooses among its kernels itself here."""
    signal: Signal | MadeOutput = node.inputs["model"]
    if node.literal("sage_attention") != "disabled":
        signal = MadeOutput(node.add("SpeedUp", model=signal, attention="sage"), "model")
        if "allow_compile" in node.inputs and node.literal("allow_compile"):
            node.tell("a compiled model chooses its attention kernel itself")
    node.give("MODEL", signal)


_MOST_OPTIONS = 8
"""Of Select."""


def _chosen(node: Passage, index: str, names: dict[int, str]) -> Signal:
    """The one of several inputs that a number names.

    Args:
        names: Of the inputs, by number.
    Raises:
        Untranslatable: It isn't connected, or which one it is will be known when it runs, and
            nothing can choose between them then.
    """
    signals = {at: node.inputs[name] for at, name in names.items() if name in node.inputs}
    first = min(names)
    carried = [signal.carried for signal in signals.values() if signal.carried]
    beyond = max(signals, default=first) - first >= _MOST_OPTIONS
    if not signals:
        return Signal(None)
    if not node.inputs[index].is_link or carried or beyond:
        number = int(node.literal(index))
        if number not in signals:
            missing = names.get(number, str(number))
            raise Untranslatable(f"its input `{missing}`, which is chosen, is not connected")
        node.tell(f"stays at `{names[number]}`")
        return signals[number]
    at: Any = node.inputs[index]
    if first:
        made = node.add("Formula", expression=f"a - {first}", a=at)
        at = MadeOutput(made, "integer")
    options = {f"option_{number - first}": signal for number, signal in signals.items()}
    return Signal(MadeOutput(node.add("Select", index=at, **options), "output"))


def _choice(output: str, index: str, names: dict[int, str]) -> Translate:
    def forward(node: Passage) -> None:
        node.give(output, _chosen(node, index, names))

    return forward


def _impact_switch(node: Passage) -> None:
    node.give("selected_value", _chosen(node, "select", _INPUTS))
    node.give("selected_index", Signal(node.inputs["select"].content))
    if not node.inputs["select"].is_link:
        node.give("selected_label", Signal(f"input{node.literal('select')}"))


def _image_and_mask(node: Passage) -> None:
    number = int(node.literal("select"))
    option = "" if number == 1 else "_opt"
    for kind, output in ((f"images{number}{option}", "IMAGE"), (f"mask{number}_opt", "MASK")):
        if kind in node.inputs:
            node.give(output, node.inputs[kind])
    node.tell(f"stays at `images{number}{option}`")


def _inversed(index: str, source: str, outputs: dict[int, str]) -> Translate:
    """The way here of a switch that gives its input to one of its outputs."""

    def forward(node: Passage) -> None:
        at, value = node.inputs[index], node.inputs[source]
        for number, output in outputs.items():
            if not at.is_link and int(at.content) == number:
                node.give(output, value)
                continue
            is_open: Any = False
            if at.is_link:
                test = node.add("Formula", expression=f"a == {number}", a=at)
                is_open = MadeOutput(test, "truth")
            node.give(output, _gated(node, value, is_open))

    return forward


def _gated(node: Passage, value: Signal, is_open: Any) -> Signal:
    made = node.add("Gate", value=value, open=is_open)
    return Signal(MadeOutput(made, "output"), value.carried)


def _either(node: Passage) -> None:
    """A value for one of two outputs."""
    value, is_first = node.inputs["in"], node.inputs["A or B"]
    if not is_first.is_link:
        chosen, other = ("A", "B") if is_first.content else ("B", "A")
        node.give(chosen, value)
        node.give(other, _gated(node, value, False))
        return
    node.give("A", _gated(node, value, is_first))
    turned = MadeOutput(node.add("Logic", a=is_first, operation="not"), "value")
    node.give("B", _gated(node, value, turned))


def _branch(condition: str, on_true: str, on_false: str, output: str = "*") -> Translate:
    """The way here of a node that gives one of two values."""

    def forward(node: Passage) -> None:
        sides = {"on_true": on_true, "on_false": on_false}
        taken = {side: node.inputs[name] for side, name in sides.items() if name in node.inputs}
        made = compose(node, _SWITCH, {"switch": node.inputs[condition], **taken})
        node.give(output, made["output"])

    return forward


_SWITCH = next(each for each in LOGIC_ENTRIES if each.type == "ComfySwitchNode")
_COMPARED = {
    "a = b": "a == b", "a <> b": "a != b", "a > b": "a > b", "a < b": "a < b",
    "a >= b": "a >= b", "a <= b": "a <= b", "a == b": "a == b", "a != b": "a != b",
    **{sign: f"a {sign} b" for sign in ("==", "!=", ">", "<", ">=", "<=")},
}  # fmt: skip
"""Comparisons of packs, as a formula says them."""


def _compared(port: str, output: str) -> Translate:
    """The way here of a comparison of two numbers, or of two texts."""

    def forward(node: Passage) -> None:
        how = str(node.literal(port))
        if how in ("tt", "ff"):
            node.give(output, Signal(how == "tt"))
            return
        expression = _COMPARED.get(how)
        if expression is None:
            raise Untranslatable(f"nodegraph has no comparison {how!r}")
        sides = {name: node.inputs[name] for name in "ab" if name in node.inputs}
        if any(isinstance(side.content, str) for side in sides.values()):
            _compare_texts(node, expression, sides, output)
            return
        made = node.add("Formula", expression=expression, **sides)
        node.give(output, MadeOutput(made, "truth"))

    return forward


def _compare_texts(node: Passage, expression: str, sides: dict[str, Signal], output: str) -> None:
    if expression not in ("a == b", "a != b"):
        raise Untranslatable("nodegraph does not order texts")
    made = node.add("CompareTexts", text=sides["a"], how="is", other=sides["b"])
    test = MadeOutput(made, "value")
    if expression == "a != b":
        test = MadeOutput(node.add("Logic", a=test, operation="not"), "value")
    node.give(output, test)


def _logic(node: Passage) -> None:
    made = node.add(
        "Logic",
        a=node.inputs["bool_a"],
        b=node.inputs["bool_b"],
        operation=node.inputs["operator"],
    )
    node.give("BOOLEAN", MadeOutput(made, "value"))


def _negated(node: Passage) -> None:
    made = node.add("Logic", a=node.inputs["value"], operation="not")
    node.give("BOOLEAN", MadeOutput(made, "value"))


def _is_there(node: Passage) -> None:
    """Whether something is connected, which is known before a run."""
    node.give("bool", Signal("any_input" in node.inputs))
    if "signal" in node.inputs:
        node.give("signal_opt", node.inputs["signal"])


def _loras(node: Passage) -> None:
    model, clip = node.inputs["model"], node.inputs.get("clip")
    rows = [signal.content for signal in node.inputs.values() if isinstance(signal.content, dict)]
    for row in rows:
        lora, strength = row.get("lora"), row.get("strength", 1.0)
        if not row.get("on") or lora in (None, "None", ""):
            continue
        second = row.get("strengthTwo")
        name = node.add(
            "LoadLora",
            model=model,
            text_encoder=clip,
            lora=lora,
            strength_model=strength,
            strength_encoder=strength if second is None else second,
        )
        model = Signal(MadeOutput(name, "model"), model.carried)
        if clip is not None:
            clip = Signal(MadeOutput(name, "text_encoder"), clip.carried)
    node.keep(rows=rows)
    node.give("MODEL", model)
    if clip is not None:
        node.give("CLIP", clip)


def _compare(node: Passage) -> None:
    view = node.add("SplitView", image=node.inputs["image_a"], other=node.inputs["image_b"])
    node.add("PreviewImage", image=MadeOutput(view, "image"))


def _show(port: str, output: str) -> Translate:
    def forward(node: Passage) -> None:
        node.add("ShowValue", value=node.inputs[port])
        if output:
            node.give(output, node.inputs[port])

    return forward


def _constant(line: str, native: str, port: str = "value") -> TableEntry:
    signature = parse_signature(line)
    (taken,), ((output, _),) = signature.inputs, signature.outputs
    native_outputs = {"Integer": "number", "Number": "number", "Seed": "number", "Boolean": "value"}
    return same(line, native, {taken.name: port}, {output: native_outputs.get(native, "text")})


_INPUTS = {number: f"input{number}" for number in range(1, 25)}
_OUTPUTS = {number: f"output{number}" for number in range(1, 17)}
_INDEXED = range(10)


def _optional(names: dict[int, str], kind: str = "*") -> str:
    return ", ".join(f"{name}: {kind}?" for name in names.values())


def _indexed_switch(node_type: str, prefix: str, kind: str, output: str) -> TableEntry:
    names = {number: f"{prefix}{number}" for number in _INDEXED}
    sockets = ", ".join(
        f"{name}: {kind}?{' @socket' if kind == 'STRING' else ''}" for name in names.values()
    )
    line = f"{node_type}(index: INT = 0, {sockets}) -> {output}: {kind}"
    return entry(line, _choice(output, "index", names))


_OUT = {number: f"out{number}" for number in _INDEXED}
_LATENTS = {number: f"latent{number}" for number in range(1, 17)}

SWITCH_ENTRIES: tuple[TableEntry, ...] = (
    entry(
        f"ImpactSwitch(select: INT = 1, sel_mode: BOOLEAN = false, {_optional(_INPUTS)}) "
        "-> selected_value: *, selected_label: STRING, selected_index: INT",
        _impact_switch,
    ),
    entry(
        f"LatentSwitch(select: INT = 1, {_optional(_LATENTS, 'LATENT')}) -> LATENT",
        _choice("LATENT", "select", _LATENTS),
    ),
    entry(
        "ImageMaskSwitch(select: INT = 1, images1: IMAGE, mask1_opt: MASK?, images2_opt: IMAGE?, "
        "mask2_opt: MASK?, images3_opt: IMAGE?, mask3_opt: MASK?, images4_opt: IMAGE?, "
        "mask4_opt: MASK?) -> IMAGE, MASK",
        _image_and_mask,
    ),
    entry(
        "ImpactInversedSwitch(select: INT = 1, input: *, sel_mode: BOOLEAN? = false) -> "
        + ", ".join(f"{name}: *" for name in _OUTPUTS.values()),
        _inversed("select", "input", _OUTPUTS),
    ),
    entry(
        "easy anythingInversedSwitch(index: INT = 0, in: *) -> "
        + ", ".join(f"{name}: *" for name in _OUT.values()),
        _inversed("index", "in", _OUT),
    ),
    _indexed_switch("easy anythingIndexSwitch", "value", "*", "value"),
    _indexed_switch("easy imageIndexSwitch", "image", "IMAGE", "image"),
    _indexed_switch("easy textIndexSwitch", "text", "STRING", "text"),
    _indexed_switch("easy conditioningIndexSwitch", "cond", "CONDITIONING", "conditioning"),
    entry("easy ab(A or B: BOOLEAN = true, in: *) -> A: *, B: *", _either),
    entry(
        "easy imageSwitch(image_a: IMAGE, image_b: IMAGE, boolean: BOOLEAN = false) -> IMAGE",
        _branch("boolean", "image_a", "image_b", "IMAGE"),
    ),
    entry(
        "easy textSwitch(input: INT = 1, text1: STRING? @socket, text2: STRING? @socket) -> STRING",
        _choice("STRING", "input", {1: "text1", 2: "text2"}),
    ),
    entry(
        "easy ifElse(boolean: BOOLEAN = false, on_true: *, on_false: *) -> *",
        _branch("boolean", "on_true", "on_false"),
    ),
    *(
        entry(
            f"{name}(cond: BOOLEAN = false, tt_value: *?, ff_value: *?) -> *",
            _branch("cond", "tt_value", "ff_value"),
        )
        for name in ("ImpactConditionalBranch", "ImpactConditionalBranchSelMode")
    ),
    entry(
        f'ImpactCompare(cmp: COMBO = "a = b", {NUMBERS}) -> BOOLEAN',
        _compared("cmp", "BOOLEAN"),
    ),
    entry(
        f'SimpleComparison+({NUMBERS}, comparison: COMBO = "==") -> BOOLEAN',
        _compared("comparison", "BOOLEAN"),
    ),
    entry(
        f'easy compare({NUMBERS}, comparison: COMBO = "a == b") -> boolean: BOOLEAN',
        _compared("comparison", "boolean"),
    ),
    entry(
        'ImpactLogicalOperators(operator: COMBO = "and", bool_a: BOOLEAN @socket, '
        "bool_b: BOOLEAN @socket) -> BOOLEAN",
        _logic,
    ),
    entry("ImpactNeg(value: BOOLEAN @socket) -> BOOLEAN", _negated),
    entry("ImpactIfNone(signal: *?, any_input: *?) -> signal_opt: *, bool: BOOLEAN", _is_there),
)

_LORA_ROWS = tuple(InputSignature(f"row_{number}", "COMBO") for number in range(1, 25))
_LORAS = parse_signature("X(model: MODEL, clip: CLIP?) -> MODEL, CLIP")

_FOUR = ("text_a", "text_b", "text_c", "text_d")
_INPUT = "/input/"
_DRAWN_WORDS = re.compile(r"\{[^{}]*\|[^{}]*\}|__[\w./*-]+__")


def _joined(node: Passage, names: Sequence[str], separator: Any) -> MadeOutput:
    """Texts with a separator between them; without those that are written and empty."""
    texts = [node.inputs[name] for name in names if name in node.inputs]
    there = [text for text in texts if text.is_link or str(text.content or "").strip()]
    listed = add_list(node, there)
    return MadeOutput(node.add("JoinTexts", texts=listed, separator=separator), "text")


def _was_concatenate(node: Passage) -> None:
    if str(node.literal("clean_whitespace")) == "true":
        node.tell("white space around linked texts stays; in ComfyUI it is removed")
    node.give("STRING", _joined(node, _FOUR, node.inputs["delimiter"]))


def _kj_join(node: Passage) -> None:
    if "return_list" in node.inputs and node.literal("return_list"):
        raise Untranslatable("nodegraph joins texts into one: for a list, use List")
    names = sorted((name for name in node.inputs if name[-1].isdigit()), key=_last_number)
    separator = node.inputs["delimiter"]
    node.give("string", _joined(node, names, separator))


def _last_number(name: str) -> int:
    return int("".join(re.findall(r"\d+$", name)) or 0)


def _without_comments(node: Passage) -> None:
    text: Any = node.inputs["text"]
    if not text.is_link:
        lines = str(text.content).split("\n")
        kept = [line for line in lines if not line.strip().startswith("#")]
        text = text if len(kept) == len(lines) else "\n".join(kept)
    node.give("STRING", MadeOutput(node.add("Text", text=text), "text"))


def _four_texts(node: Passage) -> None:
    for name in ("text", *_FOUR[1:]):
        node.give(name, MadeOutput(node.add("Text", text=node.inputs[name]), "text"))


def _load_text(node: Passage) -> None:
    """A file below ComfyUI's input folder, or where its path says."""
    path = str(node.literal("file_path")).replace("\\", "/")
    if _INPUT in path:
        path = path.rpartition(_INPUT)[2]
    else:
        node.tell(f"{path} is read from the inputs folder, if it is no whole path")
    node.give("STRING", MadeOutput(node.add("LoadText", path=path), "text"))


def _find_and_replace(node: Passage) -> None:
    names = {"text": "text", "find": "find", "replacement": "replace"}
    made = node.add("ReplaceText", **{our: node.inputs[their] for our, their in names.items()})
    node.give("result_text", MadeOutput(made, "text"))


def _to_text(node: Passage) -> None:
    text = MadeOutput(node.add("ToText", value=node.inputs["input"]), "text")
    around = {name: node.inputs[name] for name in ("prefix", "suffix")}
    if any(signal.is_link or signal.content for signal in around.values()):
        ends = {"b": around["prefix"], "c": around["suffix"]}
        text = MadeOutput(node.add("FormatText", template="{b}{a}{c}", a=text, **ends), "text")
    node.give("STRING", text)


def _one_line(node: Passage) -> None:
    text: Any = node.inputs["string"]
    if node.literal("strip_newlines") and not text.is_link:
        lines = str(text.content).split("\n")
        text = "\n".join(line for line in lines if line.strip()) if len(lines) > 1 else text
    node.give("STRING", MadeOutput(node.add("Text", text=text), "text"))


def _console(node: Passage) -> None:
    node.add("ShowValue", value=node.inputs["text"])
    node.give("STRING", node.inputs["text"])


def _selected_line(node: Passage) -> None:
    """A line by its number, or a paragraph that begins with #."""
    strings, number = str(node.literal("strings")), int(node.literal("select"))
    parts = strings.split("\n")
    if node.literal("multiline"):
        parts = [part.strip() for part in re.split(r"(?m)^(?=#)", strings) if part.strip()]
    chosen = parts[number % len(parts)] if parts else strings
    node.tell(f"stays at its line {number}")
    made = node.add("Text", text=chosen.removeprefix("#") if node.literal("multiline") else chosen)
    node.give("STRING", MadeOutput(made, "text"))


def _drawn_text(node: Passage) -> None:
    """A text that is drawn from wildcards, or the one that was drawn."""
    node.give("STRING", wildcard_text(node))


def wildcard_text(node: Passage) -> MadeOutput:
    """What Impact's wildcards make of a node's text.

    Raises:
        Untranslatable: It loads LoRAs.
    """
    is_drawn = node.literal("mode") in (True, "populate")
    text = node.inputs["wildcard_text" if is_drawn else "populated_text"]
    if "<lora:" in str(text.content):
        raise Untranslatable("its text loads a LoRA: use LoadLora for this, and plain text")
    if is_drawn and (text.is_link or _DRAWN_WORDS.search(str(text.content))):
        node.tell("the words that a seed draws are other ones than in ComfyUI")
        made = node.add("RandomPrompt", text=text, seed=node.inputs["seed"])
    else:
        made = node.add("Text", text=text)
    return MadeOutput(made, "text")


PACK_TEXT_ENTRIES: tuple[TableEntry, ...] = (
    entry(
        'Text Concatenate(delimiter: STRING = ", ", clean_whitespace: COMBO = "true", '
        + ", ".join(f"{name}: STRING? @socket" for name in _FOUR)
        + ") -> STRING",
        _was_concatenate,
    ),
    entry('Text Multiline(text: STRING = "" @prompt) -> STRING', _without_comments),
    entry(
        'Text String(text: STRING = "", text_b: STRING? = "", text_c: STRING? = "", '
        'text_d: STRING? = "") -> text: STRING, text_b: STRING, text_c: STRING, text_d: STRING',
        _four_texts,
    ),
    type_entry(
        "Load Text File",
        '(file_path: STRING = "", dictionary_name: STRING = "[filename]") -> STRING, DICT',
        _load_text,
        ("dictionary_name",),
    ),
    entry(
        'Text Find and Replace(text: STRING @socket, find: STRING = "", replace: STRING = "") '
        "-> result_text: STRING, replacement_count_number: NUMBER, "
        "replacement_count_float: FLOAT, replacement_count_int: INT",
        _find_and_replace,
    ),
    type_entry(
        "Text to Console",
        '(text: STRING @socket, label: STRING = "Text Output") -> STRING',
        _console,
        ("label",),
    ),
    entry(
        'JoinStrings(delimiter: STRING = " ", string1: STRING? @socket, string2: STRING? @socket) '
        "-> string: STRING",
        _kj_join,
    ),
    entry(
        'JoinStringMulti(inputcount: INT = 2, delimiter: STRING = " ", '
        "return_list: BOOLEAN = false, "
        + ", ".join(f"string_{at}: STRING? @socket" for at in range(1, 9))
        + ") -> string: STRING",
        _kj_join,
    ),
    entry(
        'StringConstantMultiline(string: STRING = "", strip_newlines: BOOLEAN = true) -> STRING',
        _one_line,
    ),
    entry(
        'SomethingToString(input: *, prefix: STRING? = "", suffix: STRING? = "") -> STRING',
        _to_text,
    ),
    entry(
        'ImpactStringSelector(strings: STRING = "", multiline: BOOLEAN = false, select: INT = 0) '
        "-> STRING",
        _selected_line,
    ),
    entry(
        'ImpactWildcardProcessor(wildcard_text: STRING = "", populated_text: STRING = "", '
        'mode: COMBO = true, seed: INT = 0 @control, Select to add Wildcard: COMBO = "") '
        "-> STRING",
        _drawn_text,
    ),
)


ENTRIES: tuple[TableEntry, ...] = (
    type_entry(
        "Any Switch (rgthree)", "(any_01: *?, any_02: *?, any_03: *?, any_04: *?) -> *", _any
    ),
    TableEntry(
        Signature("Power Lora Loader (rgthree)", _LORAS.inputs + _LORA_ROWS, _LORAS.outputs), _loras
    ),
    type_entry("Image Comparer (rgthree)", "(image_a: IMAGE, image_b: IMAGE)", _compare),
    type_entry("Display Any (rgthree)", "(source: *)", _show("source", "")),
    _constant("INTConstant(value: INT = 0) -> value: INT", "Integer"),
    _constant("FloatConstant(value: FLOAT = 0.0) -> value: FLOAT", "Number"),
    _constant("BOOLConstant(value: BOOLEAN = true) -> value: BOOLEAN", "Boolean"),
    _constant('StringConstant(string: STRING = "") -> STRING', "Text", "text"),
    _constant("easy int(value: INT = 0) -> int: INT", "Integer"),
    _constant("easy float(value: FLOAT = 0.0) -> float: FLOAT", "Number"),
    _constant("easy boolean(value: BOOLEAN = false) -> boolean: BOOLEAN", "Boolean"),
    _constant('easy string(value: STRING = "") -> string: STRING', "Text", "text"),
    _constant("ImpactInt(value: INT = 0) -> INT", "Integer"),
    _constant("ImpactFloat(value: FLOAT = 1.0) -> FLOAT", "Number"),
    _constant("ImpactBoolean(value: BOOLEAN = true) -> BOOLEAN", "Boolean"),
    _constant('easy positive(positive: STRING = "" @prompt) -> positive: STRING', "Text", "text"),
    _constant('easy negative(negative: STRING = "" @prompt) -> negative: STRING', "Text", "text"),
    entry("ShowText|pysssss(text: *) -> STRING", _show("text", "STRING")),
    entry("easy showAnything(anything: *) -> output: *", _show("anything", "output")),
    same(
        "GetImageSize+(image: IMAGE) -> width: INT, height: INT, count: INT",
        "ImageSize",
        outputs={"count": "batch"},
    ),
    type_entry("Seed (rgthree)", "(seed: INT = 0 @control) -> SEED: INT", _seed("SEED")),
    entry("easy seed(seed: INT = 0 @control) -> seed: INT", _seed("seed")),
    entry(
        'PathchSageAttentionKJ(model: MODEL, sage_attention: COMBO = "disabled", '
        "allow_compile: BOOLEAN? = false) -> MODEL",
        _sage,
    ),
    *PACK_TEXT_ENTRIES,
    *SWITCH_ENTRIES,
)
