/**
 * Pictures on their way to the server: what is painted has a name at once, and its bytes follow.
 *
 * A picture is in the browser's database before anything names it. From there it is sent, again and
 * again while the server is away, and after a reload, too. Whatever needs it there waits for it.
 */
import { createStore, del, entries, set, type UseStore } from "idb-keyval";
import { create } from "zustand";
import { upload, uploadDigest } from "@/api/files";
import { ApiProblem } from "@/api/http";
import { ownName } from "@/api/rootPath";
import { t } from "@/i18n";
import { Blake3 } from "@/model/blake3";
import { pngSize } from "@/model/pngSize";
import { type Workflow, writeWorkflow } from "@/model/workflow";
import { useConnection } from "./connection";
import { notifyFault } from "./notices";
import { rememberSize } from "./pictureSizes";

export interface OutboxState {
  /** How many pictures the server doesn't have yet. */
  readonly waiting: number;
  /** Whether the last try to send one failed, so that it is tried again. */
  readonly isStuck: boolean;
}

export const useOutbox = create<OutboxState>()(() => ({ waiting: 0, isStuck: false }));

/** As the browser's database keeps one: bytes, as some browsers lose blobs of private windows. */
interface Kept {
  readonly name: string;
  readonly type: string;
  readonly bytes: Uint8Array;
  /** Milliseconds since 1970; no two are the same, as they tell the order. */
  readonly at: number;
}

export interface OutboxOptions {
  readonly store: UseStore;
  readonly send: (file: Blob, name: string) => Promise<unknown>;
  /** Milliseconds until a try after so many that failed. */
  readonly delay?: (failures: number) => number;
}

const LONGEST_DELAY = 30_000;
const STILL_LOADED = 60_000;
/** Bytes that are hashed at a time, so that drawing goes on in between. */
const SLICE = 1 << 18;

export class Outbox {
  private readonly pending = new Map<string, Kept>();
  private readonly addresses = new Map<string, string>();
  private readonly sent = new Set<string>();
  private readonly waiters = new Map<string, (() => void)[]>();
  private failures = 0;
  private last = 0;
  private isSending = false;
  private isWanted = false;
  private isStopped = false;
  private timer: ReturnType<typeof setTimeout> | null = null;

  constructor(private readonly options: OutboxOptions) {}

  /** Take up what an earlier page has left. */
  async start(): Promise<void> {
    const found = await entries<string, Kept>(this.options.store).catch(() => []);
    for (const [digest, kept] of found.sort(([, a], [, b]) => a.at - b.at)) {
      if (!this.pending.has(digest)) this.pending.set(digest, kept);
    }
    this.publish();
    void this.work();
  }

  stop(): void {
    this.isStopped = true;
    if (this.timer !== null) clearTimeout(this.timer);
    this.timer = null;
    for (const address of this.addresses.values()) URL.revokeObjectURL(address);
    this.addresses.clear();
  }

  /** The value that an input is given for a picture; it is kept once this resolves. */
  async keep(file: Blob, name: string): Promise<string> {
    const bytes = new Uint8Array(await file.arrayBuffer());
    const digest = await digestOf(bytes);
    const size = pngSize(bytes);
    const value = `upload:${digest}/${name}`;
    if (size) rememberSize(value, size);
    if (this.sent.has(digest) || this.pending.has(digest)) return value;
    this.last = Math.max(this.last + 1, Date.now());
    const kept = { name, type: file.type || "image/png", bytes, at: this.last };
    // First, as it may be sent and taken out at once. A browser that keeps nothing has it until
    // the page is closed.
    await set(digest, kept, this.options.store).catch(() => undefined);
    this.pending.set(digest, kept);
    this.publish();
    void this.work();
    return value;
  }

  /** An address of a picture that the server may not have yet; null once it has it. */
  address(value: string): string | null {
    const digest = uploadDigest(value);
    const kept = digest === null ? undefined : this.pending.get(digest);
    if (digest === null || kept === undefined) return null;
    const known = this.addresses.get(digest);
    if (known !== undefined) return known;
    const address = URL.createObjectURL(blobOf(kept));
    this.addresses.set(digest, address);
    return address;
  }

  /** Resolves once the server has all pictures that a text names; null if it has them. */
  sentFor(text: () => string): Promise<unknown> | null {
    if (this.pending.size === 0) return null;
    const says = text();
    const needed = [...this.pending.keys()].filter((digest) => says.includes(digest));
    if (needed.length === 0) return null;
    this.retry();
    return Promise.all(needed.map((digest) => this.sentOne(digest)));
  }

  /** Try again at once, as the server may be back. */
  retry(): void {
    if (this.timer !== null) clearTimeout(this.timer);
    this.timer = null;
    // A try that is under way may fail for what was so far.
    this.isWanted = this.isSending;
    void this.work();
  }

  private sentOne(digest: string): Promise<void> {
    return new Promise((resolve) => {
      if (!this.pending.has(digest)) return resolve();
      this.waiters.set(digest, [...(this.waiters.get(digest) ?? []), resolve]);
    });
  }

  private async work(): Promise<void> {
    if (this.isSending || this.timer !== null) return;
    this.isSending = true;
    try {
      for (const [digest, kept] of this.pending) {
        if (this.isStopped || !(await this.send(digest, kept))) break;
      }
    } finally {
      this.isSending = false;
      this.publish();
    }
    if (this.pending.size === 0 || this.isStopped) return;
    if (this.isWanted) this.retry();
    else this.later();
  }

  /** Whether it went, or never will. */
  private async send(digest: string, kept: Kept): Promise<boolean> {
    try {
      await this.options.send(blobOf(kept), kept.name);
      this.sent.add(digest);
    } catch (fault) {
      if (!isRefused(fault)) {
        this.failures += 1;
        return false;
      }
      notifyFault(fault, {
        title: t("files.bringingFailed", { name: kept.name }),
        key: `outbox/${digest}`,
      });
    }
    this.failures = 0;
    this.pending.delete(digest);
    await del(digest, this.options.store).catch(() => undefined);
    this.forgetAddress(digest);
    for (const resolve of this.waiters.get(digest) ?? []) resolve();
    this.waiters.delete(digest);
    this.publish();
    return true;
  }

  /** Whoever has the address may be about to load it. */
  private forgetAddress(digest: string): void {
    const address = this.addresses.get(digest);
    this.addresses.delete(digest);
    if (address !== undefined) setTimeout(() => URL.revokeObjectURL(address), STILL_LOADED);
  }

  private later(): void {
    if (this.timer !== null) return;
    const delay = this.options.delay ?? doubling;
    this.timer = setTimeout(() => {
      this.timer = null;
      void this.work();
    }, delay(this.failures));
  }

  private publish(): void {
    useOutbox.setState({ waiting: this.pending.size, isStuck: this.failures > 0 });
  }
}

function doubling(failures: number): number {
  return Math.min(LONGEST_DELAY, 500 * 2 ** Math.min(failures, 10));
}

/** Whether trying again would come to the same: the server takes no such file. */
function isRefused(fault: unknown): boolean {
  return fault instanceof ApiProblem && [400, 403, 413, 415, 422].includes(fault.status);
}

function blobOf({ bytes, type }: Kept): Blob {
  return new Blob([bytes as Uint8Array<ArrayBuffer>], { type });
}

async function digestOf(bytes: Uint8Array): Promise<string> {
  const hash = new Blake3();
  for (let from = 0; from < bytes.length; from += SLICE) {
    hash.update(bytes.subarray(from, from + SLICE));
    if (from + SLICE < bytes.length) await new Promise((resolve) => setTimeout(resolve));
  }
  return hash.hex();
}

// The page's own

let own: Outbox | null = null;

export function outbox(): Outbox {
  own ??= new Outbox({
    store: createStore(ownName("nodegraph.outbox"), "pictures"),
    send: (file, name) => upload(file, { name }),
  });
  return own;
}

/** Send what there is, now and whenever the server is back; gives what ends it. Once for a page. */
export function startOutbox(): () => void {
  void outbox().start();
  const stop = useConnection.subscribe(({ state }, before) => {
    if (state === "open" && before.state !== "open") outbox().retry();
  });
  return () => {
    stop();
    outbox().stop();
    own = null;
  };
}

/** Resolves once a workflow can be read on the server; null if it can be already. */
export function picturesSent(workflow: Workflow): Promise<unknown> | null {
  return own?.sentFor(() => writeWorkflow(workflow)) ?? null;
}

/** A picture that was painted: its value, under which it is on its way to the server. */
export function keepPicture(picture: Blob, name: string): Promise<string> {
  return outbox().keep(picture, name);
}

/** Where a picture can be seen that is on its way; null for one that the server has. */
export function pendingAddress(value: string): string | null {
  return outbox().address(value);
}
