import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { arrange, artifact, job } from "@/components/panels/testing";
import { useDocuments } from "./documents";
import { type JobView, NO_JOBS, useJobs } from "./jobs";
import { setSetting, useSettings } from "./settings";
import { setNotifying, startWorkEnd } from "./workEnd";

const shown: { title: string; body: string | undefined }[] = [];
let stop: () => void;
let visibility: DocumentVisibilityState;

class Shown {
  static permission = "granted";
  static requestPermission = async () => Shown.permission;
  onclick: (() => void) | null = null;
  constructor(title: string, options: NotificationOptions) {
    shown.push({ title, body: options.body });
  }
  close(): void {}
}

beforeEach(() => {
  arrange();
  shown.length = 0;
  visibility = "hidden";
  Shown.permission = "granted";
  vi.stubGlobal("Notification", Shown);
  vi.spyOn(document, "visibilityState", "get").mockImplementation(() => visibility);
  useJobs.setState(NO_JOBS);
  setSetting("endNotification", true);
  setSetting("endSound", false);
  stop = startWorkEnd();
});

afterEach(() => {
  stop();
  vi.restoreAllMocks();
});

function put(...jobs: JobView[]): void {
  useJobs.setState({ jobs: new Map(jobs.map((each) => [each.id, each])) });
}

const document_ = () => useDocuments.getState().active;
const running = (id: string) => job(id, { state: "running", started: 100, document: document_() });
const ended = (id: string, seconds: number, more: Partial<JobView> = {}) =>
  job(id, {
    state: "finished",
    started: 100,
    finished: 100 + seconds,
    document: document_(),
    outputs: [artifact(0)],
    ...more,
  });

it("tells of long work, once all of it has ended", () => {
  put(running("a"), running("b"));
  put(ended("a", 8), running("b"));
  expect(shown).toEqual([]);
  put(ended("a", 8), ended("b", 20, { state: "failed" }));
  expect(shown).toEqual([{ title: "2 jobs ended", body: "1 of them failed." }]);
});

it.each([
  ["short work", 2, "hidden", "finished"],
  ["work that was looked at", 20, "visible", "finished"],
  ["work that was cancelled", 20, "hidden", "cancelled"],
] as const)("says nothing of %s", (_, seconds, seen, state) => {
  put(running("a"));
  visibility = seen;
  put(ended("a", seconds, { state }));
  expect(shown).toEqual([]);
});

it("says nothing of others' jobs, of those from before, and where it is turned off", () => {
  put({ ...running("a"), document: "elsewhere" });
  put({ ...ended("a", 20), document: "elsewhere" });
  put(ended("b", 20));
  setSetting("endNotification", false);
  put(running("c"));
  put(ended("c", 20));
  expect(shown).toEqual([]);
});

it("asks the browser first, and stays off where it refuses", async () => {
  setSetting("endNotification", false);
  Shown.permission = "denied";
  expect(await setNotifying(true)).toBe("denied");
  expect(useSettings.getState().endNotification).toBe(false);
  Shown.permission = "granted";
  expect(await setNotifying(true)).toBe("granted");
  expect(useSettings.getState().endNotification).toBe(true);
});
