/** Workflows of other tools that are opened: the server translates them, and what it couldn't is told. */
import { read } from "@/api/client";
import type { Translated } from "@/api/schema";
import { t } from "@/i18n";
import { isObject, readJson } from "@/model/json";
import { type Workflow, workflowFromJson } from "@/model/workflow";
import { dismissNotice, notify } from "@/store/notices";
import { useUi } from "@/store/ui";

/** What came of a translation, but for the workflow itself. */
export type TranslationReport = Omit<Translated, "workflow">;

/** What came of the translation of a file, and the document that it is open in. */
export interface ToldTranslation {
  readonly name: string;
  readonly document: string;
  readonly report: TranslationReport;
}

const DIALOG = "translated";

/** What texts of another tool's are here, and what came of it.
 *
 * Args:
 *   name: Of the file; the workflow is called so unless the texts say how. */
export async function translated(
  texts: Readonly<Record<string, string>>,
  name: string,
): Promise<{ workflow: Workflow; report: TranslationReport }> {
  const notice = notify({
    kind: "info",
    title: t("files.translating", { name }),
    progress: null,
    lasts: null,
  });
  try {
    const { data } = await read("text", "post", "/import", { body: { texts: { ...texts } } });
    const { workflow, report } = translationOf(data);
    const title = workflow.title || name.replace(/\.[^.]+$/, "");
    return { workflow: { ...workflow, title }, report };
  } finally {
    dismissNotice(notice);
  }
}

/** Read with our own reader: seeds have more digits than JavaScript's numbers. */
function translationOf(text: string): { workflow: Workflow; report: TranslationReport } {
  const json = readJson(text);
  const workflow = workflowFromJson((isObject(json) && json.get("workflow")) || new Map());
  const { workflow: _, ...report } = JSON.parse(text) as Translated;
  return { workflow, report };
}

/** Say that a workflow was translated, and show what it lacks: below others that are shown. */
export function tellTranslated(told: ToldTranslation): void {
  const { name, report } = told;
  const done = report.nodes - report.untranslated.length;
  const show = () => {
    const { dialog, openDialog } = useUi.getState();
    const before = dialog?.name === DIALOG ? (dialog.props.told as ToldTranslation[]) : [];
    openDialog(DIALOG, { told: [...before, told] });
  };
  notify({
    kind: done === report.nodes ? "success" : "warning",
    title: t("files.translated", { name }),
    detail: t("files.translatedCount", { done, count: report.nodes }),
    lasts: 9000,
    action: saysAny(report) ? { label: t("files.translatedShow"), run: show } : undefined,
  });
  if (lacksAny(report)) show();
}

/** Whether something keeps it from running as it is. */
function lacksAny({ untranslated, models, files, families, problems }: TranslationReport): boolean {
  return [untranslated, models, files, families, problems].some((listed) => listed.length > 0);
}

function saysAny(report: TranslationReport): boolean {
  return lacksAny(report) || report.differences.length > 0;
}
