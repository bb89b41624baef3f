"""Plots: of lists of numbers, several in one, as pictures and as files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from nodegraph import Advanced, Context, File, Image, Plot, Range, node

from ._facts import check_result_name, image_state
from ._plot_facts import check_plot_file
from ._result_files import result_name, save_picture, save_result

Side = Annotated[int, Range(160, 4096)]
Scale = Literal["linear", "log"]


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
    """Plot a list of numbers, as a line, points or bars.

    Args:
        values: What is plotted; a number that isn't finite leaves a gap.
        name: Of these values in the legend, where there are several series.
        kind: How they are drawn.
        x: Where they stand; 0, 1, 2, … if not given.
        categories: What each value is of, in place of x.
        title: Above the plot.
        x_label: Below the horizontal axis.
        y_label: Above the vertical axis.
        x_scale: How the horizontal axis is spaced.
        y_scale: How the vertical axis is spaced; what isn't above 0 is a gap on log.
        low: Lower end of each value's interval, such as a confidence interval.
        high: Its upper end.
        note: A sentence below the plot, such as what the intervals mean.
    """
    from nodegraph.media.plots.series import build_series

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
    """Draw several plots over common axes, to compare them.

    Args:
        plots: One, or several in their order; labels and scales are the first one's.
        last: What is drawn over them.
        title: If empty, the one that all of them have.
        names: Of each plot, to tell apart what has one name in several.
    """
    from nodegraph.media.plots.series import join_plots

    both = [*plots, *([] if last is None else [last])]
    return join_plots(both, title, names or ())


@node(
    category="plot",
    version=2,
    facts={"image": {"width": "width", "height": "height"}},
    tags=("graph", "chart", "picture", "render"),
)
def DrawPlot(plot: Plot, width: Side = 640, height: Side = 400) -> Image:
    """Draw a plot as a picture.

    Args:
        plot: What is drawn; long series are thinned, their extremes kept.
        width: In pixels.
        height: In pixels.
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
    """Read a plot from JSON that SavePlot wrote, or from a table, such as another tool's log.

    Args:
        path: JSON, CSV or TSV; relative paths start from the inputs folder. In a table, the first
            line names the columns; the first column is x, the others are series.
    """
    from nodegraph.media.plots.files import read_plot

    environment = ctx.environment
    whole = environment.inputs / Path(path).expanduser()
    return read_plot(whole, names=environment.readable is None)


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
    """Write a plot to the output folder, with a picture of it beside.

    Args:
        plot: What is written.
        name: What the file names begin with; runs/loss makes a sub-folder.
        format: JSON is what editors show and LoadPlot reads, with the workflow that made it (long
            series are thinned); CSV has every number; SVG is a drawing of any size.
        width: Of the drawing, in pixels.
        height: The same.
        picture: Also write a PNG of it.
    """
    from nodegraph.media.images.workflow_metadata import workflow_metadata
    from nodegraph.media.plots.files import encode_plot
    from nodegraph.media.plots.rendering import plot_image

    texts = workflow_metadata(ctx.workflow)
    content = encode_plot(plot, format, texts, width=width, height=height)
    kind = {"json": "plot", "csv": "text", "svg": "image"}[format]
    name = result_name(ctx, name)
    save_result(ctx, name, f".{format}", content, kind=kind)
    if picture:
        save_picture(ctx, name, plot_image([plot], width, height))


@node(category="plot", lane="io", output=True, tags=("show", "look", "graph", "chart"))
def PreviewPlot(ctx: Context, plot: Plot) -> None:
    """Show a plot without keeping it.

    Args:
        plot: What is shown.
    """
    from nodegraph.media.images.output_files import save_by_content
    from nodegraph.media.plots.files import encode_plot

    content = encode_plot(plot, "json", {})
    saved = save_by_content(ctx.environment.temporary / "previews", ".json", content)
    ctx.preview(plot)
    ctx.wrote(saved.path, kind="plot", existed=saved.existed)
