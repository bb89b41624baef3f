/** Plots in cards, fetched when there are some: of nodes that run, and of those that have. */
import { lazyPart } from "@/components/shell/lazyPart";

export const LivePlot = lazyPart(() => import("./plot/LivePlot"));
export const SmallPlot = lazyPart(() => import("./plot/SmallPlot"));
