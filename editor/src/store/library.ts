/** What people note of results: stars, tags, boards, notes and the trash; shown before it is stored. */
import { create } from "zustand";
import { api, type BodyOf } from "@/api/client";
import type { ArtifactEntry, Board, TagCount } from "@/api/schema";
import { t } from "@/i18n";
import { socket } from "./connection";
import {
  changeListed,
  dropFromGallery,
  knownResults,
  listedResults,
  outdateResults,
  restoreResults,
  useGallery,
} from "./gallery";
import { UNMARKED } from "./jobs";
import { notify, notifyFault } from "./notices";
import { newAnswerTo, question } from "./queries";

/** What is noted of one result. */
export type Marks = Pick<ArtifactEntry, "stars" | "tags" | "note" | "board" | "trashed">;

export interface Library {
  /** The tags in use, the most frequent first. */
  readonly tags: readonly TagCount[];
  readonly boards: readonly Board[];
  readonly isLoaded: boolean;
  /** By digest: of results that the gallery doesn't show. */
  readonly marks: ReadonlyMap<string, Marks>;
  /** Digests in the trash, for pages that show the results of jobs, which don't know of it. */
  readonly trashed: ReadonlySet<string>;
}

export const useLibrary = create<Library>()(() => ({
  tags: [],
  boards: [],
  isLoaded: false,
  marks: new Map(),
  trashed: new Set(),
}));

export type MarkChange = Omit<BodyOf<"patch", "/library">, "digests">;

/** Digests that one request may name. */
const MOST_MARKED = 1000;
/** Milliseconds in which several changes are read at once. */
const PAUSE = 150;
const MOST_FILES = 1000;
const TAGS = question(["library", "tags"], (signal) => api.GET("/library/tags", { signal }));
const BOARDS = question(["library", "boards"], (signal) => api.GET("/library/boards", { signal }));
const TRASHED = question(["library", "trashed"], (signal) => {
  const query = { trashed: "true", limit: MOST_FILES } as const;
  return api.GET("/artifacts", { params: { query }, signal });
});

/** Read the tags and boards. */
export async function loadLibrary(): Promise<void> {
  const [tags, boards] = await Promise.all([newAnswerTo(TAGS), newAnswerTo(BOARDS)]);
  useLibrary.setState({ tags: tags.items, boards: boards.items, isLoaded: true });
}

/** Read what is in the trash. */
export async function loadTrashed(): Promise<void> {
  const { items } = await newAnswerTo(TRASHED);
  useLibrary.setState({ trashed: new Set(items.map(({ digest }) => digest)) });
}

/** Follow what other pages and programs note; gives what ends it. */
export function startLibrary(): () => void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const stop = socket().on("notice", ({ kind }) => {
    if (kind !== "library.changed") return;
    clearTimeout(timer);
    timer = setTimeout(refresh, PAUSE);
  });
  return () => {
    clearTimeout(timer);
    stop();
  };
}

function refresh(): void {
  useLibrary.setState({ marks: new Map() });
  void outdateResults();
  // What can't be read now is read with the next change.
  if (useLibrary.getState().isLoaded) loadLibrary().catch(() => undefined);
}

// What is noted of a result

/** What is noted of a result, wherever it is shown: a card knows nothing of it. */
export function marksOf(
  artifact: ArtifactEntry,
  items: readonly ArtifactEntry[],
  { marks }: Pick<Library, "marks">,
): Marks {
  const listed = items.find(({ digest }) => digest === artifact.digest);
  return listed ?? marks.get(artifact.digest) ?? artifact;
}

/** Read what is noted of a result that the gallery doesn't show. */
export async function learnMarks({ job, digest }: ArtifactEntry): Promise<void> {
  const isKnown = listedResults().some((each) => each.digest === digest);
  if (isKnown || useLibrary.getState().marks.has(digest)) return;
  const { items } = await api.GET("/artifacts", { params: { query: { job, limit: MOST_FILES } } });
  const found = items.find((each) => each.digest === digest);
  if (found !== undefined) remember([digest], () => found);
}

function remember(digests: readonly string[], change: (before: Marks) => Marks): void {
  const marks = new Map(useLibrary.getState().marks);
  for (const digest of digests) {
    const { stars, tags, note, board, trashed } = change(marks.get(digest) ?? UNMARKED);
    marks.set(digest, { stars, tags, note, board, trashed });
  }
  useLibrary.setState({ marks });
}

// Noting

/** Note the same of several results; what goes wrong is told, and they are as before. */
export async function mark(
  artifacts: readonly ArtifactEntry[],
  change: MarkChange,
): Promise<boolean> {
  const digests = digestsOf(artifacts);
  const [results, { marks }] = [knownResults(), useLibrary.getState()];
  show(digests, (before) => changed(before, change));
  leaveBoard(digests, change);
  try {
    await inParts(digests, (part) => api.PATCH("/library", { body: { ...change, digests: part } }));
  } catch (fault) {
    restoreResults(results);
    useLibrary.setState({ marks });
    notifyFault(fault, { title: t("library.fault.mark") });
    return false;
  }
  // Which tags there are, and how many each, has changed.
  if (useLibrary.getState().isLoaded) loadLibrary().catch(() => undefined);
  return true;
}

function changed(before: Marks, change: MarkChange): Marks {
  const { stars, add_tags = [], remove_tags = [], note, board } = change;
  const tags = before.tags.filter((tag) => !remove_tags.includes(tag));
  return {
    trashed: before.trashed,
    stars: stars ?? before.stars,
    tags: [...new Set([...tags, ...add_tags])],
    note: note === undefined ? before.note : note,
    board: board === undefined ? before.board : board,
  };
}

function show(digests: readonly string[], change: (before: Marks) => Marks): void {
  const meant = new Set(digests);
  changeListed((item) => (meant.has(item.digest) ? { ...item, ...change(item) } : item));
  const known = useLibrary.getState().marks;
  const listed = new Set(listedResults().map(({ digest }) => digest));
  remember(
    digests.filter((digest) => known.has(digest) || !listed.has(digest)),
    change,
  );
}

/** What is put on another board isn't on the one that is looked at. */
function leaveBoard(digests: readonly string[], { board }: MarkChange): void {
  const { board: shown } = useGallery.getState();
  if (board !== undefined && shown !== null && board !== shown) dropFromGallery(digests);
}

function digestsOf(artifacts: readonly ArtifactEntry[]): readonly string[] {
  return [...new Set(artifacts.map(({ digest }) => digest))];
}

async function inParts(
  digests: readonly string[],
  send: (part: string[]) => Promise<unknown>,
): Promise<void> {
  for (let from = 0; from < digests.length; from += MOST_MARKED)
    await send(digests.slice(from, from + MOST_MARKED));
}

// The trash

/** Put results into the trash, with a way back; gives those that are there now. */
export async function trash(
  artifacts: readonly ArtifactEntry[],
): Promise<readonly ArtifactEntry[]> {
  const digests = digestsOf(artifacts);
  if (digests.length === 0) return [];
  try {
    await inParts(digests, (part) => api.POST("/library/trash", { body: { digests: part } }));
  } catch (fault) {
    notifyFault(fault, { title: t("library.fault.trash") });
    return [];
  }
  if (!useGallery.getState().isTrash) dropFromGallery(digests);
  useLibrary.setState(({ trashed }) => ({ trashed: new Set([...trashed, ...digests]) }));
  notify({
    kind: "info",
    title: t("library.trashed", { count: digests.length }),
    key: "library-trash",
    lasts: UNDO_LASTS,
    action: { label: t("library.undo"), run: () => void restore(artifacts) },
  });
  return artifacts;
}

/** Milliseconds in which somebody finds that it was the wrong one. */
const UNDO_LASTS = 12_000;

/** Take results out of the trash. */
export async function restore(artifacts: readonly ArtifactEntry[]): Promise<boolean> {
  const digests = digestsOf(artifacts);
  try {
    await inParts(digests, (part) => api.POST("/library/restore", { body: { digests: part } }));
  } catch (fault) {
    notifyFault(fault, { title: t("library.fault.restore") });
    return false;
  }
  const back = new Set(digests);
  useLibrary.setState(({ trashed }) => ({
    trashed: new Set([...trashed].filter((digest) => !back.has(digest))),
  }));
  if (useGallery.getState().isTrash) dropFromGallery(digests);
  else await outdateResults();
  return true;
}

/** Delete for good what is in the trash. */
export async function clearTrash(): Promise<boolean> {
  try {
    await api.DELETE("/library/trash");
  } catch (fault) {
    notifyFault(fault, { title: t("library.fault.empty") });
    return false;
  }
  if (useGallery.getState().isTrash) dropFromGallery(digestsOf(listedResults()));
  return true;
}

// Boards

/** A new board; null if there can't be one of that name. */
export async function newBoard(name: string): Promise<Board | null> {
  try {
    const board = await api.POST("/library/boards", { body: { name } });
    useLibrary.setState(({ boards }) => ({ boards: [...boards, board] }));
    return board;
  } catch (fault) {
    notifyFault(fault, { title: t("library.fault.board") });
    return null;
  }
}

export async function nameBoard(id: string, name: string): Promise<boolean> {
  try {
    await api.PATCH("/library/boards/{id}", { params: { path: { id } }, body: { name } });
    useLibrary.setState(({ boards }) => ({
      boards: boards.map((board) => (board.id === id ? { ...board, name } : board)),
    }));
    return true;
  } catch (fault) {
    notifyFault(fault, { title: t("library.fault.board") });
    return false;
  }
}

/** Delete a board; its results stay. */
export async function dropBoard(id: string): Promise<boolean> {
  try {
    await api.DELETE("/library/boards/{id}", { params: { path: { id } } });
  } catch (fault) {
    notifyFault(fault, { title: t("library.fault.board") });
    return false;
  }
  useLibrary.setState(({ boards }) => ({ boards: boards.filter((board) => board.id !== id) }));
  const { board, filter } = useGallery.getState();
  if (board === id) filter({ board: null });
  return true;
}
