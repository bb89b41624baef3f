/** The workflows that can be compared: states of a document, saved versions, jobs. */
import { api } from "@/api/client";
import { getWorkflow } from "@/api/workflows";
import { hasText, t } from "@/i18n";
import { moment } from "@/i18n/format";
import { readWorkflow, type Workflow } from "@/model/workflow";
import { mayRun, useConnection } from "@/store/connection";
import { currentWorkflow, type Document, documentById, useDocuments } from "@/store/documents";
import { workflowOf } from "@/store/gallery";
import { type JobView, useJobs } from "@/store/jobs";
import { useUi } from "@/store/ui";

/** One workflow that can be chosen for a side. */
export interface ComparedWorkflow {
  readonly key: string;
  readonly label: string;
  readonly group: string;
  readonly load: () => Promise<Workflow>;
}

export const NOW = "now";
/** Steps of the undo tree that can be chosen, the newest ones. */
const MOST_STEPS = 100;
const MOST_JOBS = 50;

interface Chosen {
  readonly first?: string | undefined;
  readonly second?: string | undefined;
}

/** Compare states of a document: by default its saved version with what there is now. */
export async function compareStates(id: string, chosen: Chosen = {}): Promise<void> {
  const document = documentById(id);
  if (!document) return;
  const versions = await versionsOf(document.savedName);
  const choices = [nowOf(document), ...snapshotsOf(document), ...versions, ...stepsOf(document)];
  const start = versions[0] ?? snapshotsOf(document)[0] ?? stepsOf(document).at(-1);
  show(choices, { first: chosen.first ?? start?.key, second: chosen.second ?? NOW }, id);
}

/** Compare versions of a saved workflow: one with the newest. */
export async function compareVersions(name: string, version: number): Promise<void> {
  const choices = await versionsOf(name);
  show(choices, { first: `version ${version}`, second: choices[0]?.key }, null);
}

/** Compare the workflows of jobs, with the values that they were run with. */
export function compareJobs(jobs: readonly string[]): void {
  const known = [...useJobs.getState().jobs.values()].sort((a, b) => b.created - a.created);
  const [second, other] = jobs;
  if (second === undefined) return;
  const at = known.findIndex(({ id }) => id === second);
  const older = at < 0 ? undefined : known[at + 1]?.id;
  const named = jobs.map(
    (id) => known.find((job) => job.id === id) ?? { id, name: "", created: 0 },
  );
  const others = known.filter(({ id }) => !jobs.includes(id)).slice(0, MOST_JOBS);
  const choices = [...named, ...others].map(jobChoice);
  const first = other ?? older;
  const { active } = useDocuments.getState();
  const document = documentById(active);
  if (document) choices.push(nowOf(document));
  show(
    choices,
    { first: first === undefined ? NOW : `job ${first}`, second: `job ${second}` },
    active,
  );
}

function show(choices: readonly ComparedWorkflow[], chosen: Chosen, document: string | null): void {
  useUi.getState().openDialog("compare", { choices, ...chosen, document });
}

function nowOf(document: Document): ComparedWorkflow {
  const workflow = currentWorkflow(document);
  return {
    key: NOW,
    label: t("comparison.now"),
    group: t("comparison.groups.document"),
    load: () => Promise.resolve(workflow),
  };
}

function snapshotsOf({ snapshots }: Document): readonly ComparedWorkflow[] {
  return snapshots.toReversed().map(({ id, name, value }) => ({
    key: `snapshot ${id}`,
    label: name,
    group: t("comparison.groups.snapshots"),
    load: () => Promise.resolve(value),
  }));
}

/** The versions on the server, the newest first; none where it can't be asked. */
async function versionsOf(name: string | null): Promise<readonly ComparedWorkflow[]> {
  if (name === null || !mayRun(useConnection.getState())) return [];
  const now = new Date();
  try {
    const { items } = await api.GET("/workflows/{name}/versions", { params: { path: { name } } });
    return [...items]
      .sort((a, b) => b.version - a.version)
      .map(({ version, saved }) => ({
        key: `version ${version}`,
        label: `${t("files.version", { version })} · ${moment(saved, now)}`,
        group: t("comparison.groups.versions"),
        load: async () => readWorkflow((await getWorkflow(name, version)).text),
      }));
  } catch {
    return []; // the states that the browser keeps are there all the same
  }
}

function stepsOf({ history }: Document): readonly ComparedWorkflow[] {
  const now = new Date();
  return [...history.entries.values()]
    .filter(({ id }) => id !== history.current)
    .sort((a, b) => b.id - a.id)
    .slice(0, MOST_STEPS)
    .map((entry) => ({
      key: `step ${entry.id}`,
      label: `${hasText(entry.label) ? t(entry.label) : entry.label} · ${moment(entry.at / 1000, now)}`,
      group: t("comparison.groups.steps"),
      load: () => Promise.resolve(entry.value),
    }));
}

function jobChoice(job: Pick<JobView, "id" | "name" | "created">): ComparedWorkflow {
  const time = job.created > 0 ? moment(job.created, new Date()) : job.id.slice(-6);
  return {
    key: `job ${job.id}`,
    label: `${job.name || t("comparison.job")} · ${time}`,
    group: t("comparison.groups.jobs"),
    load: () => workflowOf({ job: job.id }),
  };
}
