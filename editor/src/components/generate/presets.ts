/** Presets of the page Generate: whole settings under a name. */
import { getWorkflow } from "@/api/workflows";
import { t } from "@/i18n";
import { settingsOf } from "@/model/generate";
import { readWorkflow } from "@/model/workflow";
import { choose, generateWorkflow } from "@/store/generate";
import { notify, notifyFault } from "@/store/notices";
import { presetNames, savePresetOf } from "@/store/presets";

/** The description by which presets are known among other workflows; the same in all languages. */
const PRESET = "Preset of the page Generate.";

/** Their names. */
export function listPresets(): Promise<readonly string[]> {
  return presetNames(PRESET);
}

/** Ask for a name, and keep what is chosen under it. */
export async function savePreset(): Promise<void> {
  const workflow = generateWorkflow();
  if (workflow !== null) await savePresetOf(PRESET, workflow);
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
