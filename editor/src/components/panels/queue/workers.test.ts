import { describe, expect, it } from "vitest";
import { worker } from "../testing";
import { crewOf, doingText, memoryText, placeText, workerTone, workText } from "./workers";

describe("crewOf", () => {
  it("adds up what is known", () => {
    const found = crewOf([
      worker("a", { state: "busy", per_hour: 120 }),
      worker("b", { state: "dead", per_hour: 30 }),
      worker("c", {}),
    ]);
    expect(found).toEqual({ count: 3, busy: 1, dead: 1, pace: 150 });
  });

  it("has no pace as long as nobody knows one", () => {
    expect(crewOf([worker("a", {})]).pace).toBeNull();
    expect(crewOf([]).pace).toBeNull();
  });
});

describe("a worker in words", () => {
  it("is where it is, or is to be", () => {
    expect(placeText(worker("a", { host: null, device: "cuda:1" }))).toBe("cuda:1");
    expect(placeText(worker("a", { host: "10.0.0.7" }))).toBe("10.0.0.7 · cpu");
    expect(placeText(worker("a", { host: "" }))).toBe("cpu, waiting for a machine");
  });

  it("does what its state says, also one that this page has no word for", () => {
    expect(doingText(worker("a", {}))).toBe("Idle");
    expect(doingText(worker("a", { helps: "job_of_others" }))).toBe("Helping with a job");
    expect(doingText(worker("a", { state: "dead", next_start: 4.2 }))).toBe("Restarts in 5 s");
    expect(doingText(worker("a", { state: "dead" }))).toBe("Dead");
    const strange = worker("a", { state: "resting" });
    expect([doingText(strange), workerTone(strange)]).toEqual(["resting", "neutral"]);
  });

  it("has done so much, and holds so much", () => {
    expect(workText(worker("a", { done: 1 }))).toBe("1 job");
    expect(workText(worker("a", { done: 20, per_hour: 119.6 }))).toBe("120 per hour · 20 jobs");
    const held = { memory: 2_400_000_000, device_memory: 18e9, device: "cuda:0" };
    expect(memoryText(worker("a", held))).toBe("2.4 GB + 18 GB on cuda:0");
    expect(memoryText(worker("a", {}))).toBe("");
  });
});
