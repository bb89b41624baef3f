/** The files of the server's inputs folder, by the path that an input is given for one. */
import { create } from "zustand";
import { api } from "@/api/client";
import type { InputFileEntry } from "@/api/schema";

interface InputFiles {
  readonly files: ReadonlyMap<string, InputFileEntry>;
}

export const useInputFiles = create<InputFiles>()(() => ({ files: new Map() }));

/** Milliseconds for which the folder isn't looked at again because of a path that isn't there. */
const REST = 2000;
let loading: Promise<readonly InputFileEntry[]> | null = null;
let looked = Number.NEGATIVE_INFINITY;

/** What there is now, the newest first. */
export function loadInputFiles(): Promise<readonly InputFileEntry[]> {
  loading ??= api
    .GET("/inputs")
    .then(({ items }) => {
      useInputFiles.setState({ files: new Map(items.map((item) => [item.path, item])) });
      return items;
    })
    .finally(() => {
      loading = null;
      looked = performance.now();
    });
  return loading;
}

/** Find out about a path that nothing is known of; somebody may be typing it. */
export function lookForInput(path: string): void {
  if (useInputFiles.getState().files.has(path) || performance.now() - looked < REST) return;
  // Without an answer there is no picture; the connection's state tells why.
  loadInputFiles().catch(() => undefined);
}
