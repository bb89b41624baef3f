import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { ArtifactEntry } from "@/api/schema";
import { setInput } from "@/model/edits";
import { PICTURE, SIZE, types } from "@/model/fixtures/canvas";
import { isLayer, readCanvas, setBox, startCanvas } from "@/model/painting";
import { emptyWorkflow, type Workflow } from "@/model/workflow";
import { stubServer } from "@/test/answers";
import {
  accept,
  candidatesOf,
  discard,
  flip,
  keepAll,
  startCandidates,
  useCandidates,
} from "./candidates";
import { useCatalogue } from "./catalogue";
import { activeDocument, currentWorkflow, useDocuments } from "./documents";
import { type JobView, NO_JOBS, useJobs } from "./jobs";
import { ON_CHANGE } from "./running";

let stop = () => {};
let document = "";

beforeEach(() => {
  localStorage.clear();
  useCatalogue.setState({ types });
  useJobs.setState(NO_JOBS, true);
  const started = startCanvas({ workflow: emptyWorkflow(), scope: null, types }, PICTURE, SIZE);
  document = useDocuments.getState().open(started.workflow);
  // What the server answers when an artifact is to stand as an upload.
  stubServer(async (address: string) => {
    const digest = /artifacts\/(\w+)/.exec(address)?.[1] ?? "";
    const entry = { value: `upload:${digest}/result.png`, width: 512, height: 512 };
    return new Response(JSON.stringify(entry), { status: 201 });
  });
  stop = startCandidates();
});

afterEach(() => {
  stop();
  vi.unstubAllGlobals();
  useDocuments.getState().close(document);
});

function workflow(): Workflow {
  return currentWorkflow(activeDocument());
}

function canvas() {
  const found = readCanvas(workflow(), null, types);
  if (found === null) throw new Error("no canvas");
  return found;
}

let time = 0;

/** A job of the document that has ended, with pictures of these digests. */
function ran(digests: readonly string[], more: Partial<JobView> = {}): void {
  const id = `job_${++time}`;
  const outputs = digests.map((letter) => ({
    digest: letter.repeat(64),
    node: canvas().result ?? "",
    media_type: "image/png",
  })) as unknown as readonly ArtifactEntry[];
  const job = {
    ...{ id, document, state: "finished", tags: [], outputs, isWhole: true, created: time },
    ...{ workflow: workflow(), source: workflow(), ...more },
  } as unknown as JobView;
  useJobs.setState(({ jobs, order }) => ({
    jobs: new Map(jobs).set(id, job),
    order: [id, ...order],
  }));
}

function shown(): string | undefined {
  return useCandidates.getState().shown(document)?.digest[0];
}

function listed(): string {
  return candidatesOf(document)
    .map(({ digest }) => digest[0])
    .join("");
}

function pictures(): readonly string[] {
  return canvas()
    .entries.filter(isLayer)
    .map(({ picture }) => picture?.value.slice(7, 8) ?? "");
}

describe("candidates", () => {
  it("are what the canvas's result node gave, the newest shown first", () => {
    ran(["b"]);
    ran(["c", "d"]);
    ran(["e"], { document: "another" });
    expect(listed()).toBe("bcd");
    expect(shown()).toBe("d");
    flip(document, 1);
    expect(shown()).toBe("b");
    flip(document, -1);
    flip(document, -1);
    expect(shown()).toBe("c");
  });

  it("leave out what other nodes gave", () => {
    const sampler = canvas().sampler?.node ?? "";
    const other = { digest: "f".repeat(64), node: sampler, media_type: "image/png" };
    ran([], { outputs: [other] as unknown as readonly ArtifactEntry[] });
    expect(listed()).toBe("");
  });

  it("become a layer where the box stood, and the others go", async () => {
    ran(["b"]);
    ran(["c"]);
    const ground = { workflow: workflow(), scope: null, types };
    const moved = setBox(ground, canvas(), { x: 256 });
    useDocuments.getState().change("box", () => moved);
    flip(document, 1);
    await accept(document);
    expect(pictures()).toEqual(["a", "b"]);
    expect(canvas().entries.filter(isLayer).at(-1)?.placement).toMatchObject({ x: 0, ...SIZE });
    expect(listed()).toBe("");
    useDocuments.getState().undo();
    expect(pictures()).toEqual(["a"]);
  });

  it("are taken once by two clicks, and the new layer is known", async () => {
    ran(["b"]);
    const [node] = await Promise.all([accept(document), accept(document)]);
    expect(pictures()).toEqual(["a", "b"]);
    expect(canvas().entries.at(-1)?.node).toBe(node);
  });

  it("are named by their prompt and seed, and have a number each", async () => {
    const { node = "", port = "" } = canvas().prompt ?? {};
    const sampler = canvas().sampler?.node ?? "";
    const prompted = setInput(
      workflow(),
      null,
      node,
      port,
      "a brass kettle on a stove of black iron",
    );
    useDocuments.getState().change("prompt", () => setInput(prompted, null, sampler, "seed", 41));
    ran(["a"]);
    useDocuments.getState().change("seed", (now) => setInput(now, null, sampler, "seed", 42));
    ran(["b", "c"]);
    await keepAll(document);
    const titles = canvas().entries.map(({ title }) => title);
    expect(titles.slice(1)).toEqual([
      "1 · a brass kettle on a stove of… · 41",
      "2 · a brass kettle on a stove of… · 42",
      "3 · a brass kettle on a stove of… · 42",
    ]);
  });

  it("are all kept as layers in one step", async () => {
    ran(["b", "c"]);
    await keepAll(document);
    expect(pictures()).toEqual(["a", "b", "c"]);
    expect(listed()).toBe("");
    useDocuments.getState().undo();
    expect(pictures()).toEqual(["a"]);
  });

  it("that were discarded don't come back, not after a reload either", () => {
    ran(["b", "c", "d"]);
    flip(document, -1);
    expect(shown()).toBe("c");
    discard(document);
    expect(listed()).toBe("bd");
    expect(shown()).toBe("d");
    stop();
    useCandidates.setState({ lists: new Map(), chosen: new Map() });
    stop = startCandidates();
    expect(listed()).toBe("bd");
  });

  it("keep their place though only an earlier page knows what was run", () => {
    ran(["b"]);
    const place = candidatesOf(document)[0]?.placement;
    expect(place).toMatchObject({ x: 0, ...SIZE });
    const ground = { workflow: workflow(), scope: null, types };
    const moved = setBox(ground, canvas(), { x: 64 });
    useDocuments.getState().change("box", () => moved);
    useCandidates.setState({ lists: new Map() });
    useJobs.setState(({ jobs }) => ({
      jobs: new Map([...jobs].map(([id, job]) => [id, { ...job, workflow: null, source: null }])),
    }));
    expect(candidatesOf(document)[0]?.placement).toEqual(place);
  });

  it("of a live canvas are the last one alone", () => {
    ran(["b"], { tags: [ON_CHANGE] });
    ran(["c"], { tags: [ON_CHANGE] });
    expect(listed()).toBe("c");
    ran([], { tags: [ON_CHANGE], state: "running", isWhole: false });
    expect(listed()).toBe("c");
  });
});
