/** Going on with the picture of the selected node. */

import type { ArtifactEntry } from "@/api/schema";
import { isReadable } from "@/components/results/kinds";
import { ACTIONS, type Action, act } from "@/components/results/resultItems";
import { useCatalogue } from "@/store/catalogue";
import { mayRun, useConnection } from "@/store/connection";
import { activeDocument, currentWorkflow } from "@/store/documents";
import { runPrefix } from "@/store/entered";
import { lastOutputs, useJobs } from "@/store/jobs";
import { usePlan } from "@/store/plan";
import type { Command } from "./registry";
import { selected } from "./selection";

/** The first picture that the one selected node gave; null if it gave none. */
export function selectedPicture(): { artifact: ArtifactEntry; node: string } | null {
  const [node, ...others] = selected().nodes;
  if (node === undefined || others.length > 0) return null;
  const document = activeDocument();
  const { types } = useCatalogue.getState();
  const name = runPrefix(document.id, currentWorkflow(document), types, document.path) + node;
  const plan = usePlan.getState();
  const found = plan.document === document.id ? (plan.found.get(name)?.files ?? []) : [];
  const last = lastOutputs(useJobs.getState(), document.id).get(name) ?? [];
  const artifact = [...found, ...last].find(isReadable);
  return artifact ? { artifact, node } : null;
}

function command(action: Action, icon: (typeof ACTIONS)[number]["icon"]): Command {
  return {
    id: `results.${action}`,
    label: `results.command.${action}`,
    group: "nodes",
    icon,
    when: () => mayRun(useConnection.getState()) && selectedPicture() !== null,
    run: async () => {
      const found = selectedPicture();
      if (found !== null) await act(action, found.artifact, found.node);
    },
  };
}

export const commands: readonly Command[] = ACTIONS.map(({ action, icon }) =>
  command(action, icon),
);
