"""The cells of a notebook: one node each, and each has another way in which it comes by a number.

``«d»`` stands for the digit that edits change, so that a text keeps its length.
"""

from __future__ import annotations

from dataclasses import dataclass

_NODE = """
@node
def {name}(x: int) -> int:
    _ran("{name}")
    return {gives}
"""


@dataclass(frozen=True)
class Cell:
    """One cell.

    Attributes:
        text: Its code.
        poke: A statement that changes the number in a process in which the cell was run.
    """

    text: str
    poke: str = ""


def _cell(name: str, before: str, gives: str, poke: str = "") -> Cell:
    return Cell(f"{before}\n{_NODE.format(name=name, gives=gives)}", poke)


FIRST = """
import dataclasses, enum, functools, operator, types, typing
from collections import Counter, OrderedDict, namedtuple
import numpy
import torch
from nodegraph import node

def _ran(name):
    with open("«log»", "a") as log:
        log.write(name + "\\n")
"""
"""What runs before any cell."""

_PARTS: dict[str, tuple[str, str, str]] = {
    "InBody": ("", "x * 10 + «d»", ""),
    "InHelper": ("def in_helper(x):\n    return x + «d»", "in_helper(x)", ""),
    "TwoHelpersDeep": (
        "def deeper(x):\n    return x + «d»\ndef deep(x):\n    return deeper(x)",
        "deep(x)",
        "",
    ),
    "InComprehension": (
        "def in_list(x):\n    return x + «d»",
        "sum([in_list(x + i) for i in range(3)])",
        "",
    ),
    "InGenerator": (
        "def in_generator(x):\n    return x + «d»",
        "sum(in_generator(i) for i in range(x % 5 + 2))",
        "",
    ),
    "InLambda": ("def in_lambda(x):\n    return x + «d»", "(lambda v: in_lambda(v) * 2)(x)", ""),
    "InInner": (
        "def in_inner(x):\n    return x + «d»\n"
        "def with_inner(x):\n    def inner(y):\n        return in_inner(y)\n    return inner(x)",
        "with_inner(x)",
        "",
    ),
    "InMap": ("def in_map(x):\n    return x + «d»", "sum(map(in_map, range(x % 5 + 2)))", ""),
    "Default": ("def default(x, by=«d»):\n    return x + by", "default(x)", ""),
    "KeywordDefault": ("def keyword(x, *, by=«d»):\n    return x + by", "keyword(x)", ""),
    "ListDefault": (
        "def list_default(x, by=[«d», 1]):\n    return x + by[0]",
        "list_default(x)",
        "list_default.__defaults__[0][0] = «d»",
    ),
    "LambdaDefault": (
        "lambda_default = lambda x, by=«d»: x * by",
        "lambda_default(x)",
        "",
    ),
    "CapturedNumber": (
        "def make_number(by):\n    return lambda x: x + by\nnumber_maker = make_number(«d»)",
        "number_maker(x)",
        "",
    ),
    "CapturedDict": (
        "def make_dict(by):\n    def with_dict(x):\n        return x + by['k']\n"
        "    return with_dict\ncaptured = {'k': «d»}\ndict_maker = make_dict(captured)",
        "dict_maker(x)",
        "captured['k'] = «d»",
    ),
    "CapturedList": (
        "def make_list(by):\n    return lambda x: x + sum(by)\n"
        "captured_list = [1, «d»]\nlist_maker = make_list(captured_list)",
        "list_maker(x)",
        "captured_list[1] = «d»",
    ),
    "GlobalNumber": ("a_number = «d»", "x + a_number", "a_number = «d»"),
    "GlobalDict": ("a_dict = {'k': «d»}", "x + a_dict['k']", "a_dict['k'] = «d»"),
    "GlobalNested": (
        "nested = {'a': [{'k': «d»}]}",
        "x + nested['a'][0]['k']",
        "nested['a'][0]['k'] = «d»",
    ),
    "GlobalList": ("a_list = [«d»]", "x + a_list[0]", "a_list[0] = «d»"),
    "GlobalOrder": (
        "order = dict([('a', 1), ('b', «d»)] if «d» % 2 else [('b', «d»), ('a', 1)])",
        "x * list(order.values())[0]",
        "",
    ),
    "GlobalSet": ("a_set = {«d», 0}", "x + max(a_set)", ""),
    "GlobalText": ("a_text = 'k«d»'", "x + int(a_text[1])", ""),
    "GlobalDataclass": (
        "@dataclasses.dataclass\nclass Box:\n    k: int\na_box = Box(«d»)",
        "x + a_box.k",
        "a_box.k = «d»",
    ),
    "GlobalInstance": (
        "class Holder:\n    def __init__(self, k):\n        self.k = k\na_holder = Holder(«d»)",
        "x + a_holder.k",
        "a_holder.k = «d»",
    ),
    "GlobalNamespace": (
        "settings = types.SimpleNamespace(k=«d»)",
        "x + settings.k",
        "settings.k = «d»",
    ),
    "GlobalTensor": (
        "a_tensor = torch.tensor([«d»])",
        "x + int(a_tensor[0])",
        "a_tensor.fill_(«d»)",
    ),
    "GlobalArray": (
        "an_array = numpy.array([«d»])",
        "x + int(an_array[0])",
        "an_array[0] = «d»",
    ),
    "GlobalCounter": ("a_counter = Counter(a=«d»)", "x + a_counter['a']", "a_counter['a'] = «d»"),
    "Method": (
        "class Adder:\n    def add(self, x):\n        return x + «d»\n",
        "Adder().add(x)",
        "",
    ),
    "MethodOfInstance": (
        "class Later:\n    def add(self, x):\n        return x + «d»\na_later = Later()",
        "a_later.add(x)",
        "",
    ),
    "BoundMethod": (
        "class Bound:\n    def __init__(self, k):\n        self.k = k\n"
        "    def add(self, x):\n        return x + self.k\nbound = Bound(«d»).add",
        "bound(x)",
        "bound.__self__.k = «d»",
    ),
    "ClassAttribute": ("class Attribute:\n    k = «d»", "x + Attribute.k", "Attribute.k = «d»"),
    "BaseClass": (
        "class Base:\n    def add(self, x):\n        return x + «d»\nclass Sub(Base):\n    pass",
        "Sub().add(x)",
        "",
    ),
    "ClassMethod": (
        "class Klass:\n    @classmethod\n    def add(cls, x):\n        return x + «d»",
        "Klass.add(x)",
        "",
    ),
    "StaticMethod": (
        "class Static:\n    @staticmethod\n    def add(x):\n        return x + «d»",
        "Static.add(x)",
        "",
    ),
    "Property": (
        "class Proper:\n    @property\n    def k(self):\n        return «d»",
        "x + Proper().k",
        "",
    ),
    "Operator": (
        "class Plus:\n    def __add__(self, x):\n        return x + «d»\nplus = Plus()",
        "plus + x",
        "",
    ),
    "Partial": (
        "def full(x, by):\n    return x + by\npartly = functools.partial(full, by=«d»)",
        "partly(x)",
        "",
    ),
    "PartialOfEdited": (
        "def edited(by, x):\n    return x * by + «d»\nof_edited = functools.partial(edited, 2)",
        "of_edited(x)",
        "",
    ),
    "LruCache": (
        "@functools.lru_cache\ndef remembered(x):\n    return x + «d»",
        "remembered(x)",
        "",
    ),
    "Decorated": (
        "def twice(function):\n    @functools.wraps(function)\n    def inner(x):\n"
        "        return function(x) * 2\n    return inner\n"
        "@twice\ndef decorated(x):\n    return x + «d»",
        "decorated(x)",
        "",
    ),
    "Decorator": (
        "def times(k):\n    def decorate(function):\n        @functools.wraps(function)\n"
        "        def inner(x):\n            return function(x) * k\n        return inner\n"
        "    return decorate\n@times(«d»)\ndef timed(x):\n    return x + 1",
        "timed(x)",
        "",
    ),
    "FunctionsInDict": (
        "def in_table(x):\n    return x + «d»\ntable = {'add': in_table}",
        "table['add'](x)",
        "",
    ),
    "LambdasInList": ("lambdas = [lambda x: x + «d»]", "lambdas[0](x)", ""),
    "NamedTuple": (
        "Pair = namedtuple('Pair', 'a k')\na_pair = Pair(1, «d»)",
        "x + a_pair.k",
        "",
    ),
    "Enumeration": ("class Kind(enum.Enum):\n    ONE = «d»", "x + Kind.ONE.value", ""),
    "FunctionAttribute": (
        "def carrier(x):\n    return x + carrier.k\ncarrier.k = «d»",
        "carrier(x)",
        "carrier.k = «d»",
    ),
    "Assisted": (
        "from «assist» import scale as assisted",
        "assisted(x)",
        "",
    ),
    "AssistedByModule": ("import «assist»", "«assist».scale(x) + «assist».BASE", ""),
    "Recursive": (
        "def down(x):\n    return «d» if x <= 0 else down(x - 1) + 1",
        "down(x % 4)",
        "",
    ),
}

CELLS = {name: _cell(name, *parts) for name, parts in _PARTS.items()}
"""By the name of the node in them."""
