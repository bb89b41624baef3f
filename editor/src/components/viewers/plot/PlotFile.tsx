/** A plot from the file that a job gave. */
import { type Plot, readPlot } from "@/model/plot";
import type { ViewProps } from "../props";
import { useFile } from "../useFile";
import { Waiting } from "../Waiting";
import { PlotView } from "./PlotView";

export default function PlotFile({ artifact }: ViewProps) {
  const fetched = useFile(artifact, made);
  if (fetched.state !== "ready") return <Waiting artifact={artifact} fetched={fetched} />;
  return <PlotView plot={fetched.value} name={artifact.name} />;
}

function made(bytes: ArrayBuffer): Plot | null {
  return readPlot(JSON.parse(new TextDecoder().decode(bytes)));
}
