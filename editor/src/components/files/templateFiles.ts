/** Files that a template reads, such as a picture: brought to the server, as inputs name uploads. */
import { upload } from "@/api/client";
import { send } from "@/api/http";
import { t } from "@/i18n";
import { setInput } from "@/model/edits";
import type { Workflow } from "@/model/workflow";
import { useCatalogue } from "@/store/catalogue";
import { notify } from "@/store/notices";

const PICTURE = /\.(png|jpe?g|webp)$/i;

/** The template with its pictures in place; those that can't be got stay named as they were. */
export async function withTemplateFiles(name: string, workflow: Workflow): Promise<Workflow> {
  const templates = useCatalogue.getState().templates ?? [];
  const needs = templates.find((template) => template.name === name)?.needs ?? [];
  let found = workflow;
  for (const file of needs.filter((need) => PICTURE.test(need))) {
    const value = await bring(name, file);
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

async function bring(template: string, file: string): Promise<string | null> {
  try {
    const path = `/templates/${encodeURIComponent(template)}/files/${encodeURIComponent(file)}`;
    const answer = await send("GET", path, { headers: { accept: "*/*" } });
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
