/** Every open document is tied to its draft on the server: kept there, and shared with others. */
import type { EventSocket } from "@/api/socket";
import { type Document, documentById, isUntouched, useDocuments } from "./documents";
import type { DraftLink } from "./draftLink";
import { whenIdle } from "./idle";
import { onOwnPointer } from "./pointers";

export interface DraftItem {
  readonly document: string;
  readonly title: string;
  /** Seconds since 1970. */
  readonly changed: number;
}

export interface SavedDraft {
  readonly etag: string;
  readonly version: number;
  readonly revision: number;
}

interface Tie {
  readonly link: DraftLink;
  readonly name: string | null;
}

let socket: EventSocket | null = null;
/** What ties, fetched with the first document that somebody has changed. */
let Link: typeof DraftLink | null = null;
let isFetching = false;
const ties = new Map<string, Tie>();
/** Documents whose next draft begins with what is saved. */
const resetNext = new Set<string>();

/** Keep all documents in step with their drafts; gives what ends it. */
export function startDrafts({ socket: given }: { readonly socket: EventSocket }): () => void {
  socket = given;
  const stops = [
    given.on("welcome", () => {
      for (const { link } of ties.values()) void link.join();
      tieAll();
    }),
    given.on("state", (state) => {
      if (state === "lost") for (const { link } of ties.values()) link.lost();
    }),
    given.on("draft", (message) => {
      for (const { link } of ties.values()) if (link.isMeant(message.draft)) link.hear(message);
    }),
    useDocuments.subscribe((state, before) => {
      if (state.documents === before.documents && state.active === before.active) return;
      tieAll();
      for (const [id, { link }] of ties) {
        const isSame = find(state.documents, id) === find(before.documents, id);
        if (!isSame || state.active !== before.active) link.changed();
      }
    }),
  ];
  stops.push(onOwnPointer((document) => ties.get(document)?.link.point()));
  tieAll();
  return () => {
    for (const stop of stops) stop();
    for (const id of [...ties.keys()]) untie(id);
    socket = null;
  };
}

function find(documents: readonly Document[], id: string): Document | undefined {
  return documents.find((document) => document.id === id);
}

/** Join what was opened or saved under another name, and leave what was closed. */
function tieAll(): void {
  if (socket === null || socket.welcome?.drafts !== true) return;
  const { documents } = useDocuments.getState();
  for (const [id, { name }] of ties) {
    const document = find(documents, id);
    if (document === undefined || document.savedName !== name) untie(id);
  }
  for (const document of documents) {
    const { id, savedName } = document;
    if (ties.has(id) || isUntouched(document)) continue;
    if (Link === null) {
      fetchLink();
      return;
    }
    const link = new Link(socket, id, savedName);
    ties.set(id, { link, name: savedName });
    void link.join(resetNext.delete(id));
  }
}

function fetchLink(): void {
  if (isFetching) return;
  isFetching = true;
  // The first changes are kept in the browser meanwhile.
  new Promise<void>((done) => whenIdle(done, 2000, 0))
    .then(() => import("./draftLink"))
    .then((found) => {
      Link = found.DraftLink;
    })
    // The next change or connection brings another try.
    .catch(() => undefined)
    .finally(() => {
      isFetching = false;
      if (Link !== null) tieAll();
    });
}

function untie(id: string): void {
  ties.get(id)?.link.leave();
  ties.delete(id);
}

/** A document is saved under another name: its draft begins with that, in its other windows too. */
export function beginAnew(id: string, name: string | null = null): void {
  resetNext.add(id);
  const document = documentById(id);
  const tie = ties.get(id);
  if (document === null || tie === undefined) return;
  if (document.savedName === null) void forgetDraft(id, name);
  // It is tied by this name already.
  else if (tie.name === document.savedName && resetNext.delete(id)) void tie.link.reset();
}

/** Whether a document's draft is there to be saved. */
export function isLive(id: string): boolean {
  const tie = ties.get(id);
  return tie !== undefined && tie.name !== null && tie.link.key !== null;
}

/** Save a document's draft as the next version; null if the server hasn't got all of it. */
export async function saveDraft(id: string, over = false): Promise<SavedDraft | null> {
  const tie = ties.get(id);
  if (!tie || socket === null || !(await tie.link.flush()) || tie.link.key === null) return null;
  return socket.request<SavedDraft>("draft.save", { draft: tie.link.key, over });
}

/** Documents without a name that the server keeps, the last changed first. */
export async function listDrafts(): Promise<readonly DraftItem[]> {
  if (socket === null || socket.welcome?.drafts !== true) return [];
  const found = await socket.request<{ readonly items: readonly DraftItem[] }>("draft.list");
  return found.items;
}

/** The text of such a document. */
export async function draftText(document: string): Promise<string | null> {
  if (socket === null) return null;
  const found = await socket.request<{ readonly text: string; readonly draft: string }>(
    "draft.join",
    { document },
  );
  return found.text;
}

/** Delete the draft of a document without a name; `name`: what it was saved as. */
export async function forgetDraft(document: string, name: string | null = null): Promise<void> {
  await socket?.request("draft.delete", { document, name }).catch(() => undefined);
}
