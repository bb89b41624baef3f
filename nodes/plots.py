"""Plots of lists of numbers, as images and as files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

from nodegraph import (
    Advanced,
    Context,
    File,
    Finding,
    HookInputs,
    Image,
    NodegraphError,
    Plot,
    Range,
    node,
)
from nodegraph.media.plots.files import check_plot

from ._credentials import warn_if_changed
from ._facts import check_result_name, error_to_finding, image_state, input_path
from ._result_files import result_name, save_picture, save_result

Side = Annotated[int, Range(160, 4096)]
Scale = Literal["linear", "log"]


def check_plot_file(inputs: HookInputs) -> Iterator[Finding]:
    """Find files that are missing or do not contain a plot."""
    path = input_path(inputs)
    if path is None:
        return
    try:
        # Users of a server must not learn about files of others.
        check_plot(path, names=inputs.environment.readable is None)
    except NodegraphError as error:
        yield error_to_finding("path", error)


@node(
    category="plot",
    tags=("graph", "chart", "curve", "diagram", "bar chart", "scatter", "histogram", "statistics"),
)
def PlotValues(
    values: list[float],
    name: str = "",
    kind: Literal["line", "points", "bars"] = "line",
    x: list[float] | None = None,
    categories: list[str] | None = None,
    title: str = "",
    x_label: str = "",
    y_label: str = "",
    x_scale: Annotated[Scale, Advanced()] = "linear",
    y_scale: Annotated[Scale, Advanced()] = "linear",
    low: Annotated[list[float] | None, Advanced()] = None,
    high: Annotated[list[float] | None, Advanced()] = None,
    note: Annotated[str, Advanced()] = "",
) -> Plot:
    """Plot a list of numbers as a line, points or bars.

    Args:
        values: Values to plot. A number that is not finite leaves a gap.
        name: Name of the series in the legend, if there are several series.
        kind: How the values are drawn.
        x: The x positions. 0, 1, 2, … if not linked.
        categories: Category name of each value, instead of x.
        title: Title above the plot.
        x_label: Label of the horizontal axis.
        y_label: Label of the vertical axis.
        x_scale: Scale of the horizontal axis.
        y_scale: Scale of the vertical axis. On log, values that are not above 0 leave a gap.
        low: Lower end of the interval of each value, for example a confidence interval.
        high: Upper end of the interval.
        note: Note below the plot, for example what the intervals mean.
    """
    from nodegraph.media.plots.axes import build_series

    series = build_series(
        values,
        name,
        kind,
        x=x or (),
        categories=categories or (),
        low=low or (),
        high=high or (),
    )
    notes = (note,) if note else ()
    return Plot(title, x_label, y_label, (series,), x_scale, y_scale, notes)


@node(category="plot", tags=("combine", "merge", "compare", "legend", "several series"))
def JoinPlots(
    plots: list[Plot],
    last: Plot | None = None,
    title: str = "",
    names: list[str] | None = None,
) -> Plot:
    """Combine several plots on the same axes, to compare them.

    Args:
        plots: One plot or several. Labels and scales are those of the first one.
        last: Plot to draw on top.
        title: Title. If empty, the title that all plots share.
        names: Name of each plot, to tell series with the same name apart.
    """
    from nodegraph.media.plots.axes import join_plots

    both = [*plots, *([] if last is None else [last])]
    return join_plots(both, title, names or ())


@node(
    category="plot",
    version=2,
    facts={"image": {"width": "width", "height": "height"}},
    tags=("graph", "chart", "picture", "render"),
)
def DrawPlot(plot: Plot, width: Side = 640, height: Side = 400) -> Image:
    """Draw a plot as an image.

    Args:
        plot: The plot. Long series are thinned, and their extremes are kept.
        width: Width in pixels.
        height: Height in pixels.
    """
    from nodegraph.media.plots.rendering import plot_image

    return plot_image([plot], width, height)


@node(
    category="plot",
    lane="io",
    validate=check_plot_file,
    fingerprint=image_state,
    tags=("open", "read", "graph", "chart", "csv", "table", "log"),
)
def LoadPlot(ctx: Context, path: Annotated[str, File("plot")]) -> Plot:
    """Load a plot from JSON of SavePlot, or from a table, for example a log of another tool.

    Args:
        path: JSON, CSV or TSV file. Relative paths start from the inputs folder. In a table, the
            first line has the column names. The first column is x, the others are series.
    """
    from nodegraph.media.plots.files import read_plot

    environment = ctx.environment
    file = environment.inputs / Path(path).expanduser()
    plot = read_plot(file, names=environment.readable is None)
    warn_if_changed(ctx, file)
    return plot


@node(
    category="plot",
    version=2,
    lane="io",
    output="files",
    validate=check_result_name,
    tags=("write", "file", "graph", "chart", "csv", "json", "svg", "export"),
)
def SavePlot(
    ctx: Context,
    plot: Plot,
    name: str = "plot",
    format: Literal["json", "csv", "svg"] = "json",
    width: Annotated[Side, Advanced()] = 640,
    height: Annotated[Side, Advanced()] = 400,
    picture: Annotated[bool, Advanced()] = True,
) -> None:
    """Save a plot to the output folder, with an image of it.

    Args:
        plot: The plot.
        name: Prefix of the file names. runs/loss makes a sub-folder.
        format: JSON is shown by editors and loaded by LoadPlot, and includes the workflow (long
            series are thinned). CSV has every number. SVG is a drawing that scales to any size.
        width: Width of the image in pixels.
        height: Height of the image in pixels.
        picture: Also save the plot as PNG.
    """
    from nodegraph.media.plots.files import encode_plot
    from nodegraph.media.plots.rendering import plot_image

    texts = ctx.file_metadata()
    content = encode_plot(plot, format, texts, width=width, height=height)
    kind = {"json": "plot", "csv": "text", "svg": "image"}[format]
    name = result_name(ctx, name)
    save_result(ctx, name, f".{format}", content, kind=kind, sidecar=format == "csv")
    if picture:
        save_picture(ctx, name, plot_image([plot], width, height))


@node(category="plot", lane="io", output=True, tags=("show", "look", "graph", "chart"))
def PreviewPlot(ctx: Context, plot: Plot) -> None:
    """Show a plot without saving it.

    Args:
        plot: The plot.
    """
    from nodegraph.media.images.output_files import save_by_content
    from nodegraph.media.plots.files import encode_plot

    content = encode_plot(plot, "json", {})
    saved = save_by_content(ctx.environment.temporary / "previews", ".json", content)
    ctx.preview(plot)
    ctx.wrote(saved.path, kind="plot", existed=saved.existed)
