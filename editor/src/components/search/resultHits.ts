/** What jobs gave, as the server finds it: by the words of its prompt, its job or its name. */
import type { ArtifactEntry } from "@/api/schema";
import { sinceText } from "@/components/files/times";
import { useUi } from "@/store/ui";
import type { Hit } from "./hits";

export function resultHits(artifacts: readonly ArtifactEntry[]): readonly Hit[] {
  return artifacts.map((artifact) => ({
    id: `result:${artifact.digest}`,
    kind: "results",
    label: artifact.name,
    note: [artifact.job_name, artifact.node, sinceText(artifact.created)].join(" · "),
    matches: [],
    score: 0,
    artifact,
    open: () => useUi.getState().openDialog("viewer", { artifact, list: artifacts }),
  }));
}
