/**
 * The editor's end of the talk with a frame: it takes what fits, in its own time, and notices when
 * nothing comes any more. Whatever the frame does, this ends with a word and never with an error.
 */
import { type FrameMessage, readMessage } from "@/model/frames";
import type { Json } from "@/model/json";

/** Why a frame is given up: it failed as it began, says nothing, says too much, or went elsewhere. */
export type FrameEnd = "failed" | "silent" | "flooding" | "left";

export interface FrameListener {
  readonly ready: () => void;
  readonly change: (value: Json, final: boolean) => void;
  readonly height: (height: number) => void;
  readonly key: (message: Extract<FrameMessage, { kind: "key" }>) => void;
  readonly wheel: (message: Extract<FrameMessage, { kind: "wheel" }>) => void;
  readonly fault: (message: string) => void;
  readonly end: (why: FrameEnd, message: string) => void;
}

/** Milliseconds until a frame has to have begun, and between questions whether it is still there. */
export const PATIENCE = 30_000;
export const ASKED_EVERY = 5_000;
/** In a second: a gesture sends a hundred. */
export const MOST_MESSAGES = 1_000;

type Port = Pick<MessagePort, "postMessage" | "close"> & {
  onmessage: ((event: MessageEvent) => void) | null;
};

export class FrameSession {
  private pending: Json | undefined;
  private hasPending = false;
  private frame = 0;
  private waiting: ReturnType<typeof setTimeout> | undefined;
  private asking: ReturnType<typeof setInterval> | undefined;
  private counted = 0;
  private second = 0;
  private number = 0;
  private answered = 0;
  private isOver = false;

  constructor(
    private readonly port: Port,
    private readonly listener: FrameListener,
  ) {
    port.onmessage = (event) => this.take(event.data);
    this.expect();
  }

  /** Tell the frame something; what can't be sent is a fault of ours and ends nothing. */
  tell(kind: string, more: Readonly<Record<string, unknown>>): void {
    if (!this.isOver) this.port.postMessage({ kind, ...more });
  }

  /** No more of it: nothing is taken and nothing sent. */
  close(): void {
    if (this.isOver) return;
    this.flush();
    this.isOver = true;
    clearTimeout(this.waiting);
    clearInterval(this.asking);
    cancelAnimationFrame(this.frame);
    this.port.onmessage = null;
    this.port.close();
  }

  /** Give it up. */
  end(why: FrameEnd, message = ""): void {
    if (this.isOver) return;
    this.close();
    this.listener.end(why, message);
  }

  private take(data: unknown): void {
    if (this.isOver) return;
    if (this.isTooMuch()) {
      this.end("flooding");
      return;
    }
    const message = readMessage(data);
    if (message !== null) this.act(message);
  }

  private act(message: FrameMessage): void {
    switch (message.kind) {
      case "ready":
        clearTimeout(this.waiting);
        this.ask();
        this.listener.ready();
        break;
      case "pong":
        this.hear(message.number);
        break;
      case "change":
        this.change(message.value, message.final);
        break;
      case "resize":
        this.listener.height(message.height);
        break;
      case "error":
        if (message.fatal) this.end("failed", message.message);
        else this.listener.fault(message.message);
        break;
      case "key":
        this.listener.key(message);
        break;
      case "wheel":
        this.listener.wheel(message);
        break;
    }
  }

  /** Of what comes within one frame of the screen, only the last counts, unless a gesture ends. */
  private change(value: Json, final: boolean): void {
    if (final) {
      this.hasPending = false;
      this.listener.change(value, true);
      return;
    }
    this.pending = value;
    if (this.hasPending) return;
    this.hasPending = true;
    this.frame = requestAnimationFrame(() => this.flush());
  }

  private flush(): void {
    if (!this.hasPending || this.pending === undefined) return;
    this.hasPending = false;
    this.listener.change(this.pending, false);
  }

  /** Something has to come before long, unless nobody looks: then a page's frames are slowed down. */
  private expect(): void {
    clearTimeout(this.waiting);
    this.waiting = setTimeout(() => {
      if (document.hidden) this.expect();
      else this.end("silent");
    }, PATIENCE);
  }

  private ask(): void {
    clearInterval(this.asking);
    this.asking = setInterval(() => {
      if (document.hidden || this.answered < this.number) return;
      this.number += 1;
      this.tell("ping", { number: this.number });
      this.expect();
    }, ASKED_EVERY);
  }

  private hear(number: number): void {
    if (number !== this.number) return;
    this.answered = number;
    clearTimeout(this.waiting);
  }

  private isTooMuch(): boolean {
    const now = Math.floor(performance.now() / 1000);
    this.counted = now === this.second ? this.counted + 1 : 1;
    this.second = now;
    return this.counted > MOST_MESSAGES;
  }
}
