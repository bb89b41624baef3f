import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { ArtifactEntry } from "@/api/schema";
import { artifact, job } from "@/components/panels/testing";
import { stubServer } from "@/test/answers";
import { startGallery, useGallery, workflowOf } from "./gallery";
import { NO_JOBS, useJobs } from "./jobs";

type Told = (notice: { readonly kind: string }) => void;

const socket = vi.hoisted(() => ({ tell: ((_notice) => undefined) as Told }));
vi.mock("./connection", () => ({
  socket: () => ({
    on: (_kind: string, told: Told) => {
      socket.tell = told;
      return () => undefined;
    },
  }),
}));

/** A job has written a file. */
function write(output: ArtifactEntry): void {
  const jobs = new Map(useJobs.getState().jobs);
  jobs.set(output.job, job(output.job, { outputs: [output] }));
  useJobs.setState({ jobs });
}

const names = () => useGallery.getState().items.map(({ name }) => name);
const [fresh, old] = [artifact(0), artifact(1)];

let answers: ((items: readonly ArtifactEntry[], next?: string) => void)[];
let stop: () => void;

beforeEach(() => {
  answers = [];
  stubServer(
    () =>
      new Promise<Response>((resolve) => {
        answers.push((items, next) => resolve(Response.json({ items, next: next ?? null })));
      }),
  );
  useJobs.setState(NO_JOBS);
  useGallery.setState({ items: [], next: null, state: "none", text: "", kind: null, job: null });
  useGallery.setState({ board: null, isTrash: false, marked: new Set() });
  stop = startGallery();
});

afterEach(() => stop());

/** Load the list; the server read it before something else happens. */
async function load(items: readonly ArtifactEntry[], happens: () => void): Promise<void> {
  const loading = useGallery.getState().reload();
  await vi.waitFor(() => expect(answers).not.toEqual([]));
  happens();
  answers.shift()?.(items);
  await loading;
}

it("gives the workflow of a result with the very seed that its job was given", async () => {
  const workflow = {
    format: "nodegraph/1",
    parameters: { seed: "sample.seed" },
    nodes: { sample: { type: "KSampler", inputs: {} } },
  };
  stubServer(async (address: string) =>
    address.endsWith("/workflow")
      ? Response.json(workflow)
      : new Response('{"id": "a", "tags": [], "parameters": {"seed": 18446744073709551557}}'),
  );
  const found = await workflowOf({ job: "a" });
  expect(String(found.nodes.get("sample")?.inputs.get("seed"))).toBe("18446744073709551557");
});

describe("the gallery", () => {
  it("shows what is written while it is open", async () => {
    await load([old], () => undefined);
    write(fresh);
    expect(names()).toEqual([fresh.name, old.name]);
  });

  it("shows what was written while it was being loaded", async () => {
    await load([old], () => write(fresh));
    expect(names()).toEqual([fresh.name, old.name]);
  });

  it("shows it once if the server knew of it already", async () => {
    await load([fresh, old], () => write(fresh));
    expect(names()).toEqual([fresh.name, old.name]);
    expect(useGallery.getState().items[0]?.jobs).toBe(1);
  });

  it("doesn't show what was deleted while it was being loaded", async () => {
    const first = useGallery.getState().reload();
    await vi.waitFor(() => expect(answers).toHaveLength(1));
    socket.tell({ kind: "artifacts.deleted" });
    await vi.waitFor(() => expect(answers).toHaveLength(2));
    answers[1]?.([old]);
    answers[0]?.([fresh, old]);
    await first;
    await vi.waitFor(() => expect(useGallery.getState().state).toBe("ready"));
    expect(names()).toEqual([old.name]);
  });

  it("asks once more for what was written during a search", async () => {
    useGallery.setState({ text: "old" });
    await load([old], () => write(fresh));
    await vi.waitFor(() => expect(answers).toHaveLength(1));
    answers.shift()?.([old]);
    await vi.waitFor(() => expect(useGallery.getState().state).toBe("ready"));
    expect(names()).toEqual([old.name]);
    expect(answers).toEqual([]);
  });

  it("loads more for whoever asks as soon as the list has grown", async () => {
    useGallery.setState({ items: [fresh], next: "1", state: "ready" });
    const stopAsking = useGallery.subscribe(({ next }) => {
      if (next === "2") void useGallery.getState().loadMore();
    });
    const loading = useGallery.getState().loadMore();
    await vi.waitFor(() => expect(answers).toHaveLength(1));
    answers.shift()?.([old], "2");
    await loading;
    await vi.waitFor(() => expect(answers).toHaveLength(1));
    answers.shift()?.([artifact(2)]);
    await vi.waitFor(() => expect(names()).toHaveLength(3));
    stopAsking();
  });

  it("marks all that match, the ones that weren't loaded yet too", async () => {
    useGallery.setState({ items: [fresh], next: "1", state: "ready" });
    const marking = useGallery.getState().markAll();
    await vi.waitFor(() => expect(answers).toHaveLength(1));
    answers.shift()?.([old]);
    await marking;
    expect([...useGallery.getState().marked]).toEqual([fresh.digest, old.digest]);
  });

  it("doesn't show what is new among results of a board or in the trash", async () => {
    useGallery.setState({ board: "b1" });
    await load([old], () => undefined);
    write(fresh);
    expect(names()).toEqual([old.name]);
  });
});
