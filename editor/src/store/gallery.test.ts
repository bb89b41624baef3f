import { renderHook } from "@testing-library/react";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { ArtifactEntry } from "@/api/schema";
import { artifact, job } from "@/components/panels/testing";
import { stubServer } from "@/test/answers";
import {
  listedResults,
  loadResults,
  markAllResults,
  outdateResults,
  startGallery,
  useGallery,
  useResults,
  workflowOf,
} from "./gallery";
import { NO_JOBS, useJobs } from "./jobs";
import { queries } from "./queries";

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

const names = () => listedResults().map(({ name }) => name);
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
  queries.clear();
  useGallery.setState({ text: "", kind: null, job: null, board: null, isTrash: false });
  useGallery.setState({ marked: new Set() });
  stop = startGallery();
});

afterEach(() => stop());

/** Load the list; the server read it before something else happens. */
async function load(items: readonly ArtifactEntry[], happens = () => {}): Promise<void> {
  const loading = loadResults();
  await vi.waitFor(() => expect(answers).not.toEqual([]));
  happens();
  answers.shift()?.(items);
  await loading;
}

/** Somebody who looks at the list, of which this is the first page. */
async function look(items: readonly ArtifactEntry[], next?: string) {
  const { result } = renderHook(() => useResults());
  await answer(items, next);
  await vi.waitFor(() => expect(result.current.isLoading).toBe(false));
  return result;
}

async function answer(items: readonly ArtifactEntry[], next?: string): Promise<void> {
  await vi.waitFor(() => expect(answers).not.toEqual([]));
  answers.shift()?.(items, next);
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
    await load([old]);
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
    expect(listedResults()[0]?.jobs).toBe(1);
  });

  it("doesn't show what was deleted while it was being loaded", async () => {
    const { result } = renderHook(() => useResults());
    await vi.waitFor(() => expect(answers).toHaveLength(1));
    socket.tell({ kind: "artifacts.deleted" });
    await vi.waitFor(() => expect(answers).toHaveLength(2));
    answers[1]?.([old]);
    answers[0]?.([fresh, old]);
    await vi.waitFor(() => expect(result.current.isLoading).toBe(false));
    expect(names()).toEqual([old.name]);
  });

  it("is asked for again only when somebody looks at it", async () => {
    await load([old]);
    socket.tell({ kind: "artifacts.deleted" });
    write(fresh);
    await vi.waitFor(() => expect(names()).toEqual([fresh.name, old.name]));
    expect(answers).toEqual([]);
    await look([fresh]);
    await vi.waitFor(() => expect(names()).toEqual([fresh.name]));
  });

  it("asks once more for what was written during a search", async () => {
    useGallery.setState({ text: "old" });
    const { result } = renderHook(() => useResults());
    await vi.waitFor(() => expect(answers).toHaveLength(1));
    write(fresh);
    await answer([old]);
    await answer([old]);
    await vi.waitFor(() => expect(result.current.isLoading).toBe(false));
    expect(names()).toEqual([old.name]);
    expect(answers).toEqual([]);
  });

  it("loads page after page, and is asked for again in one go", async () => {
    const seen = await look([fresh], "1");
    void seen.current.loadMore();
    await answer([old], "2");
    await vi.waitFor(() => expect(seen.current.items).toHaveLength(2));
    void seen.current.loadMore();
    await answer([old, artifact(2)]);
    await vi.waitFor(() => expect(names()).toEqual([fresh.name, old.name, artifact(2).name]));
    await outdateResults();
    await answer([fresh, old]);
    await vi.waitFor(() => expect(names()).toEqual([fresh.name, old.name]));
    expect(answers).toEqual([]);
  });

  it("keeps the list before while another one is loaded", async () => {
    const seen = await look([fresh]);
    useGallery.getState().filter({ kind: "video" });
    await vi.waitFor(() => expect(seen.current.isLoading).toBe(true));
    expect(seen.current.items).toEqual([fresh]);
    await answer([]);
    await vi.waitFor(() => expect(seen.current.items).toEqual([]));
  });

  it("marks all that match, the ones that weren't loaded yet too", async () => {
    await look([fresh], "1");
    const marking = markAllResults();
    await answer([old]);
    await marking;
    expect([...useGallery.getState().marked]).toEqual([fresh.digest, old.digest]);
  });

  it("marks no longer what is gone", async () => {
    await look([fresh, old]);
    useGallery.getState().mark([fresh.digest, old.digest]);
    await outdateResults();
    await answer([old]);
    await vi.waitFor(() => expect([...useGallery.getState().marked]).toEqual([old.digest]));
  });

  it("doesn't show what is new among results of a board or in the trash", async () => {
    useGallery.setState({ board: "b1" });
    await load([old]);
    write(fresh);
    expect(names()).toEqual([old.name]);
  });
});
