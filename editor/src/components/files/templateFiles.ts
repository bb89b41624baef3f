/** Files that a template reads, such as a picture: brought to the server, as inputs name uploads. */
import { api, read } from "@/api/client";
import { ANY, upload } from "@/api/files";
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
  return withFiles(needs, workflow, (file) =>
    read("blob", "get", "/templates/{name}/files/{file}", {
      params: { path: { name, file } },
      headers: ANY,
    }),
  );
}

/**
 * A workflow that comes with the server, with its files in place.
 *
 * @param ask Asks the server for one of its files.
 */
export async function withFiles(
  needs: readonly string[],
  workflow: Workflow,
  ask: (file: string) => Promise<{ readonly data: Blob }>,
): Promise<Workflow> {
  let found = workflow;
  for (const file of needs.filter((need) => !CODE.test(need))) {
    const value = await bring(ask, file);
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

/** Folders that the example of a node type reads, put where the server reads inputs from. */
export async function bringFolders(type: string, folders: readonly string[]): Promise<void> {
  if (folders.length === 0) return;
  try {
    await api.POST("/node-types/{type}/example/folders", { params: { path: { type } } });
  } catch (fault) {
    notifyFault(fault, {
      title: t("files.needsFolder", { count: folders.length, folder: folders.join("”, “") }),
    });
  }
}

async function bring(
  ask: (file: string) => Promise<{ readonly data: Blob }>,
  file: string,
): Promise<string | null> {
  try {
    return (await upload((await ask(file)).data, { name: file })).value;
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
