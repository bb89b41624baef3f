/** Which windows of this browser have the editor open, so that none takes another one's work. */
import { ownName } from "@/api/rootPath";

export interface Presence {
  /** Take a window's id for as long as the page lives; false if another page has it. */
  claim(id: string): Promise<boolean>;
  /** The ids that pages have now. */
  alive(): Promise<ReadonlySet<string>>;
  release(): void;
}

const PREFIX = "nodegraph.window.";
/** Milliseconds in which other windows answer. */
const PATIENCE = 120;

export function browserPresence(): Presence {
  // Locks are there only where the page is trusted: not for plain HTTP from another machine.
  if (typeof navigator !== "undefined" && "locks" in navigator)
    return lockPresence(navigator.locks);
  if (typeof BroadcastChannel !== "undefined") return channelPresence();
  return alonePresence();
}

function lockPresence(locks: LockManager): Presence {
  let release = (): void => undefined;
  return {
    claim: (id) =>
      new Promise((resolve) => {
        void locks
          .request(PREFIX + id, { ifAvailable: true }, (lock) => {
            resolve(lock !== null);
            return lock === null
              ? undefined
              : new Promise<void>((end) => {
                  release = end;
                });
          })
          .catch(() => resolve(true));
      }),
    async alive() {
      const { held = [] } = await locks.query();
      const names = held.map((lock) => lock.name ?? "");
      return new Set(
        names.filter((name) => name.startsWith(PREFIX)).map((name) => name.slice(PREFIX.length)),
      );
    },
    release: () => release(),
  };
}

interface Call {
  readonly kind: "who" | "here";
  readonly id: string;
}

/** Without locks: the others are asked, and who doesn't answer is gone. */
function channelPresence(): Presence {
  const channel = new BroadcastChannel(ownName("nodegraph.presence"));
  let own: string | null = null;
  let heard = new Set<string>();
  channel.onmessage = ({ data }: MessageEvent<Call>) => {
    if (data.kind === "here") heard.add(data.id);
    else if (own !== null) channel.postMessage({ kind: "here", id: own } satisfies Call);
  };
  const ask = async (): Promise<ReadonlySet<string>> => {
    heard = new Set();
    channel.postMessage({ kind: "who", id: "" } satisfies Call);
    await new Promise((resolve) => setTimeout(resolve, PATIENCE));
    return own === null ? heard : new Set([...heard, own]);
  };
  return {
    async claim(id) {
      if ((await ask()).has(id)) return false;
      own = id;
      return true;
    },
    alive: ask,
    release: () => channel.close(),
  };
}

function alonePresence(): Presence {
  return {
    claim: () => Promise.resolve(true),
    alive: () => Promise.resolve(new Set()),
    release: () => undefined,
  };
}
