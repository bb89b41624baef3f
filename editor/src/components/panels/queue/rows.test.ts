import { describe, expect, it } from "vitest";
import type { JobView } from "@/store/jobs";
import { job as arranged } from "../testing";
import { moveOf, queueRows } from "./rows";

const job = (id: string, changes: Partial<JobView>) => arranged(id, { created: 0, ...changes });

const waiting = ["a", "b", "c"].map((id, index) => job(id, { position: index + 1 }));

describe("queueRows", () => {
  it("lists what runs, what waits in its order, and what ended by day", () => {
    const jobs = [
      job("old", { state: "finished", finished: 86_400 * 10 }),
      ...waiting.toReversed(),
      job("now", { state: "running" }),
    ];
    const ids = queueRows(jobs, new Set()).map((row) => row.id);
    expect(ids.slice(0, 6)).toEqual(["running", "now", "waiting", "a", "b", "c"]);
    expect(ids).toHaveLength(8);
    expect(ids.at(-1)).toBe("old");
  });

  it("leaves out the jobs of what is closed, and parts without jobs", () => {
    expect(queueRows(waiting, new Set(["waiting"])).map((row) => row.id)).toEqual(["waiting"]);
    expect(queueRows([], new Set())).toEqual([]);
  });
});

describe("moveOf", () => {
  it("moves among equals", () => {
    expect(moveOf(waiting, "b", "up")).toEqual({ before: "a" });
    expect(moveOf(waiting, "a", "down")).toEqual({ before: "c" });
    expect(moveOf(waiting, "b", "down")).toEqual({ to: "last" });
    expect(moveOf(waiting, "c", "first")).toEqual({ to: "first" });
  });

  it("takes them in any order", () => {
    const newestFirst = [...waiting].reverse();
    expect(moveOf(newestFirst, "c", "up")).toEqual({ before: "b" });
    expect(moveOf(newestFirst, "c", "down")).toBeNull();
    expect(moveOf(newestFirst, "a", "up")).toBeNull();
  });

  it("says nothing where there is nowhere to go", () => {
    expect(moveOf(waiting, "a", "up")).toBeNull();
    expect(moveOf(waiting, "c", "last")).toBeNull();
    expect(moveOf(waiting, "x", "up")).toBeNull();
  });

  it("doesn't pass jobs of another priority", () => {
    const jobs = [job("high", { position: 1, priority: 5 }), job("low", { position: 2 })];
    expect(moveOf(jobs, "low", "up")).toBeNull();
  });
});
