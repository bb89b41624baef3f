/** The active document as a file of another kind. */
import { api, verbatim } from "@/api/client";
import { download } from "@/components/shell/download";
import { writeWorkflow } from "@/model/workflow";
import { useCatalogue } from "@/store/catalogue";
import { activeDocument, currentScope, currentWorkflow } from "@/store/documents";
import { fileName } from "./fileTypes";
import { titleOf } from "./opening";

function active() {
  const document = activeDocument();
  const workflow = currentWorkflow(document);
  return { workflow, scope: currentScope(document), title: titleOf(document.id, workflow) };
}

export function exportJsonFile(): void {
  const { workflow, title } = active();
  download(fileName(title, "json"), writeWorkflow(workflow));
}

export async function exportPythonFile(): Promise<void> {
  const { workflow, title } = active();
  const body = { workflow: verbatim(writeWorkflow(workflow)) };
  const { text: script } = await api.POST("/script", { body });
  // A module's name can't hold a hyphen or begin with a digit.
  const name = fileName(title, "py")
    .replace(/^(?=\d)/, "workflow_")
    .replaceAll("-", "_");
  download(name, script, "text/x-python");
}

/** The graph that is shown, as it stands. */
export async function exportSvgFile(): Promise<void> {
  const { exportSvg } = await import("@/model/exportSvg");
  const { workflow, scope, title } = active();
  const svg = exportSvg(workflow, scope, useCatalogue.getState().types);
  download(fileName(scope ?? title, "svg"), svg, "image/svg+xml");
}
