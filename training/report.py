"""Figures of a measurement as plain Markdown tables."""

from typing import Any

TITLES = {
    "single": '"a X on a C background", every object',
    "names": "a name or synonym alone",
    "pair": "two objects, every relation",
    "place": "one object in one of nine places",
    "size": "one object in three sizes",
    "count": "two or three of one object",
    "colour": "an object in a color",
    "robust": "unusual wording",
    "empty": "the empty prompt",
    "diverse": "the same prompt by several seeds",
}
MARKS = {
    "top1": "object first",
    "top5": "object in first five",
    "background": "background",
    "first": "left or upper object",
    "second": "right or lower object",
    "both": "both",
    "place": "place",
    "size": "size",
    "count": "number, and nothing else",
    "objects": "every object",
    "object": "object",
    "colour": "color",
    "plain": "plain background",
    "sure": "shows some object",
}


def table(head: list[str], rows: list[list[Any]]) -> list[str]:
    """Lines of a Markdown table, and an empty one."""
    lines = [head, ["---"] * len(head), *rows]
    return ["| " + " | ".join(str(cell) for cell in line) + " |" for line in lines] + [""]


def markdown(figures: dict[str, Any]) -> str:
    """All tables of a measurement, in percent where nothing else is said."""
    lines = [
        f"DDIM, {figures['steps']} steps, guidance scale {figures['guidance']:g}; "
        f"{figures['objects']} objects; percent. Real renders of the same questions, scored by the "
        "same program, show what a perfect model would get.",
        "",
    ]
    if figures["rehearsal"]:
        lines += ["A rehearsal: a tenth of the questions, with separate prompts and seeds.", ""]
    asked = [name for name in TITLES if figures.get(name, {}).get("n")]
    lines += _overview(asked, figures) if asked else []
    for name in asked:
        lines += _kinds(name, figures[name]) if "kinds" in figures[name] else []
    if "single" in asked:
        lines += _worst(figures["single"])
    for name, write in (
        ("empty", _empty),
        ("diverse", _diverse),
        ("frechet", _frechet),
        ("samplers", _samplers),
        ("vae", _vae),
        ("judge", _judge),
    ):
        lines += write(figures[name]) if figures.get(name, {}).get("n") else []
    return "\n".join(lines).rstrip() + "\n"


def _marks(figures: dict[str, Any]) -> list[str]:
    return [name for name in MARKS if name in figures]


def _overview(asked: list[str], figures: dict[str, Any]) -> list[str]:
    rows = [
        [title, found["n"], MARKS[mark], found[mark], found["renders"][mark]]
        for title, found in ((TITLES[name], figures[name]) for name in asked)
        for mark in _marks(found)
    ]
    return table(["Prompts", "n", "Right", "Model", "Real renders"], rows)


def _kinds(name: str, figures: dict[str, Any]) -> list[str]:
    marks = _marks(figures)
    rows = [
        [kind, found["n"], *(found[mark] for mark in marks)]
        for kind, found in figures["kinds"].items()
    ]
    return [TITLES[name] + ":", "", *table(["Kind", "n", *(MARKS[mark] for mark in marks)], rows)]


def _worst(figures: dict[str, Any]) -> list[str]:
    worst = ", ".join(f"{name} {share:g}" for name, share in figures["worst"].items())
    return [
        f"{figures['objects_asked']} objects, {figures['pictures_each']:g} images each: the "
        f"least recognized is at {figures['least']:g} %; {len(figures['under_60'])} are under "
        "60 %. "
        f"The worst: {worst}.",
        "",
    ]


def _empty(figures: dict[str, Any]) -> list[str]:
    return [
        f"Empty prompt, {figures['n']} seeds: {figures['sane']:g} % have a plain background and "
        f"show an object with a score of at least {figures['threshold']:g} from the judge; "
        f"{figures['distinct_objects']} different objects. For images of shuffled tiles it is as "
        f"sure in {figures['sure_of_shuffled_tiles']:g} %.",
        "",
    ]


def _diverse(figures: dict[str, Any]) -> list[str]:
    rows = [
        [name, found["pixels"], found["features"]]
        for name, found in (
            ("model", figures["diversity"]),
            ("real renders", figures["diversity_of_renders"]),
        )
    ]
    head = [
        "Two images of one prompt",
        "differ by, of 255",
        "and in features, % of two prompts'",
    ]
    return table(head, rows)


def _frechet(figures: dict[str, Any]) -> list[str]:
    return [
        f"Fréchet distance in the judge's {figures['features']} features, {figures['n']} images "
        f"against as many real renders of other captions: {figures['distance']:g}; of real renders "
        f"of the same captions against these: {figures['floor']:g}. Images against renders of "
        f"their own captions: {figures['same_captions']:g}.",
        "",
    ]


def _samplers(figures: dict[str, Any]) -> list[str]:
    names = ("sampler", "steps", "guidance", "top1", "background", "both", "seconds")
    head = ["Sampler", "Steps", "Guidance", "Object first", "Background", "Both of two", "s each"]
    rows = [[row[name] for name in names] for row in figures["rows"]]
    about = f"By sampler: {figures['n']} prompts for one object, {figures['n_pairs']} for two."
    return [about, "", *table(head, rows)]


def _vae(figures: dict[str, Any]) -> list[str]:
    rows = [["all kinds as in training", figures["n"], figures["psnr"]]]
    titles = {
        "one": "one large object",
        "placed": "one small or medium object",
        "pair": "two objects",
        "alike": "two or three alike",
        "small": "only the box of a small object",
    }
    rows += [[title, figures[name]["n"], figures[name]["psnr"]] for name, title in titles.items()]
    return table(["Autoencoder on held-out scenes", "n", "PSNR, dB"], rows)


def _judge(figures: dict[str, Any]) -> list[str]:
    rows = [
        ["fresh renders", figures["n"], figures["renders"]],
        ["the same, blurred, shrunk and noisy", figures["n"], figures["worsened"]],
    ]
    titles = {
        "single": "renders of questions for one object",
        "pair": "both of two, in crops",
        "place": "small or medium, in crops",
    }
    for name, title in titles.items():
        for key, words in ((name, title), (f"{name}_reconstructed", f"{title}, reconstructed")):
            share = next(value for mark, value in figures[key].items() if mark != "n")
            rows.append([words, figures[key]["n"], share])
    under = ", ".join(figures["under_60"]) or "none"
    about = f"Lowest of an object: {figures['least']:g} %; under 60 %: {under}."
    return [*table(["The judge itself, on real renders", "n", "Right"], rows), about, ""]
