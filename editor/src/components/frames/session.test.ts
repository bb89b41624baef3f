import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { ASKED_EVERY, FrameSession, MOST_MESSAGES, PATIENCE } from "./session";

/** The frame's end of a port: what was said to it, and a way to say something. */
function talk() {
  const told: unknown[] = [];
  const heard: unknown[][] = [];
  const note =
    (name: string) =>
    (...given: unknown[]) => {
      heard.push([name, ...given]);
    };
  const port = {
    onmessage: null as ((event: MessageEvent) => void) | null,
    postMessage: (message: unknown) => {
      told.push(message);
    },
    close: () => undefined,
  };
  const session = new FrameSession(port, {
    ready: note("ready"),
    change: note("change"),
    height: note("height"),
    key: note("key"),
    wheel: note("wheel"),
    fault: note("fault"),
    end: note("end"),
  });
  const say = (data: unknown) => port.onmessage?.(new MessageEvent("message", { data }));
  return { session, told, heard, say };
}

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
});

describe("the talk with a frame", () => {
  it("takes the last of what comes within a frame of the screen, and each end of a gesture", () => {
    const { heard, say } = talk();
    for (const value of [1, 2, 3]) say({ kind: "change", value, final: false });
    expect(heard).toEqual([]);
    vi.advanceTimersByTime(50);
    expect(heard).toEqual([["change", 3, false]]);
    say({ kind: "change", value: 4, final: false });
    say({ kind: "change", value: 5, final: true });
    say({ kind: "change", value: 6, final: true });
    vi.advanceTimersByTime(50);
    expect(heard.slice(1)).toEqual([
      ["change", 5, true],
      ["change", 6, true],
    ]);
  });

  it("keeps what was dragged when it is closed, and hears nothing more", () => {
    const { session, heard, told, say } = talk();
    say({ kind: "change", value: 7, final: false });
    session.close();
    expect(heard).toEqual([["change", 7, false]]);
    say({ kind: "change", value: 8, final: true });
    session.tell("value", { value: 1 });
    vi.advanceTimersByTime(10 * PATIENCE);
    expect([heard.length, told.length]).toEqual([1, 0]);
  });

  it("gives up a frame that never begins", () => {
    const { heard } = talk();
    vi.advanceTimersByTime(PATIENCE - 1);
    expect(heard).toEqual([]);
    vi.advanceTimersByTime(1);
    expect(heard).toEqual([["end", "silent", ""]]);
  });

  it("asks now and then whether it is still there, and gives up one that hangs", () => {
    const { heard, told, say } = talk();
    say({ kind: "ready" });
    for (const number of [1, 2, 3]) {
      vi.advanceTimersByTime(ASKED_EVERY);
      expect(told.at(-1)).toEqual({ kind: "ping", number });
      say({ kind: "pong", number });
    }
    vi.advanceTimersByTime(ASKED_EVERY);
    say({ kind: "pong", number: 1 }); // an old answer is none
    vi.advanceTimersByTime(PATIENCE);
    expect(heard).toEqual([["ready"], ["end", "silent", ""]]);
  });

  it("tells a fault and goes on, but for one as it begins", () => {
    const { heard, say } = talk();
    say({ kind: "error", message: "this once", fatal: false });
    say({ kind: "change", value: Number.NaN, final: true });
    say({ kind: "error", message: "all over", fatal: true });
    say({ kind: "error", message: "still here", fatal: false });
    expect(heard).toEqual([
      ["fault", "this once"],
      ["fault", "NaN is no number that JSON has"],
      ["end", "failed", "all over"],
    ]);
  });

  it("gives up a frame that says too much", () => {
    const { heard, say } = talk();
    for (let at = 0; at < 3 * MOST_MESSAGES; at += 1) say({ kind: "nothing" });
    expect(heard).toEqual([["end", "flooding", ""]]);
  });
});
