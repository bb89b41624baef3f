import { render, screen } from "@testing-library/react";
import { beforeEach, describe, expect, it } from "vitest";
import { fullMoment } from "@/i18n/format";
import { stubServer } from "@/test/answers";
import { arrange, artifact, job } from "../testing";
import { ArtifactFacts } from "./Facts";

const DETAIL = {
  parameters: {},
  targets: null,
  options: {},
  plan: null,
  error: null,
  workflow: "",
};
const WORKFLOW = { format: "nodegraph/1", nodes: {} };

/** What a job says of itself, `seconds` long. */
function detail(id: string, name: string, finished: number, seconds: number) {
  const outputs = { files: [], outputs: {}, nodes: { ran: 1, cached: 0 }, seconds, run: "" };
  return { ...job(id, {}), ...DETAIL, name, state: "finished", finished, outputs };
}

let answers: Record<string, unknown>;

beforeEach(() => {
  arrange();
  answers = {};
  stubServer(async (address: RequestInfo | URL) => {
    const path = new URL(String(address), "http://localhost").pathname.replace("/api/v1", "");
    const found = path.endsWith("/workflow") ? WORKFLOW : answers[path];
    const init = { status: found ? 200 : 404, headers: { "content-type": "application/json" } };
    return new Response(JSON.stringify(found ?? {}), init);
  });
});

describe("the run of a result", () => {
  const found = { ...artifact(1), job: "later-1", existed: true, created: 2_000 };

  it("is that of the job that made it, not of one that found it there", async () => {
    answers["/jobs/later-1"] = detail("later-1", "Again", 2_000, 0.05);
    answers["/jobs/maker-1"] = detail("maker-1", "First", 1_000, 30);
    render(<ArtifactFacts artifact={{ ...found, made_by: "maker-1" }} size={null} />);
    expect(await screen.findByText("First, maker-1")).toBeInTheDocument();
    expect(screen.getByText("30 s")).toBeInTheDocument();
    expect(screen.getByText(fullMoment(1_000))).toBeInTheDocument();
    expect(screen.queryByText(/later-1/)).toBeNull();
  });

  it("is asked for where a job tells of a file that it found", async () => {
    const seen = { ...found, job: "later-2", made_by: null };
    answers["/jobs/later-2"] = detail("later-2", "Again", 2_000, 0.05);
    answers["/jobs/maker-2"] = detail("maker-2", "First", 1_000, 30);
    answers["/artifacts"] = { items: [{ ...seen, made_by: "maker-2" }], next: null };
    render(<ArtifactFacts artifact={seen} size={null} />);
    expect(await screen.findByText("First, maker-2")).toBeInTheDocument();
  });

  it("is said to be gone where its job is", async () => {
    const seen = { ...found, job: "later-3", made_by: null };
    answers["/jobs/later-3"] = detail("later-3", "Again", 2_000, 0.05);
    answers["/artifacts"] = { items: [seen], next: null };
    render(<ArtifactFacts artifact={seen} size={null} />);
    expect(await screen.findByText(/An earlier job made it/)).toBeInTheDocument();
    expect(screen.queryByText(/later-3/)).toBeNull();
    expect(screen.queryByText(fullMoment(2_000))).toBeNull();
  });

  it("is its own job's where that made it", async () => {
    answers["/jobs/maker-4"] = detail("maker-4", "", 1_000, 30);
    render(<ArtifactFacts artifact={{ ...artifact(1), job: "maker-4" }} size={null} />);
    expect(await screen.findByText("maker-4")).toBeInTheDocument();
  });
});
