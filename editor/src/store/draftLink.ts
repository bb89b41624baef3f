/** One document's tie to its draft on the server: joined, kept in step, and left. */
import { ApiProblem } from "@/api/http";
import type { DraftMember, DraftMessage, EventSocket } from "@/api/socket";
import { t } from "@/i18n";
import { commit, currentEntry, currentValue, type History } from "@/model/history";
import type { Point } from "@/model/layout";
import { spreadImported } from "@/model/separate";
import { difference } from "@/model/shared/difference";
import { type Renamed, readPatch, writePatch } from "@/model/shared/patch";
import { proseWith } from "@/model/shared/prose";
import {
  confirmed,
  nextPatch,
  type Received,
  received,
  replaced,
  type Shared,
} from "@/model/shared/rebase";
import { readWorkflow, type Workflow, writeWorkflow } from "@/model/workflow";
import { useCatalogue } from "./catalogue";
import { mayRun, useConnection } from "./connection";
import { type Document, documentById, newId, useDocuments } from "./documents";
import { companyOf, setCompany } from "./members";
import { notify } from "./notices";
import { picturesSent } from "./outbox";
import { endDrag, hearPointer, keepPointers, ownPointer } from "./pointers";
import { useSettings } from "./settings";

/** Milliseconds from a change to its patch: typing makes few of many. */
const SOON = 80;
/** Milliseconds until what was too much is tried again. */
const AGAIN = 1500;
/** Milliseconds between two messages about the own pointer: twelve a second. */
const POINTING = 80;

/** Milliseconds that a patch waits for the pictures that it names. */
const LONGEST_HELD = 5000;

/** What the ids of this page's patches begin with. */
const PAGE = newId();

/** Bytes of a message besides its text. */
const AROUND_TEXT = 2000;
/** States of a document that are compared with a draft that it was never joined to. */
const MOST_COMPARED = 60;

interface PatchRequest {
  readonly draft: string;
  readonly patch: string;
  readonly operations: string;
  /** The revision that it was made for. */
  readonly base: number;
}

interface Joined {
  readonly draft: string;
  readonly member: string;
  readonly revision: number;
  readonly saved: number;
  readonly etag: string | null;
  readonly text: string;
  readonly applied: boolean;
  /** Whether the page before a reload has sent patches of which the kept document knows nothing. */
  readonly later?: boolean;
  readonly members: readonly DraftMember[];
  /** Nodes that got another name since the revision that was known. */
  readonly renames?: readonly (readonly [string | null, string, string])[];
}

export class DraftLink {
  private draft: string | null = null;
  private member = "";
  private joining: Promise<void> | null = null;
  private isOpen = true;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private refused: Workflow | null = null;
  /** What was held back for its pictures long enough. */
  private held: Workflow | null = null;
  /** Whether the server failed to keep the last patch, as when its disk is full. */
  private isFailing = false;
  private shown = "";
  private pointing: ReturnType<typeof setTimeout> | undefined;
  private pointed = "";
  /** What a draft on the server may begin with, although no answer says so. */
  private offered: Workflow | null = null;
  /** What came before the answer to joining, which may be overtaken. */
  private readonly early: DraftMessage[] = [];
  private readonly waiting = new Set<() => void>();

  constructor(
    private readonly socket: EventSocket,
    private readonly id: string,
    private readonly name: string | null,
  ) {}

  get key(): string | null {
    return this.draft;
  }

  /** Whether a message is about this draft, which may not be joined yet. */
  isMeant(draft: string): boolean {
    if (this.joining === null) return draft === this.draft;
    if (this.name !== null) return draft === `saved/${this.name}`;
    return draft.startsWith("own/") && draft.endsWith(`/${this.id}`);
  }

  /** Get the draft, and work in what was done here meanwhile. `reset`: drop what isn't saved. */
  join(reset = false): Promise<void> {
    this.joining ??= this.joinNow(reset).finally(() => {
      this.joining = null;
      for (const message of this.early.splice(0)) this.hear(message);
    });
    return this.joining;
  }

  /** Drop what isn't saved, here and in all windows. */
  async reset(): Promise<void> {
    await this.joining;
    await this.join(true);
  }

  private async joinNow(reset: boolean): Promise<void> {
    const document = documentById(this.id);
    if (document === null || !this.isOpen) return;
    this.draft = null;
    const text = this.name === null ? writeWorkflow(currentValue(document.history)) : "";
    if (this.isTooLarge(text)) {
      this.lost();
      setCompany(this.id, { refusal: t("together.tooLarge") });
      return;
    }
    try {
      const sent = document.shared?.sent?.id;
      const since = document.shared?.revision ?? -1;
      this.offered ??= currentValue(document.history);
      const found = await this.socket.request<Joined>("draft.join", {
        ...(this.name === null ? { document: this.id, text } : { name: this.name, reset }),
        ...(sent === undefined ? {} : { sent }),
        ...(since < 0 ? {} : { since }),
        ...earlierPage(document),
      });
      if (this.isOpen) this.joined(found);
      else this.socket.request("draft.leave", { draft: found.draft }).catch(() => undefined);
    } catch (fault) {
      // Without a draft a document is what it was: kept in the browser, and saved from here.
      this.lost();
      if (!(fault instanceof ApiProblem)) return;
      if (fault.status === 404) this.unnamed();
      // What the server can't do just now is tried again; a lost connection says when it is back.
      else if (fault.status === 429 || fault.status >= 500) this.joinLater();
    }
  }

  private joinLater(): void {
    setTimeout(() => {
      if (this.isOpen && this.draft === null && this.socket.state === "open") void this.join();
    }, AGAIN);
  }

  private joined(found: Joined): void {
    const document = documentById(this.id);
    if (document === null) return;
    const base = readWorkflow(found.text);
    if (this.isNewer(document, base)) this.takeNewer(document, base);
    const first: Shared = { base: firstBase(document, base), revision: -1, sent: null };
    const shared = afterBreak(document.shared ?? first, found);
    this.draft = found.draft;
    this.isFailing = false;
    this.member = found.member;
    this.shown = "";
    const { history } = documentById(this.id) ?? document;
    const renames = (found.renames ?? []).map(([scope, from, to]) => ({ scope, from, to }));
    const merged = replaced(shared, history, base, found.revision, prose(), renames);
    this.take(document.shared === null ? spread(merged) : merged, found.saved === found.revision);
    if (this.name !== null && found.etag !== null) this.setEtag(found.etag);
    setCompany(this.id, { state: "live", others: this.others(found.members), refusal: null });
    this.tellSelection();
    this.schedule(0);
  }

  /** Whether the draft has what this browser never had, and its own copy isn't what came after. */
  private isNewer({ shared, history, savedName }: Document, base: Workflow): boolean {
    if (shared !== null || (savedName !== null && history.saved !== null)) return false;
    const values = [...history.entries.values()].map(({ value }) => value).reverse();
    if (this.offered !== null) values.unshift(this.offered);
    return !values.slice(0, MOST_COMPARED).some((value) => difference(value, base).length === 0);
  }

  /** The draft is shown, and Undo gives back what this browser had. */
  private takeNewer({ history }: Document, base: Workflow): void {
    const taken = commit(history, base, "together.history.draft", { named: true });
    useDocuments.getState().setShared(this.id, null, taken);
    notify({ kind: "info", title: t("together.newerDraft"), key: `newer ${this.id}` });
  }

  /** The connection is gone; what is done until it is back is worked in then. */
  lost(): void {
    this.draft = null;
    this.pointed = "";
    keepPointers(this.id);
    setCompany(this.id, { state: "alone", others: [] });
    this.release();
  }

  /** Another window saved the document: it goes on with the draft of that name. */
  private named(name: string): void {
    if (!this.isOpen || documentById(this.id)?.savedName !== null) return;
    useDocuments.setState(({ documents }) => ({
      documents: documents.map((each) =>
        each.id === this.id ? { ...each, savedName: name, shared: unconfirmed(each) } : each,
      ),
    }));
    notify({ kind: "info", title: t("files.saved", { name }), key: `saved ${this.id}` });
  }

  /** The saved workflow was deleted: its tab keeps what is there, which was never saved now. */
  private unnamed(): void {
    const { name } = this;
    if (name === null || !this.isOpen) return;
    useDocuments.setState(({ documents }) => ({
      documents: documents.map((each) =>
        each.id === this.id && each.savedName === name
          ? {
              ...each,
              savedName: null,
              savedEtag: null,
              shared: null,
              history: { ...each.history, saved: null },
            }
          : each,
      ),
    }));
    notify({ kind: "info", title: t("files.deleted", { name }), key: `deleted ${name}` });
  }

  leave(): void {
    this.isOpen = false;
    clearTimeout(this.timer);
    clearTimeout(this.pointing);
    keepPointers(this.id);
    if (this.draft !== null) {
      this.socket.request("draft.leave", { draft: this.draft }).catch(() => undefined);
    }
    this.draft = null;
    this.release();
    setCompany(this.id, null);
  }

  /** The document was changed, or something else of it is selected. */
  changed(): void {
    if (this.draft === null) return;
    this.schedule(SOON);
    this.tellSelection();
  }

  hear(message: DraftMessage): void {
    if (this.joining !== null) this.early.push(message);
    else if (message.event === "members") this.hearMembers(message.members);
    else if (message.event === "live") hearPointer(this.id, message.member, message);
    else if (message.event === "patch") this.hearPatch(message);
    else if (message.event === "saved") this.hearSaved(message);
    else if (message.event === "deleted") {
      this.lost();
      if (this.name === null && message.name !== null) this.named(message.name);
      else this.unnamed();
    } else void this.join();
  }

  private hearMembers(members: readonly DraftMember[]): void {
    const others = this.others(members);
    setCompany(this.id, { others });
    keepPointers(
      this.id,
      others.map(({ member }) => member),
    );
  }

  private hearPatch(message: DraftMessage & { readonly event: "patch" }): void {
    const document = documentById(this.id);
    const shared = document?.shared;
    if (!document || !shared || this.draft === null) return;
    if (message.revision <= shared.revision) return;
    const isOwn = message.patch === shared.sent?.id;
    if (message.revision !== shared.revision + 1 || (!isOwn && message.operations === undefined)) {
      void this.join();
      return;
    }
    if (isOwn) {
      this.confirm(document, shared, message.revision);
      return;
    }
    let next: Received;
    try {
      const patch = readPatch(message.operations ?? "[]");
      next = received(shared, document.history, patch, message.revision, prose());
    } catch {
      // What can't be followed here, as by an older editor, is got as a whole.
      void this.join();
      return;
    }
    this.take(next, false);
    endDrag(this.id, message.member);
    this.schedule(0);
  }

  private confirm(document: Document, shared: Shared, revision: number): void {
    let next = confirmed(shared, revision);
    const shown = currentValue(document.history);
    // What is the same need not be compared again.
    if (nextPatch(next, shown) === null) next = { ...next, base: shown };
    useDocuments.getState().setShared(this.id, next);
    setCompany(this.id, { refusal: null });
    this.schedule(0);
    this.release();
  }

  private hearSaved({ revision, etag }: DraftMessage & { readonly event: "saved" }): void {
    const document = documentById(this.id);
    if (!document) return;
    this.setEtag(etag);
    if (this.isAt(document, revision)) {
      useDocuments.getState().markSaved(this.id, { etag });
    }
  }

  private isAt({ shared, history }: Document, revision: number): boolean {
    if (shared === null || shared.revision !== revision || shared.sent !== null) return false;
    return nextPatch(shared, currentValue(history)) === null;
  }

  private take({ shared, history, renamed }: Received, isSaved: boolean): void {
    const document = documentById(this.id);
    const before = document?.history;
    const isSame = before !== undefined && currentValue(before) === currentValue(history);
    const isComplete = shared.sent === null && nextPatch(shared, currentValue(history)) === null;
    let next: History<Workflow> = history;
    if (isSaved && isComplete) next = { ...history, saved: history.current };
    // What another window changed isn't saved, whatever this one has saved.
    else if (!isSame) next = { ...history, saved: null };
    useDocuments.getState().setShared(this.id, shared, next);
    if (document !== null) selectRenamed(document, renamed);
    if (isComplete) this.release();
  }

  private setEtag(etag: string): void {
    const document = documentById(this.id);
    if (!document || document.savedEtag === etag) return;
    const saved = document.history.saved ?? undefined;
    if (saved === undefined) {
      useDocuments.setState(({ documents }) => ({
        documents: documents.map((each) =>
          each.id === this.id ? { ...each, savedEtag: etag } : each,
        ),
      }));
    } else useDocuments.getState().markSaved(this.id, { etag, entry: saved });
  }

  private others(members: readonly DraftMember[]): readonly DraftMember[] {
    return members.filter(({ member }) => member !== this.member).sort((a, b) => a.since - b.since);
  }

  private tellSelection(): void {
    const document = documentById(this.id);
    if (!document || this.draft === null || !mayRun(useConnection.getState())) return;
    const isActive = useDocuments.getState().active === this.id;
    const selection = isActive ? [...document.selection].slice(0, 200) : [];
    const fields = { path: [...document.path], selection };
    const text = JSON.stringify(fields);
    if (text === this.shown) return;
    this.shown = text;
    this.socket.request("draft.show", { draft: this.draft, ...fields }).catch(() => undefined);
  }

  /** The own pointer is elsewhere, or drags something. */
  point(): void {
    this.pointing ??= setTimeout(() => {
      this.pointing = undefined;
      this.tellPointer();
    }, POINTING);
  }

  private tellPointer(): void {
    const document = documentById(this.id);
    if (!document || this.draft === null || !mayRun(useConnection.getState())) return;
    if (companyOf(this.id).others.length === 0) return;
    const { cursor, moves } = ownPointer();
    const isShown = useSettings.getState().pointers && cursor !== null;
    const fields = {
      path: [...document.path],
      cursor: isShown ? pair(cursor) : null,
      moves: Object.fromEntries([...moves].slice(0, 200).map(([id, at]) => [id, pair(at)])),
    };
    const text = JSON.stringify(fields);
    if (text === this.pointed) return;
    this.pointed = text;
    this.socket.request("draft.point", { draft: this.draft, ...fields }).catch(() => undefined);
  }

  private schedule(wait: number): void {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => void this.send(), wait);
  }

  private async send(): Promise<void> {
    const document = documentById(this.id);
    const { draft } = this;
    if (!document?.shared || draft === null || !mayRun(useConnection.getState())) return;
    const shown = currentValue(document.history);
    if (await this.waitForPictures(shown)) return;
    const patch = this.refused === shown ? null : nextPatch(document.shared, shown, prose());
    if (patch === null) return;
    const sent = { id: `${PAGE}-${newId()}`, patch };
    const base = Math.max(0, document.shared.revision);
    const operations = writePatch(patch);
    if (this.isTooLarge(operations)) {
      this.refuse(shown, t("together.tooLarge"));
      return;
    }
    useDocuments.getState().setShared(this.id, { ...document.shared, sent });
    await this.post({ draft, patch: sent.id, operations, base }, shown);
  }

  /**
   * Pictures come first, as others would look for them in vain. Whether there was one to wait for: what
   * is shown may be another by then, and is sent anew. What the server does not take holds up nothing.
   */
  private async waitForPictures(shown: Workflow): Promise<boolean> {
    const sent = this.held === shown ? null : picturesSent(shown);
    if (sent === null) return false;
    const late = new Promise((resolve) => setTimeout(resolve, LONGEST_HELD));
    await Promise.race([sent, late]);
    this.held = shown;
    this.schedule(0);
    return true;
  }

  private async post(request: PatchRequest, shown: Workflow): Promise<void> {
    const { draft, patch: id } = request;
    try {
      await this.socket.request("draft.patch", { ...request });
      this.refused = null;
      this.isFailing = false;
    } catch (fault) {
      if (!(fault instanceof ApiProblem) || this.draft !== draft) return; // it is joined anew
      const shared = documentById(this.id)?.shared;
      if (!shared || shared.sent?.id !== id) return; // sent again, under another name
      if (fault.status === 429 || fault.status >= 500) {
        if (fault.status >= 500) {
          this.isFailing = true;
          setCompany(this.id, { refusal: fault.message });
          this.release();
        }
        setTimeout(() => {
          const isWanted = documentById(this.id)?.shared?.sent?.id === id;
          if (this.draft === draft && isWanted) void this.post(request, shown);
        }, AGAIN);
        return;
      }
      useDocuments.getState().setShared(this.id, { ...shared, sent: null });
      if (fault.status === 404 || fault.status === 409) {
        void this.join();
        return;
      }
      this.refuse(shown, fault.message);
    }
  }

  /** Until something else is changed, the server would say the same again. */
  private refuse(shown: Workflow, reason: string): void {
    this.refused = shown;
    setCompany(this.id, { refusal: reason });
    this.release();
  }

  /** Whether the server would hang up on a message with a text. */
  private isTooLarge(text: string): boolean {
    const most = (this.socket.welcome?.limits.frame ?? Number.POSITIVE_INFINITY) - AROUND_TEXT;
    // No letter takes more than three bytes.
    return text.length * 3 > most && new TextEncoder().encode(text).length > most;
  }

  /** Wait until the server has all that is shown; false if it hasn't got it. */
  async flush(): Promise<boolean> {
    this.schedule(0);
    for (;;) {
      const document = documentById(this.id);
      if (!document?.shared || this.draft === null) return false;
      if (this.isAt(document, document.shared.revision)) return true;
      if (this.isFailing || this.refused === currentValue(document.history)) return false;
      await new Promise<void>((resolve) => this.waiting.add(resolve));
    }
  }

  private release(): void {
    for (const resolve of this.waiting) resolve();
    this.waiting.clear();
  }
}

/** Opened for the first time, other tools' workflows get room for the cards. */
function spread(found: Received): Received {
  const { history } = found;
  const entry = currentEntry(history);
  const value = spreadImported(entry.value, useCatalogue.getState().types);
  if (value === entry.value) return found;
  const entries = new Map(history.entries).set(entry.id, { ...entry, value });
  return { ...found, history: { ...history, entries } };
}

/** What a document was like when it was read from, or saved on, the server. */
function firstBase({ savedName, history }: Document, base: Workflow): Workflow {
  if (savedName === null) return base;
  const saved = history.saved === null ? undefined : history.entries.get(history.saved);
  return saved?.value ?? base;
}

/** The page before a reload: what it sent last may not have been kept any more. */
function earlierPage({ shared }: Document): { readonly page?: string } {
  return shared?.page === undefined || shared.kept === undefined ? {} : { page: shared.page };
}

/** What is known of the server once it answers again. */
function afterBreak({ kept, ...known }: Shared, found: Joined): Shared {
  // Each patch has all that was shown when it was sent. So the server has what was kept and more,
  // and nothing of it is to be added a second time.
  if (found.later && kept) return { ...known, base: kept, sent: null, page: PAGE };
  // Whether what was sent before the break has arrived.
  const shared = found.applied ? confirmed(known, known.revision) : { ...known, sent: null };
  return { ...shared, page: PAGE };
}

/** What others have is known, and another draft goes on with it. */
function unconfirmed({ shared }: Document): Shared | null {
  return shared && { ...shared, revision: -1, sent: null };
}

let proseOf: ReturnType<typeof proseWith> | null = null;
let typesOfProse: unknown;

function prose(): ReturnType<typeof proseWith> {
  const { types } = useCatalogue.getState();
  if (proseOf === null || typesOfProse !== types) proseOf = proseWith(types);
  typesOfProse = types;
  return proseOf;
}

/** What was selected stays so under its new name. */
function selectRenamed(document: Document, renamed: readonly Renamed[]): void {
  if (renamed.length === 0 || useDocuments.getState().active !== document.id) return;
  const scope = document.path.at(-1) ?? null;
  const names = new Map(
    renamed.flatMap((each) => (each.scope === scope ? [[each.from, each.to] as const] : [])),
  );
  if (![...document.selection].some((item) => names.has(item))) return;
  useDocuments.getState().select([...document.selection].map((item) => names.get(item) ?? item));
}

function pair({ x, y }: Point): readonly [number, number] {
  return [Math.round(x * 10) / 10, Math.round(y * 10) / 10];
}
