/**
 * The lists of tags that prompts are completed with: kept by the server, for all browsers of a
 * client. Which of them is used is chosen in each browser.
 */
import { create } from "zustand";
import { api, read } from "@/api/client";
import type { TagListEntry } from "@/api/schema";
import { type Tag, tagsOfCsv } from "@/model/generate";
import { readStored, writeStored } from "./persisted";
import { answerTo, outdate, question } from "./queries";

/** Bytes of the largest list that is read. */
export const LARGEST_LIST = 64 * 1024 * 1024;

const KEY = "nodegraph.tag-list";
const NONE: readonly Tag[] = [];
const LONGEST_NAME = 80;

interface TagLists {
  /** Of the list in use; null for none. */
  readonly name: string | null;
  /** Of tags. */
  readonly count: number;
  /** All that the server keeps; as far as it was asked. */
  readonly known: readonly TagListEntry[];
}

function stored(): TagLists {
  const found = readStored(KEY) as Partial<TagLists> | null;
  const isList = typeof found?.name === "string" && typeof found.count === "number";
  const chosen = isList ? { name: found.name ?? null, count: found.count ?? 0 } : NOTHING;
  return { ...chosen, known: [] };
}

const NOTHING = { name: null, count: 0 };

export const useTagList = create<TagLists>()(() => stored());

function at(name: string) {
  return { params: { path: { name } } };
}

/** The tags, the most used first; none where no list was chosen or the server has lost it. */
export function knownTags(): Promise<readonly Tag[]> {
  const { name } = useTagList.getState();
  if (name === null) return Promise.resolve(NONE);
  const asked = question(["tag-list", name], async () => {
    const { data } = await read("text", "get", "/tag-lists/{name}", at(name));
    return tagsOfCsv(data) ?? NONE;
  });
  return answerTo(asked).catch(() => NONE);
}

/** Ask the server which lists there are. */
export async function loadTagLists(): Promise<void> {
  const { items } = await api.GET("/tag-lists");
  useTagList.setState({ known: items });
  const { name } = useTagList.getState();
  if (name !== null && !items.some((item) => item.name === name)) keep(NOTHING);
}

/** Complete prompts with a list of the server. */
export function takeTagList({ name, tags: count }: TagListEntry): void {
  keep({ name, count });
}

/**
 * Complete prompts with the tags of a file, which the server keeps; false where it holds none.
 *
 * Rejects with the server's problem where a row of it is wrong.
 */
export async function chooseTagList(file: File): Promise<boolean> {
  const csv = file.size > LARGEST_LIST ? "" : await file.text();
  if (tagsOfCsv(csv) === null) return false;
  const body = new Blob([csv], { type: "text/csv" });
  const list = await api.PUT("/tag-lists/{name}", { ...at(nameOf(file)), body });
  void outdate(["tag-list", list.name]);
  takeTagList(list);
  await loadTagLists().catch(() => undefined);
  return true;
}

/** The name of a list, of what names of files may hold everywhere. */
function nameOf({ name }: File): string {
  const plain = name.replace(/\.csv$/i, "").normalize("NFC");
  const safe = plain.replaceAll(/[^\p{L}\p{M}\p{Nd} _.()+,=@'!&-]/gu, "_").replace(/^[ .-]+/, "");
  return safe.slice(0, LONGEST_NAME).replace(/[ .]+$/, "") || "tags";
}

/** Complete prompts without a list. */
export function leaveTagList(): void {
  keep(NOTHING);
}

/** Delete a list from the server. */
export async function forgetTagList(name: string): Promise<void> {
  await api.DELETE("/tag-lists/{name}", at(name));
  if (useTagList.getState().name === name) leaveTagList();
  await loadTagLists();
}

function keep(list: Pick<TagLists, "name" | "count">): void {
  useTagList.setState(list);
  writeStored(KEY, list);
}
