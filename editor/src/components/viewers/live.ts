/** The plot of a node that runs, fetched when there is one. */
import { lazyPart } from "@/components/shell/lazyPart";

export const LivePlot = lazyPart(() => import("./plot/LivePlot"));
