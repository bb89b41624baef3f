"""The texts that a person edits: packs, their data, and modules beside them.

``«name»`` stands for a digit of its own, so that an edit keeps a text's length. A digit whose name
begins with ``$`` is the value of an environment variable.
"""

from __future__ import annotations

from dataclasses import dataclass

_HEAD = '''"""Nodes."""
from typing import Any
from nodegraph import node

def _ran(name):
    with open("«log»", "a") as log:
        log.write(name + "\\n")
'''


def _nodes(before: str = "", **gives: str) -> str:
    """A module with nodes, each of one whole number."""
    made = [
        f'@node\ndef {name}(x: int) -> int:\n    _ran("{name}")\n    return {what}\n'
        for name, what in gives.items()
    ]
    return "\n".join([_HEAD, before, *made])


FILES = {
    "packs/loose.py": _nodes(
        "def by_default(x, by=«loose_default»):\n    return x + by\nTABLE = {'k': «loose_table»}\n",
        Loose="x * 10 + «loose_body»",
        LooseDefault="by_default(x)",
        LooseTable="x + TABLE['k']",
        LooseComprehension="sum([by_default(i) for i in range(x % 4 + 2)])",
    )
    + """
@node
def Add(a: int, b: int) -> int:
    _ran("Add")
    return a * 3 + b

@node(output=True)
def Tell(value: Any, to: str) -> None:
    is_tensor = hasattr(value, "tolist")
    shown = f"{value.dtype} {value.tolist()}" if is_tensor else repr(value)
    with open(to, "w") as file:
        file.write(f"{type(value).__name__} {shown}")
""",
    "packs/kit/__init__.py": (
        '"""A pack of parts."""\n'
        "from .helpers import offset as offset\n"
        "SHARED = «kit_shared»\n"
        "def __getattr__(name):\n"
        "    if name == 'late':\n        return «kit_late»\n"
        "    raise AttributeError(name)\n"
    ),
    "packs/kit/helpers.py": (
        "def scale(x, by=«kit_scale»):\n    return x * by\n"
        "def offset(x):\n    return x + «kit_offset»\n"
    ),
    "packs/kit/_plug.py": "VALUE = «kit_plug»\n",
    "packs/kit/table.json": '{"k": «kit_json»}\n',
    "packs/kit/table.yaml": "k: «kit_yaml»\n",
    "packs/kit/deep/__init__.py": "",
    "packs/kit/deep/deeper.py": "from ..helpers import scale\nBASE = «kit_deep»\n",
    "packs/kit/body.py": _nodes(
        "from .helpers import scale\nfrom . import helpers, offset\n",
        Body="x * 10 + «kit_body»",
        Scaled="scale(x)",
        Shifted="offset(x)",
        Through="helpers.scale(x) + helpers.offset(x)",
    ),
    "packs/kit/below.py": _nodes(
        "from .deep import deeper\n", Below="deeper.scale(x) + deeper.BASE"
    ),
    "packs/kit/shared.py": _nodes("from . import SHARED\n", Shared="x + SHARED"),
    "packs/kit/late.py": _nodes("from . import late\n", Late="x + late"),
    "packs/kit/plugged.py": _nodes(
        "import importlib\nplug = importlib.import_module(__package__ + '._plug')\n",
        Plugged="x + plug.VALUE",
    ),
    "packs/kit/within.py": _HEAD
    + """
@node
def Within(x: int) -> int:
    from .helpers import scale
    from .deep import deeper
    _ran("Within")
    return scale(x) + deeper.BASE

@node
def WithinAcross(x: int) -> int:
    from nodegraph_packs.flat.two import amount
    _ran("WithinAcross")
    return amount(x) * 3
""",
    "packs/kit/tables.py": _nodes(
        "import json\nfrom pathlib import Path\n"
        "HERE = Path(__file__).parent\n"
        "AT_IMPORT = json.loads((HERE / 'table.json').read_text())['k']\n",
        JsonAtImport="x + AT_IMPORT",
        JsonInNode="x * 2 + json.loads((HERE / 'table.json').read_text())['k']",
        YamlInNode="x + int((HERE / 'table.yaml').read_text()[3])",
    ),
    "outside.txt": "«outside»\n",
    "packs/kit/outer.py": _HEAD.replace("import node", "import Context, node")
    + """
@node
def FileOfContext(ctx: Context, x: int) -> int:
    _ran("FileOfContext")
    return x + int(ctx.file("«log»".replace("calls.log", "outside.txt")).read_text())

@node
def VariableOfContext(ctx: Context, x: int) -> int:
    _ran("VariableOfContext")
    return x * 5 + int(ctx.env("ADVERSARIAL_C", "7"))
""",
    "packs/kit/variables.py": _nodes(
        "import os\nAT_IMPORT = int(os.environ.get('ADVERSARIAL_A', '0'))\n",
        VariableAtImport="x + AT_IMPORT",
        VariableInNode="x * 2 + int(os.environ.get('ADVERSARIAL_B', '7'))",
        VariableByGetenv="x * 3 + int(os.getenv('ADVERSARIAL_A', '7'))",
    ),
    "packs/side/one.py": _nodes(
        "import sys\nfrom pathlib import Path\n"
        "HERE = str(Path(__file__).parent)\n"
        "if HERE not in sys.path:\n    sys.path.insert(0, HERE)\n"
        "import «near»_folder\nfrom «near»_folder import amount\n",
        Beside="amount(x)",
        BesideByModule="«near»_folder.amount(x) + «near»_folder.BASE",
    ),
    "packs/side/«near»_folder.py": (
        "def amount(x):\n    return x + «near_amount»\nBASE = «near_base»\n"
    ),
    "packs/alone.py": _nodes(
        "import sys\nfrom pathlib import Path\n"
        "HERE = str(Path(__file__).parent)\n"
        "if HERE not in sys.path:\n    sys.path.insert(0, HERE)\n"
        "from «near»_file import amount\n",
        BesideFile="amount(x)",
    ),
    "packs/«near»_file.py": "def amount(x):\n    return x * 2 + «near_file»\n",
    "packs/across.py": _nodes(
        "from nodegraph_packs.kit.helpers import scale\n"
        "from nodegraph_packs.flat.two import amount\n",
        Across="scale(x) + 1",
        AcrossOther="amount(x) * 2",
    ),
    "packs/flat/one.py": _nodes("from .two import amount\n", Flat="x + amount(1)"),
    "packs/flat/two.py": "def amount(x):\n    return x + «flat»\n",
}
"""By place below the world's folder."""

SHAPES = '''"""Values of many kinds."""
from collections import Counter, OrderedDict, namedtuple
from typing import Any
import torch
from nodegraph import node

Pair = namedtuple("Pair", "a b")

def _ran(name):
    with open("«log»", "a") as log:
        log.write(name + "\\n")

def make(kind, x):
    return {
        0: lambda: [x, 1],
        1: lambda: (x, 1),
        2: lambda: {"a": x, "b": 1},
        3: lambda: {"b": 1, "a": x},
        4: lambda: OrderedDict(a=x, b=1),
        5: lambda: Counter(a=x, b=1),
        6: lambda: Pair(x, 1),
        7: lambda: torch.tensor([float(x), 1.0]),
        8: lambda: torch.nn.Parameter(torch.tensor([float(x), 1.0])),
        9: lambda: {"a": [x, {"b": 1}]},
    }[kind]()

@node
def Shape(kind: int, x: int) -> Any:
    _ran("Shape")
    return make(kind % 10, x)

@node
def Describe(value: Any) -> str:
    _ran("Describe")
    return f"{type(value).__name__} {value!r} «shapes»"

@node
def Pop(value: Any) -> str:
    """Changes a plain value that it was given."""
    _ran("Pop")
    if isinstance(value, dict):
        return repr(value.popitem())
    if isinstance(value, list):
        return repr(value.pop())
    return repr(value)

@node
def Scribble(value: Any) -> str:
    """Changes a tensor that it was given, behind torch's back."""
    _ran("Scribble")
    if isinstance(value, torch.Tensor):
        value.detach().numpy()[...] *= 2
    return f"{value!r} «shapes»"
'''
FILES["packs/shapes.py"] = SHAPES


@dataclass(frozen=True)
class NodeType:
    """What sheets know of a node type.

    Attributes:
        digits: Names of those on which its results depend.
        literals: Inputs that take whole numbers or links to them.
        values: Inputs that only take links to values of any type.
        gives: "number", "value" or "text".
    """

    digits: tuple[str, ...]
    literals: tuple[str, ...] = ("x",)
    values: tuple[str, ...] = ()
    gives: str = "number"


PACK_TYPES = {
    "loose:Loose": NodeType(("loose_body",)),
    "loose:LooseDefault": NodeType(("loose_default",)),
    "loose:LooseTable": NodeType(("loose_table",)),
    "loose:LooseComprehension": NodeType(("loose_default",)),
    "loose:Add": NodeType((), ("a", "b")),
    "kit:Body": NodeType(("kit_body",)),
    "kit:Scaled": NodeType(("kit_scale",)),
    "kit:Shifted": NodeType(("kit_offset",)),
    "kit:Through": NodeType(("kit_scale", "kit_offset")),
    "kit:Below": NodeType(("kit_scale", "kit_deep")),
    "kit:Shared": NodeType(("kit_shared",)),
    "kit:Late": NodeType(("kit_late",)),
    "kit:Plugged": NodeType(("kit_plug",)),
    "kit:Within": NodeType(("kit_scale", "kit_deep")),
    "kit:WithinAcross": NodeType(("flat",)),
    "kit:JsonAtImport": NodeType(("kit_json",)),
    "kit:JsonInNode": NodeType(("kit_json",)),
    "kit:YamlInNode": NodeType(("kit_yaml",)),
    "kit:FileOfContext": NodeType(("outside",)),
    "kit:VariableOfContext": NodeType(("$ADVERSARIAL_C",)),
    "kit:VariableAtImport": NodeType(("$ADVERSARIAL_A",)),
    "kit:VariableInNode": NodeType(("$ADVERSARIAL_B",)),
    "kit:VariableByGetenv": NodeType(("$ADVERSARIAL_A",)),
    "side:Beside": NodeType(("near_amount",)),
    "side:BesideByModule": NodeType(("near_amount", "near_base")),
    "alone:BesideFile": NodeType(("near_file",)),
    "across:Across": NodeType(("kit_scale",)),
    "across:AcrossOther": NodeType(("flat",)),
    "flat:Flat": NodeType(("flat",)),
    "shapes:Shape": NodeType((), ("kind", "x"), gives="value"),
    "shapes:Describe": NodeType(("shapes",), (), ("value",), "text"),
    "shapes:Pop": NodeType((), (), ("value",), "text"),
    "shapes:Scribble": NodeType(("shapes",), (), ("value",), "text"),
}
"""Node types of the packs, as workflows name them."""

PARTS = {
    "loose:Appears": (
        "packs/loose.py",
        """
@node
def Appears(x: int) -> int:
    _ran("Appears")
    return x * 7 + «appears»
""",
    ),
    "kit:Extra": (
        "packs/kit/extra.py",
        _nodes("from .helpers import scale\n", Extra="scale(x) + «extra»"),
    ),
    "new:New": ("packs/new.py", _nodes(New="x * 8 + «new»")),
    "box:InBox": (
        "packs/box/inner.py",
        _nodes("from nodegraph_packs.kit import helpers\n", InBox="helpers.offset(x) + «in_box»"),
    ),
    "": (
        "packs/kit/helpers/__init__.py",
        "def scale(x, by=«shadow_scale»):\n    return x * by + 1\n"
        "def offset(x):\n    return x - «shadow_offset»\n",
    ),
}
"""What comes and goes: the place and the text of node types that aren't there at first. The one
without a name takes the place of a module that is there."""

PART_TYPES = {
    "loose:Appears": NodeType(("appears",)),
    "kit:Extra": NodeType(("kit_scale", "extra")),
    "new:New": NodeType(("new",)),
    "box:InBox": NodeType(("kit_offset", "in_box")),
}
