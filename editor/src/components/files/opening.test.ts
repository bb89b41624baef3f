import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { beforeEach, describe, expect, test, vi } from "vitest";
import * as files from "@/api/files";
import type { UploadEntry } from "@/api/schema";
import { galleryWorkflow } from "@/model/fixtures";
import { spec } from "@/model/fixtures/specs";
import { linkOfWorkflow } from "@/model/share";
import { emptyWorkflow } from "@/model/workflow";
import { useCatalogue } from "@/store/catalogue";
import { activeDocument, currentWorkflow, isDirty, useDocuments } from "@/store/documents";
import { useNotices } from "@/store/notices";
import { stubServer } from "@/test/answers";
import { openExample, openFiles, openLink, openSaved, openTemplate } from "./opening";

const PICTURES = resolve(import.meta.dirname, "../../model/fixtures/pictures");

function file(name: string, type: string, bytes?: string): File {
  const data = bytes ?? readFileSync(resolve(PICTURES, name));
  return new File([data as BlobPart], name, { type });
}

function titles(): readonly string[] {
  return useDocuments.getState().documents.map((document) => currentWorkflow(document).title);
}

function told(): string {
  const notice = useNotices.getState().items.at(-1);
  return `${notice?.title} ${notice?.detail}`;
}

beforeEach(() => {
  useDocuments.getState().restore([], null);
  useNotices.setState({ items: [] });
});

describe("files", () => {
  test("open in tabs of their own, the first in place of the empty one", async () => {
    await openFiles([
      { file: file("saved.png", "image/png"), handle: null },
      { file: file("a.json", "", '{"format": "nodegraph/1", "title": "A"}'), handle: null },
    ]);
    expect(titles()).toEqual(["Äpfel 🍎", "A"]);
    expect(activeDocument().origin).toBe("file");
    expect(isDirty(activeDocument())).toBe(false);
  });

  test.each([
    ["a.json", '{"format": "nodegraph/1",\n"nodes": [1}', "Line 2"],
    ["b.json", '{"format": "nodegraph/1", "nodes": {"a.b": {"type": "T"}}}', "a.b"],
    ["c.json", '{"format": "nodegraph/99"}', "nodegraph/99"],
    ["d.txt", "hello", "neither"],
  ])("that can't be read say why: %s", async (name, text, says) => {
    await openFiles([{ file: file(name, "", text), handle: null }]);
    expect(told()).toContain(says);
    expect(titles()).toEqual([""]);
  });
});

describe("results that only the server reads", () => {
  const digest = "ab".repeat(32);

  beforeEach(() => {
    vi.spyOn(files, "upload").mockResolvedValue({ digest } as UploadEntry);
  });

  async function dropped(texts: Record<string, string>): Promise<void> {
    const asked = vi.fn(async () => new Response(JSON.stringify({ texts })));
    stubServer(asked);
    await openFiles([{ file: file("mesh.GLB", "", "glTF"), handle: null }]);
    expect(String((asked.mock.calls[0] as unknown[])[0])).toContain(`/uploads/${digest}/texts`);
  }

  test("open by the workflow that they carry", async () => {
    await dropped({ workflow: '{"format": "nodegraph/1", "title": "Mesh"}' });
    expect(titles()).toEqual(["Mesh"]);
  });

  test("say so where they carry none", async () => {
    await dropped({ title: "x" });
    expect(told()).toContain("no workflow");
    expect(titles()).toEqual([""]);
  });
});

describe("pictures of other tools", () => {
  const digest = "cd".repeat(32);
  const parameters = "a cat\nSteps: 20, Sampler: Euler a, Seed: 1";
  const report = {
    nodes: 1,
    untranslated: [],
    models: [],
    files: [],
    families: [],
    problems: [],
    differences: [{ node: "", message: "Not used: `Odd` (1)." }],
  };

  async function opened(texts: Record<string, string>): Promise<readonly string[]> {
    const asked: string[] = [];
    vi.spyOn(files, "upload").mockResolvedValue({ digest } as UploadEntry);
    stubServer(async (url: string, init?: RequestInit) => {
      asked.push(`${url} ${init?.body ?? ""}`);
      const isImport = String(url).endsWith("/import");
      const workflow = { format: "nodegraph/1", title: "Cat", nodes: {} };
      return new Response(JSON.stringify(isImport ? { workflow, ...report } : { texts }));
    });
    await openFiles([{ file: file("plain.png", "image/png"), handle: null }]);
    return asked;
  }

  test("open as a workflow of their settings, and what differs is shown", async () => {
    const asked = await opened({ parameters, Author: "somebody" });
    expect(asked[0]).toContain(`/uploads/${digest}/texts`);
    expect(asked[1]).toContain(JSON.stringify({ texts: { parameters } }));
    expect(titles()).toEqual(["Cat"]);
    expect(activeDocument().origin).toBe("import");
    expect(useNotices.getState().items.at(-1)?.action?.label).toBe("Show differences");
  });

  test("say that they carry no workflow where the server finds no settings", async () => {
    expect(await opened({ Author: "somebody" })).toHaveLength(1);
    expect(told()).toContain("no workflow");
    expect(titles()).toEqual([""]);
  });
});

test("a link opens its workflow, and a broken one says so", async () => {
  const link = linkOfWorkflow(galleryWorkflow("seed_grid"), "http://x/");
  expect(await openLink(new URL(link).hash)).toBe(true);
  expect(titles()).toEqual(["Seed grid"]);
  expect(await openLink("#w=AAAA")).toBe(true);
  expect(told()).toContain("damaged");
  expect(await openLink("#other")).toBe(false);
});

describe("from the server", () => {
  const text = '{"format": "nodegraph/1", "title": "Kept"}';

  test("a saved workflow opens under its name, once", async () => {
    stubServer(async () => new Response(text, { headers: { etag: '"v1"' } }));
    const id = await openSaved("kept");
    expect(activeDocument()).toMatchObject({ id, savedName: "kept", savedEtag: '"v1"' });
    useDocuments.getState().open(emptyWorkflow("Other"));
    expect(await openSaved("kept")).toBe(id);
    expect(titles()).toEqual(["Kept", "Other"]);
  });

  test("an older version opens as a document without a name", async () => {
    stubServer(async () => new Response(text));
    await openSaved("kept", 1);
    expect(activeDocument().savedName).toBeNull();
  });

  test("a template that can't be got is told", async () => {
    stubServer(async () => new Response('{"title": "Gone"}', { status: 404 }));
    expect(await openTemplate("none")).toBeNull();
    expect(told()).toContain("none");
  });

  test("a template opens although its picture can't be got", async () => {
    const needs = [
      { name: "t", title: "", description: "", parameters: [], needs: ["a.png"], href: "" },
    ];
    useCatalogue.setState({ templates: needs as never });
    stubServer(async (path: string) =>
      path.includes("/files/") ? new Response("", { status: 404 }) : new Response(text),
    );
    expect(await openTemplate("t")).not.toBeNull();
    expect(told()).toContain("a.png");
    expect(activeDocument().origin).toBe("template");
  });

  test("a node's example opens with its files brought along", async () => {
    const asked: string[] = [];
    stubServer(async (path: string) => {
      asked.push(path);
      if (path.includes("/files/")) return new Response("", { status: 404 });
      return new Response(text);
    });
    const example = { href: "", picture: null, needs: ["a.flac", "b.py"], folders: [] };
    expect(await openExample(spec("p:Load", { example }))).not.toBeNull();
    expect(asked.map((path) => path.replace(/^.*node-types/, ""))).toEqual([
      "/p%3ALoad/example",
      "/p%3ALoad/example/files/a.flac",
    ]);
    expect(titles()).toEqual(["Kept"]);
  });

  test("folders that a node's example reads are brought along, or it says why not", async () => {
    const asked: string[] = [];
    let may = true;
    stubServer(async (path: string, { method }: RequestInit) => {
      if (method !== "POST") return new Response(text);
      asked.push(path.replace(/^.*node-types/, ""));
      return may ? new Response(null, { status: 204 }) : new Response("{}", { status: 403 });
    });
    const example = { href: "", picture: null, needs: [], folders: ["fruit"] };
    expect(await openExample(spec("p:Load", { example }))).not.toBeNull();
    expect(asked).toEqual(["/p%3ALoad/example/folders"]);
    expect(told()).not.toContain("fruit");
    may = false;
    expect(await openExample(spec("p:Load", { example }))).not.toBeNull();
    expect(told()).toContain("the folder “fruit”");
  });
});
