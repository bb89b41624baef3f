/** A mesh or a cloud of points, from its file. */
import { useCallback } from "react";
import { suffixOf } from "../kinds";
import type { ViewProps } from "../props";
import { useFile } from "../useFile";
import { Waiting } from "../Waiting";
import { SpaceStage } from "./SpaceStage";

export default function ShapeView({ artifact }: ViewProps) {
  const suffix = suffixOf(artifact.name);
  const made = useCallback(
    async (bytes: ArrayBuffer) => (await import("./engine")).readShape(bytes, suffix),
    [suffix],
  );
  const fetched = useFile(artifact, made);
  if (fetched.state !== "ready") return <Waiting artifact={artifact} fetched={fetched} />;
  return <SpaceStage name={artifact.name} model={fetched.value} />;
}
