/** An edit of the graph that is shown, as one undo step; what can't be done is told, not thrown. */
import { change } from "@/commands/selection";
import type { Scope } from "@/model/scope";
import type { Workflow } from "@/model/workflow";

export function edit(label: string, make: (workflow: Workflow, scope: Scope) => Workflow): void {
  change(label, (workflow, scope) => ({ workflow: make(workflow, scope) }));
}
