/** Lessons that workflows bring themselves, in their `ui`: a teacher's, or a pack's. */
import { t } from "@/i18n";
import { currentWorkflow, documentById, useDocuments } from "@/store/documents";
import { hasOwnLesson, ownLesson, showLesson } from "@/store/lessons";
import { notify } from "@/store/notices";

/** Offer the lesson that an opened workflow brings itself. */
export function offerOwnLesson(document: string): void {
  const found = documentById(document);
  if (found === null || !hasOwnLesson(currentWorkflow(found))) return;
  notify({
    kind: "info",
    title: t("lessons.offer"),
    key: `lesson-${document}`,
    action: { label: t("lessons.start"), run: () => startOwnLesson(document) },
  });
}

function startOwnLesson(document: string): void {
  try {
    const found = ownLesson(document);
    if (found === null) return;
    useDocuments.getState().activate(document);
    showLesson(found, false);
  } catch (fault) {
    const detail = fault instanceof Error ? fault.message : "";
    notify({ kind: "error", title: t("lessons.failed"), detail });
  }
}
