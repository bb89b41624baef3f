/** Seeing what came out of a node or runs through a link. */
import { Eye } from "lucide-react";
import type { ArtifactEntry } from "@/api/schema";
import { canvas } from "@/components/canvas/controller";
import { focusedItem } from "@/components/canvas/focus";
import { hoveredItem } from "@/components/canvas/links/hovered";
import { t } from "@/i18n";
import { changedSince } from "@/model/changed";
import { edgeItem, itemOf } from "@/model/items";
import { withLookNode } from "@/model/lookNode";
import { nodeOf } from "@/model/scope";
import { labelOf, typeOf } from "@/model/spec";
import type { Workflow } from "@/model/workflow";
import { useCatalogue } from "@/store/catalogue";
import { mayRun, useConnection } from "@/store/connection";
import { activeDocument, currentScope, currentWorkflow } from "@/store/documents";
import { runPrefix } from "@/store/entered";
import { lastOutputs, shownJob, useJobs } from "@/store/jobs";
import { picturesOf } from "@/store/nodePictures";
import { dismissNoticeOf, notify, notifyFault } from "@/store/notices";
import { usePlan } from "@/store/plan";
import { useUi } from "@/store/ui";
import { valueFiles } from "@/store/valueViews";
import { type Command, run } from "./registry";

/** An output, or what a node wrote if `port` is null. */
interface Viewed {
  readonly node: string;
  readonly port: string | null;
}

const NOTICE = "look";

/** What an item of the canvas stands for; null if nothing comes out of it. */
function viewedAt(id: string | null | undefined): Viewed | null {
  if (!id) return null;
  const item = itemOf(id);
  if (item.kind === "node") return { node: item.name, port: null };
  if (item.kind !== "edge" && item.kind !== "reroute") return null;
  const wanted = item.kind === "edge" ? id : edgeItem(item.edge);
  const edge = canvas()
    ?.edges()
    .find((each) => each.id === wanted);
  return edge ? { node: edge.source, port: edge.sourceHandle ?? null } : null;
}

/** Given, else under the mouse, else with the focus, else selected. */
function viewed(context?: unknown): Viewed | null {
  if (typeof context === "string") return viewedAt(context);
  const [selected] = activeDocument().selection;
  for (const id of [hoveredItem(), focusedItem(), selected]) {
    const found = viewedAt(id);
    if (found !== null) return found;
  }
  return null;
}

async function view(context: unknown): Promise<void> {
  const found = viewed(context);
  if (found === null) return;
  const name = runName(found.node);
  const written = found.port === null ? writtenBy(name) : [];
  const [artifact] = written;
  if (artifact) useUi.getState().openDialog("viewer", { artifact, list: written });
  else await look(found, name);
}

function runName(node: string): string {
  const { id, path } = activeDocument();
  const workflow = currentWorkflow(activeDocument());
  return runPrefix(id, workflow, useCatalogue.getState().types, path) + node;
}

/** The files that its card shows. */
function writtenBy(name: string) {
  const { id } = activeDocument();
  const [plan, jobs] = [usePlan.getState(), useJobs.getState()];
  const last = lastOutputs(jobs, id).get(name) ?? [];
  return picturesOf({
    node: name,
    workflow: currentWorkflow(activeDocument()),
    found: (plan.document === id ? plan.found.get(name) : null) ?? null,
    last,
    lastFor: jobs.jobs.get(last[0]?.job ?? "")?.workflow ?? null,
    isChosen: jobs.chosen.has(id),
  }).files;
}

/** What isn't written is asked for; what isn't computed yet isn't for the sake of a look. */
async function look({ node, port }: Viewed, name: string): Promise<void> {
  const document = activeDocument();
  const [workflow, scope] = [currentWorkflow(document), currentScope(document)];
  const { types } = useCatalogue.getState();
  const entry = nodeOf(workflow, scope, node);
  const spec = entry && types && typeOf(types, workflow, entry);
  if (!entry || !spec || !types) return;
  const title = entry.label || labelOf(spec);
  if (!isKnown(name)) {
    tell(t("running.lookUnknown", { node: title }), {
      action: { label: t("running.runToHere"), run: () => void run("run-to-here", node) },
    });
    return;
  }
  const added = withLookNode(workflow, scope, types, node, port);
  if (added === null || !mayRun(useConnection.getState())) {
    tell(t("running.lookNothing", { node: title }));
    return;
  }
  tell(t("running.looking", { node: title }), { progress: null, lasts: null });
  try {
    const looking = name.slice(0, -node.length) + added.name;
    const list = await valueFiles(added.workflow, { looking, node: name, title });
    if (list === null) return;
    dismissNoticeOf(NOTICE);
    showLooked(list, title);
  } catch (fault) {
    dismissNoticeOf(NOTICE);
    notifyFault(fault, { title: t("running.lookFailed"), key: NOTICE });
  }
}

/** Show what was asked for, but not in the place of what somebody does by then. */
export function showLooked(list: readonly ArtifactEntry[], title: string): void {
  const [artifact] = list;
  if (artifact === undefined) return;
  const show = () => useUi.getState().openDialog("viewer", { artifact, list });
  if (useUi.getState().dialog === null) show();
  else {
    const action = { label: t("running.show"), run: show };
    tell(t("running.looked", { node: title }), { action, lasts: null });
  }
}

function tell(title: string, more: Omit<Parameters<typeof notify>[0], "kind" | "title"> = {}) {
  notify({ kind: "info", title, key: NOTICE, ...more });
}

/** Whether it was computed for the values that stand there, as far as plan and run tell. */
function isKnown(name: string): boolean {
  const { id } = activeDocument();
  const workflow = currentWorkflow(activeDocument());
  const isOf = (other: Workflow | null) => other !== null && !changedSince(other, workflow)(name);
  const plan = usePlan.getState();
  const status = plan.document === id && isOf(plan.workflow) && plan.nodes.get(name)?.status;
  if (status && status !== "run") return true;
  const job = shownJob(useJobs.getState(), id);
  const state = job?.nodes.get(name)?.state;
  return isOf(job?.workflow ?? null) && (state === "done" || state === "cached");
}

export const commands: readonly Command[] = [
  {
    id: "view.value",
    label: "running.view",
    group: "view",
    keys: ["v"],
    icon: Eye,
    when: () => useUi.getState().view === "graph" && canvas() !== null,
    run: view,
  },
];
