/**
 * Presets: whole settings under a name. Each is a workflow that is saved on the server, so it is
 * there on the phone too, has versions, runs from the command line, and opens as a graph.
 */
import { deleteWorkflow, getWorkflow, listWorkflows, saveWorkflow } from "@/api/client";
import { ApiProblem } from "@/api/http";
import { t } from "@/i18n";
import { settingsOf } from "@/model/generate";
import { readWorkflow, writeWorkflow } from "@/model/workflow";
import { choose, generateWorkflow } from "@/store/generate";
import { notify, notifyFault } from "@/store/notices";
import { askText, confirm } from "@/store/ui";

/** The description by which presets are known among other workflows; the same in all languages. */
const PRESET = "Preset of the page Generate.";
const MOST = 200;

/** Their names. */
export async function listPresets(): Promise<readonly string[]> {
  const { items } = await listWorkflows({ text: PRESET, limit: MOST });
  return items.filter(({ description }) => description === PRESET).map(({ name }) => name);
}

/** Ask for a name, and keep what is chosen under it. */
export async function savePreset(): Promise<void> {
  const workflow = generateWorkflow();
  if (workflow === null) return;
  const name = await askText({
    title: t("generate.savePreset"),
    confirm: t("generate.save"),
    text: {
      label: t("generate.presetName"),
      value: "",
      check: (text) => (text.trim() === "" ? t("generate.nameMissing") : null),
    },
  });
  if (name === null) return;
  const preset = { ...workflow, title: name.trim(), description: PRESET };
  const text = writeWorkflow(preset);
  try {
    await saveWorkflow(name.trim(), text, "new").catch(async (fault) => {
      if (!(fault instanceof ApiProblem) || fault.status !== 412) throw fault;
      const isSure = await confirm({
        title: t("generate.replacePreset", { name: name.trim() }),
        confirm: t("generate.replace"),
      });
      if (isSure) await saveWorkflow(name.trim(), text, null);
    });
    notify({ kind: "success", title: t("generate.presetSaved", { name: name.trim() }) });
  } catch (fault) {
    notifyFault(fault, { title: t("generate.presetNotSaved", { name: name.trim() }) });
  }
}

export async function applyPreset(name: string): Promise<void> {
  try {
    const settings = settingsOf(readWorkflow((await getWorkflow(name)).text));
    if (settings === null) notify({ kind: "error", title: t("generate.notPreset", { name }) });
    else choose(settings);
  } catch (fault) {
    notifyFault(fault, { title: t("generate.notPreset", { name }) });
  }
}

export async function deletePreset(name: string): Promise<void> {
  const isSure = await confirm({
    title: t("generate.deletePreset", { name }),
    confirm: t("generate.delete"),
    danger: true,
  });
  if (!isSure) return;
  await deleteWorkflow(name).catch((fault) => notifyFault(fault));
}
