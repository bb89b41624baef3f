"""Writes what nodegraph.core says of pairs of port types, for the editor's test of the same rules.

    python scripts/compat_table.py > src/model/fixtures/compat.tsv

Each line: source type, target type, conversions or "-", levels of lists mapped over; "no" for both
where the link isn't possible.
"""

from itertools import product

from nodegraph.core.types import BUILT_IN, TypeInfo, TypeTable, fit, parse_type

EXTRA = (
    TypeInfo("pack:Photo", parents=("Image",)),
    TypeInfo("pack:Portrait", parents=("pack:Photo", "pack:Portrait")),
    TypeInfo("pack:Count", parents=("int",)),
)
EXPRESSIONS = (
    "list[int]",
    "list[float]",
    "list[Mask]",
    "list[Image]",
    "list[Any]",
    "list[str]",
    "list[list[int]]",
    "list[list[Mask]]",
    "list[list[list[float]]]",
    "list[Image | Mask]",
    "Image | Mask",
    "Mask | Image",
    "int | float",
    "int | str",
    "Path | Latent",
    "float | list[float]",
    "list[Image] | Mask",
    "list[pack:Portrait]",
    "Image|Image",
)


def main() -> None:
    types = TypeTable(EXTRA)
    names = [info.name for info in (*BUILT_IN, *EXTRA) if info.name not in ("bytes", "Vae")]
    for source, target in product([*names, *EXPRESSIONS], repeat=2):
        found = fit(parse_type(source), parse_type(target), types)
        way = (
            ("no", "no") if found is None else (",".join(found.conversions) or "-", found.map_depth)
        )
        print(source, target, *way, sep="\t")


if __name__ == "__main__":
    main()
