// The one connection by which the editor follows jobs and gives commands: see docs/websocket.md.
import { decode } from "@msgpack/msgpack";
import type { JobEvent } from "./events";
import { type ApiProblem, addressOf, OfflineFault, problemFrom } from "./http";
import { pack } from "./pack";

export type SocketState = "connecting" | "open" | "lost";

export interface Welcome {
  readonly protocol: string;
  readonly version: string;
  readonly caller: { readonly name: string; readonly scopes: readonly string[] };
  readonly last: number;
  readonly node_types: string;
  /** Whether the server keeps drafts; older ones don't say. */
  readonly drafts?: boolean;
  readonly heartbeat: number;
  readonly silence: number;
  readonly limits: Readonly<Record<string, number>>;
}

export interface Notice {
  readonly kind: string;
  readonly data: Readonly<Record<string, unknown>>;
}

/** Something happened to a draft that this window has joined. */
export type DraftMessage = { readonly draft: string } & (
  | {
      readonly event: "patch";
      readonly revision: number;
      readonly patch: string;
      readonly member: string;
      /** Missing for the window's own. */
      readonly operations?: string;
    }
  | { readonly event: "members"; readonly members: readonly DraftMember[] }
  | ({ readonly event: "live"; readonly member: string } & LivePointer)
  | {
      readonly event: "saved";
      readonly revision: number;
      readonly etag: string;
      readonly version: number;
      readonly member: string;
    }
  /** `name`: of the saved workflow that the document is now. */
  | { readonly event: "deleted"; readonly name: string | null }
  | { readonly event: "replaced" | "behind" }
);

/** Where a window's pointer is, and what it drags: of the moment. */
export interface LivePointer {
  /** The blocks entered. */
  readonly path: readonly string[];
  /** On the canvas; null if it isn't there. */
  readonly cursor: readonly [number, number] | null;
  readonly moves: Readonly<Record<string, readonly [number, number]>>;
}

/** A window that has a draft open. */
export interface DraftMember {
  readonly member: string;
  readonly name: string;
  readonly writes: boolean;
  /** Seconds since 1970. */
  readonly since: number;
  /** The blocks entered, and what is selected there. */
  readonly path: readonly string[];
  readonly selection: readonly string[];
}

/** What follows jobs: is told of events, and when all that it knows is void. */
export interface Follower {
  /** In order, each kept event once, however often the connection was lost in between. */
  onEvents(events: readonly JobEvent[]): void;
  /** It follows now, or again; with `isNew`, what happened before isn't told. */
  onOpen?(isNew: boolean): void;
}

export interface FollowOptions {
  readonly jobs?: readonly string[];
  readonly after?: number;
  readonly live?: boolean;
  readonly previews?: boolean;
}

/** The part of a WebSocket that is used, so that tests bring their own. */
export interface WebSocketLike {
  binaryType: BinaryType;
  readonly readyState: number;
  onopen: ((event: Event) => void) | null;
  onclose: ((event: CloseEvent) => void) | null;
  onerror: ((event: Event) => void) | null;
  onmessage: ((event: MessageEvent) => void) | null;
  send(data: Uint8Array<ArrayBuffer>): void;
  close(code?: number, reason?: string): void;
}

export interface SocketOptions {
  readonly url: string;
  readonly make?: (url: string, protocol: string) => WebSocketLike;
  readonly random?: () => number;
}

export interface RequestOptions {
  readonly signal?: AbortSignal | undefined;
  /** Sent once more if the connection breaks before the answer: for what may be done twice. */
  readonly resend?: boolean;
}

interface Asked {
  readonly message: Readonly<Record<string, unknown>>;
  readonly resend: boolean;
  isSent: boolean;
  resolve(result: unknown): void;
  reject(error: Error): void;
}

interface Followed {
  readonly follower: Follower;
  readonly options: FollowOptions;
  /** The server's name of it on this connection. */
  name: string | null;
  last: number | null;
  asking: boolean;
}

interface SocketEvents {
  state: (state: SocketState, why: Closed | null) => void;
  welcome: (welcome: Welcome) => void;
  notice: (notice: Notice) => void;
  draft: (message: DraftMessage) => void;
}

export interface Closed {
  readonly code: number;
  readonly reason: string;
  /** Since it was last open. */
  readonly failures: number;
}

const PROTOCOL = "nodegraph.v1.msgpack";
const FIRST_WAIT = 500;
const LONGEST_WAIT = 15_000;
const OPENING = 15_000;
/** Seconds without any message after which it is lost, until the welcome says otherwise. */
const SILENCE = 45;

export class EventSocket {
  state: SocketState = "connecting";
  welcome: Welcome | null = null;
  private socket: WebSocketLike | null = null;
  private isWanted = false;
  private failures = 0;
  private nextId = 1;
  private readonly asked = new Map<number, Asked>();
  private readonly followed = new Set<Followed>();
  private retry: ReturnType<typeof setTimeout> | undefined;
  private watch: ReturnType<typeof setTimeout> | undefined;
  private readonly listeners: { [K in keyof SocketEvents]: Set<SocketEvents[K]> } = {
    state: new Set(),
    welcome: new Set(),
    notice: new Set(),
    draft: new Set(),
  };

  constructor(private readonly options: SocketOptions) {}

  /** Connect, and connect anew whenever the connection is lost. */
  start(): void {
    if (this.isWanted) return;
    this.isWanted = true;
    this.connect();
  }

  stop(): void {
    this.isWanted = false;
    clearTimeout(this.retry);
    this.drop(1000, "");
    this.rejectAll(() => true);
  }

  /** Don't wait for the next try. */
  retryNow(): void {
    if (!this.isWanted || this.socket !== null) return;
    clearTimeout(this.retry);
    this.connect();
  }

  on<K extends keyof SocketEvents>(kind: K, listener: SocketEvents[K]): () => void {
    this.listeners[kind].add(listener);
    return () => this.listeners[kind].delete(listener);
  }

  /** The server's answer; waits for the connection if there is none just now.
   *
   * Rejects with an `ApiProblem`, or with an `OfflineFault` if the connection breaks before the
   * answer and it isn't to be sent once more. */
  request<T>(
    type: string,
    fields: Readonly<Record<string, unknown>> = {},
    options: RequestOptions = {},
  ): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const { signal } = options;
      if (signal?.aborted) return reject(signal.reason);
      const id = this.nextId++;
      const settle = () => {
        this.asked.delete(id);
        signal?.removeEventListener("abort", stop);
      };
      const stop = () => {
        settle();
        reject(signal?.reason);
      };
      signal?.addEventListener("abort", stop);
      this.asked.set(id, {
        message: { ...fields, type, id },
        resend: options.resend ?? false,
        isSent: false,
        resolve: (result) => {
          settle();
          resolve(result as T);
        },
        reject: (error) => {
          settle();
          reject(error);
        },
      });
      if (!this.isWanted) this.rejectAll((each) => each.message.id === id);
      else this.sendAsked();
    });
  }

  /** Follow jobs until the returned function is called. */
  follow(follower: Follower, options: FollowOptions = {}): () => void {
    const followed: Followed = {
      follower,
      options,
      name: null,
      last: options.after ?? null,
      asking: false,
    };
    this.followed.add(followed);
    if (this.state === "open") this.subscribe(followed);
    return () => {
      this.followed.delete(followed);
      if (followed.name !== null && this.state === "open") {
        this.request("unsubscribe", { subscription: followed.name }).catch(ignore);
      }
    };
  }

  private connect(): void {
    // While it is being tried again, it is still lost.
    if (this.state !== "lost") this.setState("connecting", null);
    const make = this.options.make ?? makeWebSocket;
    const socket = make(this.options.url, PROTOCOL);
    socket.binaryType = "arraybuffer";
    this.socket = socket;
    socket.onmessage = (event) => {
      if (this.socket === socket) this.receive(event.data);
    };
    socket.onclose = (event) => {
      if (this.socket === socket) this.closed(event.code, event.reason);
    };
    this.expectWithin(OPENING);
  }

  /** Take it for lost if nothing is heard for so long. */
  private expectWithin(milliseconds: number): void {
    clearTimeout(this.watch);
    this.watch = setTimeout(() => this.drop(4001, "nothing was heard"), milliseconds);
  }

  private drop(code: number, reason: string): void {
    const { socket } = this;
    if (socket === null) return;
    // A browser may take long to tell of the end of a connection that is dead.
    socket.onmessage = null;
    socket.onclose = null;
    socket.close(code === 1000 ? 1000 : 4001);
    this.closed(code, reason);
  }

  private closed(code: number, reason: string): void {
    this.socket = null;
    this.welcome = null;
    clearTimeout(this.watch);
    for (const each of this.followed) {
      each.name = null;
      each.asking = false;
    }
    for (const each of this.asked.values()) if (each.resend) each.isSent = false;
    this.rejectAll((each) => each.isSent);
    this.failures += 1;
    this.setState("lost", { code, reason, failures: this.failures });
    if (this.isWanted) this.retry = setTimeout(() => this.connect(), this.waitingTime());
  }

  private waitingTime(): number {
    const random = this.options.random ?? Math.random;
    const most = Math.min(LONGEST_WAIT, FIRST_WAIT * 2 ** (this.failures - 1));
    // Many pages that lost the same server shouldn't come back at the same moment.
    return most * (0.5 + 0.5 * random());
  }

  private setState(state: SocketState, why: Closed | null): void {
    this.state = state;
    for (const listener of this.listeners.state) listener(state, why);
  }

  private receive(data: unknown): void {
    this.expectWithin((this.welcome?.silence ?? SILENCE) * 1000);
    if (!(data instanceof ArrayBuffer)) return;
    let message: unknown;
    try {
      message = decode(new Uint8Array(data));
    } catch {
      this.drop(1007, "a message can't be read");
      return;
    }
    if (typeof message === "object" && message !== null) {
      this.take(message as Record<string, unknown>);
    }
  }

  private take(message: Record<string, unknown>): void {
    switch (message.type) {
      case "welcome":
        this.welcomed(message as unknown as Welcome);
        break;
      case "heartbeat":
        this.write({ type: "heartbeat" });
        break;
      case "reply":
        this.asked.get(Number(message.id))?.resolve(message.result);
        break;
      case "error":
        this.asked.get(Number(message.id))?.reject(problemFrom(0, message.problem));
        break;
      case "events":
        this.told(message);
        break;
      case "notice":
        this.noticed(message as unknown as Notice);
        break;
      case "draft":
        for (const listener of this.listeners.draft) listener(message as unknown as DraftMessage);
        break;
      case "ended":
        this.ended(message.subscription);
        break;
    }
  }

  private welcomed(welcome: Welcome): void {
    this.welcome = welcome;
    this.failures = 0;
    this.setState("open", null);
    for (const listener of this.listeners.welcome) listener(welcome);
    for (const followed of this.followed) this.subscribe(followed);
    this.sendAsked();
  }

  private noticed(notice: Notice): void {
    for (const listener of this.listeners.notice) listener(notice);
  }

  private told(message: Record<string, unknown>): void {
    const followed = this.named(message.subscription);
    if (followed === null) return;
    followed.last = Number(message.last);
    const events = message.events as readonly JobEvent[];
    if (events.length > 0) followed.follower.onEvents(events);
  }

  private ended(subscription: unknown): void {
    const followed = this.named(subscription);
    if (followed === null) return;
    followed.name = null;
    // What couldn't be read may not be readable at once: no busy loop.
    setTimeout(() => {
      if (this.state === "open" && this.followed.has(followed)) this.subscribe(followed);
    }, LONGEST_WAIT);
  }

  private named(subscription: unknown): Followed | null {
    for (const each of this.followed) if (each.name === subscription) return each;
    return null;
  }

  private subscribe(followed: Followed): void {
    if (followed.asking || followed.name !== null) return;
    followed.asking = true;
    const { socket } = this;
    const { jobs, live, previews } = followed.options;
    const after = followed.last ?? undefined;
    this.request<Subscribed>("subscribe", { jobs, live, previews, after })
      .then((found) => {
        if (this.socket === socket) this.subscribed(followed, found);
      })
      .catch((error: ApiProblem | OfflineFault) => {
        if (this.socket !== socket) return;
        followed.asking = false;
        if (!(error instanceof OfflineFault)) this.drop(4001, error.message);
      });
  }

  private subscribed(followed: Followed, found: Subscribed): void {
    const isNew = followed.last === null || found.reset;
    followed.asking = false;
    followed.name = found.subscription;
    // Until its first message comes, this is how far it is.
    if (isNew) followed.last = Number(found.after);
    followed.follower.onOpen?.(isNew);
    if (!this.followed.has(followed)) {
      this.request("unsubscribe", { subscription: found.subscription }).catch(ignore);
    }
  }

  private sendAsked(): void {
    if (this.state !== "open") return;
    for (const each of this.asked.values()) {
      if (each.isSent) continue;
      each.isSent = true;
      try {
        this.write(each.message);
      } catch (error) {
        each.reject(error instanceof Error ? error : new Error(String(error)));
      }
    }
  }

  private write(message: Readonly<Record<string, unknown>>): void {
    this.socket?.send(pack(message));
  }

  private rejectAll(which: (asked: Asked) => boolean): void {
    for (const each of [...this.asked.values()]) if (which(each)) each.reject(new OfflineFault());
  }
}

interface Subscribed {
  readonly subscription: string;
  readonly after: number;
  readonly reset: boolean;
}

function ignore(): void {}

function makeWebSocket(url: string, protocol: string): WebSocketLike {
  return new WebSocket(url, protocol);
}

/** Where the server of this page has its events. */
export function socketAddress(place: Location = window.location): string {
  const scheme = place.protocol === "https:" ? "wss:" : "ws:";
  return `${scheme}//${place.host}${addressOf("/events")}`;
}
