/** Changes to the active document from the inspector, with faults told instead of thrown. */
import { t } from "@/i18n";
import { EditFault } from "@/model/fault";
import type { Scope } from "@/model/scope";
import type { Workflow } from "@/model/workflow";
import { activeDocument, currentScope, useDocuments } from "@/store/documents";
import { notify } from "@/store/notices";

interface Options {
  readonly merge?: string;
  readonly select?: Iterable<string>;
}

/** One undo step named by an i18n key; a fault of the edit becomes a notice. True if it was done. */
export function edit(
  label: string,
  change: (workflow: Workflow, scope: Scope) => Workflow,
  options: Options = {},
): boolean {
  const scope = currentScope(activeDocument());
  try {
    useDocuments.getState().change(t(label), (workflow) => change(workflow, scope), options);
    return true;
  } catch (fault) {
    if (!(fault instanceof EditFault)) throw fault;
    notify({
      kind: "warning",
      title: t(`panels.fault.${fault.code}`, { names: fault.names.join(", ") }),
    });
    return false;
  }
}
