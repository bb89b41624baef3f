/** Files that a template reads, such as a picture: brought to the server, as inputs name uploads. */
import { upload } from "@/api/client";
import { send } from "@/api/http";
import { t } from "@/i18n";
import { setInput } from "@/model/edits";
import type { Workflow } from "@/model/workflow";
import { useCatalogue } from "@/store/catalogue";
import { notify, notifyFault } from "@/store/notices";

const CODE = /\.py$/i;

/** The template with its files in place; those that can't be got stay named as they were. */
export async function withTemplateFiles(name: string, workflow: Workflow): Promise<Workflow> {
  if (useCatalogue.getState().templates === null)
    await useCatalogue
      .getState()
      .needTemplates()
      .catch(() => undefined);
  const templates = useCatalogue.getState().templates ?? [];
  const needs = templates.find((template) => template.name === name)?.needs ?? [];
  return withFiles(`/templates/${encodeURIComponent(name)}`, needs, workflow);
}

/**
 * A workflow that comes with the server, with its files in place.
 *
 * @param path Where the server has it.
 */
export async function withFiles(
  path: string,
  needs: readonly string[],
  workflow: Workflow,
): Promise<Workflow> {
  let found = workflow;
  for (const file of needs.filter((need) => !CODE.test(need))) {
    const value = await bring(path, file);
    if (value === null) {
      notify({
        kind: "warning",
        title: t("files.needs", { file }),
        detail: t("files.needsDetail"),
      });
    } else {
      found = withValue(found, file, value);
    }
  }
  return found;
}

/** Folders that a workflow reads, put where the server reads inputs from; `path` as for files. */
export async function bringFolders(path: string, folders: readonly string[]): Promise<void> {
  if (folders.length === 0) return;
  try {
    await send("POST", `${path}/folders`);
  } catch (fault) {
    notifyFault(fault, {
      title: t("files.needsFolder", { count: folders.length, folder: folders.join("”, “") }),
    });
  }
}

async function bring(path: string, file: string): Promise<string | null> {
  try {
    const place = `${path}/files/${encodeURIComponent(file)}`;
    const answer = await send("GET", place, { headers: { accept: "*/*" } });
    return (await upload(await answer.blob(), { name: file })).value;
  } catch {
    return null;
  }
}

/** Every input that names the file names the upload instead. */
function withValue(workflow: Workflow, file: string, value: string): Workflow {
  let found = workflow;
  for (const [node, entry] of workflow.nodes) {
    for (const [port, written] of entry.inputs) {
      if (written === file) found = setInput(found, null, node, port, value);
    }
  }
  return found;
}
