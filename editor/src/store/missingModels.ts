/** Where the models come from that a workflow lacks, as the server finds it. */
import { create } from "zustand";
import { api, verbatim } from "@/api/client";
import type { MissingModelEntry } from "@/api/schema";
import { type Workflow, writeWorkflow } from "@/model/workflow";
import { useDownloads } from "./downloads";
import { faultText } from "./notices";

export interface MissingModels {
  /** By the names that the workflow has; null while that isn't known. */
  readonly sources: ReadonlyMap<string, MissingModelEntry> | null;
  readonly isAsking: boolean;
  /** Why it couldn't be asked, in words. */
  readonly problem: string | null;
}

export const useMissingModels = create<MissingModels>()(() => ({
  sources: null,
  isAsking: false,
  problem: null,
}));

let question = 0;

/** Ask where what a workflow lacks can be got; it takes a while, as the server asks other sites. */
export async function askForMissing(workflow: Workflow): Promise<void> {
  const mine = ++question;
  useMissingModels.setState({ sources: null, isAsking: true, problem: null });
  try {
    const body = { workflow: verbatim(writeWorkflow(workflow)) };
    const { items } = await api.POST("/models/missing", { body });
    if (mine !== question) return;
    const sources = new Map(items.map((entry) => [entry.name, entry]));
    useMissingModels.setState({ sources, isAsking: false });
  } catch (fault) {
    if (mine !== question) return;
    useMissingModels.setState({ isAsking: false, problem: faultText(fault) || null });
  }
}

/** By what its download is known here. */
export function missingKey(name: string): string {
  return `missing:${name}`;
}

export function isGettable({ source, problem, installed_as: there }: MissingModelEntry): boolean {
  return source !== null && problem === null && there === null;
}

export async function getMissing(entry: MissingModelEntry): Promise<void> {
  const { name, source, kind, sha256 } = entry;
  if (source === null) return;
  await useDownloads.getState().start(missingKey(name), { source, name, kind, sha256 });
}

/** Get all that can be got, one after the other; what is refused says so beside it. */
export async function getAllMissing(entries: readonly MissingModelEntry[]): Promise<void> {
  for (const entry of entries) await getMissing(entry);
}
