/** A server to test against: a WebSocket that says what a test tells it to. */
import { decode } from "@msgpack/msgpack";
import type { JobEvent } from "@/api/events";
import { pack } from "@/api/pack";
import type { WebSocketLike, Welcome } from "@/api/socket";

export type Message = Record<string, unknown>;

export const WELCOME: Omit<Welcome, "type"> = {
  protocol: "nodegraph.v1",
  version: "0.1.0",
  caller: { name: "local", scopes: ["read", "run"] },
  last: 0,
  node_types: "aa",
  heartbeat: 15,
  silence: 45,
  limits: {},
};

/** One connection, as the server sees it. */
export class ScriptedSocket implements WebSocketLike {
  binaryType: BinaryType = "blob";
  readyState = 0;
  onopen: WebSocketLike["onopen"] = null;
  onclose: WebSocketLike["onclose"] = null;
  onerror: WebSocketLike["onerror"] = null;
  onmessage: WebSocketLike["onmessage"] = null;
  /** What the client sent. */
  readonly received: Message[] = [];
  closedWith: number | null = null;

  send(data: Uint8Array<ArrayBuffer>): void {
    this.received.push(decode(data) as Message);
  }

  close(code = 1000): void {
    this.closedWith = code;
  }

  /** Say something to the client. */
  say(message: Message): void {
    this.onmessage?.(new MessageEvent("message", { data: pack(message).buffer }));
  }

  welcome(more: Partial<Welcome> = {}): void {
    this.say({ type: "welcome", ...WELCOME, ...more });
  }

  reply(id: unknown, result: unknown): void {
    this.say({ type: "reply", id, result });
  }

  refuse(id: unknown, problem: Message): void {
    this.say({ type: "error", id, problem });
  }

  events(subscription: string, last: number, events: readonly Partial<JobEvent>[]): void {
    this.say({ type: "events", subscription, last, events });
  }

  /** The connection breaks. */
  lose(code = 1006): void {
    this.onclose?.(new CloseEvent("close", { code }));
  }

  asked(type: string): Message[] {
    return this.received.filter((message) => message.type === type);
  }

  /** The newest request of a kind. */
  last(type: string): Message {
    const found = this.asked(type).at(-1);
    if (found === undefined) throw new Error(`no ${type} was asked`);
    return found;
  }
}

/** All connections that a client made, the newest last. */
export class ScriptedServer {
  readonly sockets: ScriptedSocket[] = [];

  readonly make = (): ScriptedSocket => {
    const socket = new ScriptedSocket();
    this.sockets.push(socket);
    return socket;
  };

  get now(): ScriptedSocket {
    const found = this.sockets.at(-1);
    if (found === undefined) throw new Error("nobody has connected");
    return found;
  }
}

/** An event with everything that events have. */
export function event(kind: string, more: Partial<JobEvent> = {}): JobEvent {
  return {
    job: "job_1",
    client: "local",
    attempt: 1,
    number: null,
    kind,
    at: 1000,
    node: null,
    seconds: null,
    data: {},
    ...more,
  };
}
