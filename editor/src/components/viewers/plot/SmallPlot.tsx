/** A plot that a job gave, small. */
import type { ViewProps } from "../props";
import { useFile } from "../useFile";
import LivePlot from "./LivePlot";

export default function SmallPlot({ artifact }: ViewProps) {
  const fetched = useFile(artifact, parsed);
  if (fetched.state !== "ready") return <span>{artifact.name}</span>;
  return <LivePlot given={fetched.value} name={artifact.name} isSmall />;
}

function parsed(bytes: ArrayBuffer): unknown {
  return JSON.parse(new TextDecoder().decode(bytes));
}
