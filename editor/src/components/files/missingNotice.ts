/** Says what a workflow lacks when it is opened: the dialog comes once, as soon as the server has told. */
import { useCatalogue } from "@/store/catalogue";
import { documentById, useDocuments } from "@/store/documents";
import { type PlanState, usePlan } from "@/store/plan";
import { useUi } from "@/store/ui";
import { isAwaited, missingModels, missingPacks } from "./missing";

/** Watch what is opened from now on; gives the way to stop. */
export function followMissing(): () => void {
  // What came back from last time was told of then.
  const told = new Set(useDocuments.getState().documents.map(({ id }) => id));
  const look = (plan: PlanState) => {
    const { document: id } = plan;
    if (id === null || told.has(id) || !isKnown(plan) || isBusy()) return;
    told.add(id);
    // Of one that was translated it was told then.
    const origin = documentById(id)?.origin;
    if (origin !== "new" && origin !== "import" && lacksAny(plan))
      useUi.getState().openDialog("missing");
  };
  look(usePlan.getState());
  return usePlan.subscribe(look);
}

function isKnown({ state, isAsking, workflow }: PlanState): boolean {
  const isTold = state === "ready" || state === "partial" || state === "invalid";
  const { types } = useCatalogue.getState();
  // A server that was just started for the first time knows no nodes until it has read its packs.
  const isRead = types !== null && workflow !== null && !isAwaited(workflow, types);
  return isTold && !isAsking && isRead;
}

/** Another dialog has the person's attention; the next plan is soon enough. */
function isBusy(): boolean {
  const { dialog, question } = useUi.getState();
  return dialog !== null || question !== null;
}

function lacksAny({ workflow, missing }: PlanState): boolean {
  if (workflow === null) return false;
  const packs = missingPacks(workflow, useCatalogue.getState().types, missing.packs);
  return packs.length + missingModels(workflow, missing.models).length > 0;
}
