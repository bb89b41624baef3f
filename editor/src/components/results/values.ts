/** The values that a result was made with, taken into the graph that is open. */
import type { ArtifactEntry } from "@/api/schema";
import { t } from "@/i18n";
import { type Left, takeValues as taken } from "@/model/takenValues";
import { useCatalogue } from "@/store/catalogue";
import { activeDocument, currentWorkflow, documentById, useDocuments } from "@/store/documents";
import { workflowOf } from "@/store/gallery";
import { notify, notifyFault } from "@/store/notices";

/** Places that are named of those that couldn't be taken. */
const MOST_NAMED = 6;

/** One step to undo; true if anything was taken. What couldn't be is told. */
export async function takeValues(artifact: Pick<ArtifactEntry, "job">): Promise<boolean> {
  const { id } = activeDocument();
  try {
    const from = await workflowOf(artifact);
    const document = documentById(id);
    if (document === null) return false;
    const { types } = useCatalogue.getState();
    const { workflow, changed, left } = taken(from, currentWorkflow(document), types);
    if (changed.length > 0)
      useDocuments.getState().change("library.edit.values", () => workflow, { document: id });
    tell(changed.length, left, () => {
      const now = documentById(id);
      // What was edited since is nobody's to take back from here.
      if (now !== null && currentWorkflow(now) === workflow && activeDocument().id === id)
        useDocuments.getState().undo();
    });
    return changed.length > 0;
  } catch (fault) {
    notifyFault(fault, { title: t("library.fault.values") });
    return false;
  }
}

function tell(count: number, left: readonly Left[], undo: () => void): void {
  const named = left
    .slice(0, MOST_NAMED)
    .map(({ place, why }) => `${place} (${t(`library.left.${why}`)})`);
  const more = left.length - named.length;
  const detail =
    left.length === 0
      ? undefined
      : t("library.valuesLeft", {
          places: [...named, ...(more > 0 ? [`+${more}`] : [])].join(", "),
        });
  notify({
    kind: left.length > 0 ? "warning" : count > 0 ? "success" : "info",
    title: count > 0 ? t("library.valuesTaken", { count }) : t("library.valuesSame"),
    detail,
    key: "library-values",
    ...(count > 0 ? { action: { label: t("library.undo"), run: undo } } : {}),
  });
}
