/**
 * Presets: values under a name. Each is a workflow that is saved on the server, so it is there on
 * the phone too, has versions, runs from the command line, and opens as a graph.
 */
import { api } from "@/api/client";
import { ApiProblem } from "@/api/http";
import { saveWorkflow } from "@/api/workflows";
import { t } from "@/i18n";
import { type Workflow, writeWorkflow } from "@/model/workflow";
import { notify, notifyFault } from "./notices";
import { askText, confirm } from "./ui";

const MOST = 200;

/** The names of the presets of a kind, which is their description; the same in all languages. */
export async function presetNames(kind: string): Promise<readonly string[]> {
  const { items } = await api.GET("/workflows", { params: { query: { text: kind, limit: MOST } } });
  return items.filter(({ description }) => description === kind).map(({ name }) => name);
}

/** Ask for a name, and keep a workflow under it as a preset of a kind. True if it was kept. */
export async function savePresetOf(kind: string, workflow: Workflow): Promise<boolean> {
  const answer = await askText({
    title: t("generate.savePreset"),
    confirm: t("generate.save"),
    text: {
      label: t("generate.presetName"),
      value: "",
      check: (text) => (text.trim() === "" ? t("generate.nameMissing") : null),
    },
  });
  const name = answer?.trim();
  if (!name) return false;
  const text = writeWorkflow({ ...workflow, title: name, description: kind });
  try {
    await saveWorkflow(name, text, "new").catch(async (fault) => {
      if (!(fault instanceof ApiProblem) || fault.status !== 412) throw fault;
      const isSure = await confirm({
        title: t("generate.replacePreset", { name }),
        confirm: t("generate.replace"),
      });
      if (isSure) await saveWorkflow(name, text, null);
    });
    notify({ kind: "success", title: t("generate.presetSaved", { name }) });
    return true;
  } catch (fault) {
    notifyFault(fault, { title: t("generate.presetNotSaved", { name }) });
    return false;
  }
}

export async function deletePreset(name: string): Promise<void> {
  const isSure = await confirm({
    title: t("generate.deletePreset", { name }),
    confirm: t("generate.delete"),
    danger: true,
  });
  if (!isSure) return;
  await api
    .DELETE("/workflows/{name}", { params: { path: { name } } })
    .catch((fault) => notifyFault(fault));
}
