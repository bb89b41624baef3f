/** Beginning lessons and the tour, each in a document of its own: what is open stays as it is. */
import { openTemplate } from "@/components/files/opening";
import { t } from "@/i18n";
import { isUnderWay } from "@/model/lessons/progress";
import { useDocuments } from "@/store/documents";
import {
  documentOfLesson,
  fetchLesson,
  progressOf,
  showLesson,
  TOUR,
  useLessons,
} from "@/store/lessons";
import { notifyFault } from "@/store/notices";
import { useUi } from "@/store/ui";
import { whenDrawn } from "./targets";

export { TOUR };

/** Take up the tour where it was left, else from its beginning. */
export function startTour(): Promise<boolean> {
  return startLesson(TOUR);
}

/** Show a template's lesson; true if it is shown. One that is under way goes on in its document. */
export async function startLesson(name: string, isAnew = false): Promise<boolean> {
  try {
    const found = await fetchLesson(name);
    const known = isAnew || !isUnderWay(progressOf(useLessons.getState(), name));
    const document = (known ? null : documentOfLesson(name)) ?? (await openTemplate(name));
    if (document === null) return false;
    useDocuments.getState().activate(document);
    useUi.getState().setView("graph");
    showLesson({ ...found, name, document }, isAnew);
    return true;
  } catch (fault) {
    notifyFault(fault, { title: t("lessons.failed") });
    return false;
  }
}

/** Show a template's lesson beside a document that was just opened of it. */
export async function greetWithTour(document: string): Promise<void> {
  const found = await fetchLesson(TOUR);
  // Before, nothing can be pointed at.
  await whenDrawn();
  showLesson({ ...found, name: TOUR, document }, false);
}
