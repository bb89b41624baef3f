/** The files of the server's inputs folder, by the path that an input is given for one. */
import { create } from "zustand";
import { api } from "@/api/client";
import type { InputFileEntry } from "@/api/schema";
import { answerTo } from "./queries";

interface InputFiles {
  readonly files: ReadonlyMap<string, InputFileEntry>;
}

export const useInputFiles = create<InputFiles>()(() => ({ files: new Map() }));

/** Milliseconds for which the folder isn't looked at again because of a path that isn't there. */
const REST = 2000;

async function load(staleTime: number): Promise<readonly InputFileEntry[]> {
  const queryFn = () => api.GET("/inputs");
  const { items } = await answerTo({ queryKey: ["inputs"], queryFn, staleTime });
  useInputFiles.setState({ files: new Map(items.map((item) => [item.path, item])) });
  return items;
}

/** What there is now, the newest first. */
export function loadInputFiles(): Promise<readonly InputFileEntry[]> {
  return load(0);
}

/** Find out about a path that nothing is known of; somebody may be typing it. */
export function lookForInput(path: string): void {
  if (useInputFiles.getState().files.has(path)) return;
  // Without an answer there is no picture; the connection's state tells why.
  load(REST).catch(() => undefined);
}
