/** The list of tags that prompts are completed with: chosen by the person, kept in the browser. */
import { createStore, del, get, set } from "idb-keyval";
import { create } from "zustand";
import { ownName } from "@/api/rootPath";
import { type Tag, tagsOfCsv } from "@/model/generate";
import { readStored, writeStored } from "./persisted";

/** Bytes of the largest list that is read. */
export const LARGEST_LIST = 64 * 1024 * 1024;

const KEY = "nodegraph.tag-list";
const NONE: readonly Tag[] = [];

interface TagList {
  /** Of its file; null for none. */
  readonly name: string | null;
  /** Of tags. */
  readonly count: number;
}

function stored(): TagList {
  const found = readStored(KEY) as Partial<TagList> | null;
  const isList = typeof found?.name === "string" && typeof found.count === "number";
  return isList ? { name: found.name ?? null, count: found.count ?? 0 } : { name: null, count: 0 };
}

export const useTagList = create<TagList>()(() => stored());

let tags: Promise<readonly Tag[]> | null = null;

function database() {
  return createStore(ownName("nodegraph-tags"), "lists");
}

/** The tags, the most used first; none where no list was chosen or the browser has lost it. */
export function knownTags(): Promise<readonly Tag[]> {
  if (useTagList.getState().name === null) return Promise.resolve(NONE);
  tags ??= get<string>("list", database()).then(
    (csv) => (csv === undefined ? NONE : (tagsOfCsv(csv) ?? NONE)),
    () => NONE,
  );
  return tags;
}

/** Complete prompts with the tags of a file; false where it holds none. */
export async function chooseTagList(file: File): Promise<boolean> {
  const csv = file.size > LARGEST_LIST ? "" : await file.text();
  const found = tagsOfCsv(csv);
  if (found === null) return false;
  tags = Promise.resolve(found);
  // A browser that keeps nothing knows them until the page is closed.
  await set("list", csv, database()).catch(() => undefined);
  keep({ name: file.name, count: found.length });
  return true;
}

export async function forgetTagList(): Promise<void> {
  tags = null;
  keep({ name: null, count: 0 });
  await del("list", database()).catch(() => undefined);
}

function keep(list: TagList): void {
  useTagList.setState(list);
  writeStored(KEY, list);
}
