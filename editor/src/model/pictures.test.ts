import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import fc from "fast-check";
import { zlibSync } from "fflate";
import { describe, expect, test } from "vitest";
import { ExactNumber } from "./json";
import { mayHoldWorkflow, PictureFault, workflowOfFile, workflowOfTexts } from "./pictures";

function picture(name: string): Uint8Array {
  return new Uint8Array(readFileSync(resolve(import.meta.dirname, "fixtures/pictures", name)));
}

describe.each(["saved.png", "saved.jpeg", "saved.webp", "packed.png", "international.png"])(
  "%s",
  (name) => {
    test("gives the workflow that made it, number by number", () => {
      const { workflow } = workflowOfFile(picture(name), name);
      expect(workflow.title).toBe("Äpfel 🍎");
      const inputs = workflow.nodes.get("sample")?.inputs;
      expect(inputs?.get("seed")).toEqual(new ExactNumber("9223372036854775807"));
      expect(inputs?.get("cfg")).toEqual(new ExactNumber("4.0"));
    });

    test("cut short anywhere never upsets the page", () => {
      const bytes = picture(name);
      for (let length = 0; length < bytes.length; length += 7) {
        try {
          workflowOfFile(bytes.slice(0, length), name);
        } catch (fault) {
          expect((fault as Error).name).toMatch(/Fault$/);
        }
      }
    });
  },
);

test("nodegraph's version is among the other texts", () => {
  expect(workflowOfFile(picture("saved.webp"), "").texts.get("nodegraph")).toMatch(/^\d/);
  expect(workflowOfFile(picture("saved.png"), "").texts.get("nodegraph")).toMatch(/^\d/);
});

function faultOf(bytes: Uint8Array, name: string): string {
  try {
    workflowOfFile(bytes, name);
    return "none";
  } catch (fault) {
    return fault instanceof PictureFault ? fault.code : String(fault);
  }
}

test("what holds no workflow says why", () => {
  expect(faultOf(picture("plain.png"), "plain.png")).toBe("no-workflow");
  expect(faultOf(picture("foreign.png"), "foreign.png")).toBe("foreign");
  expect(faultOf(new Uint8Array([71, 73, 70, 56]), "a.gif")).toBe("unknown-kind");
  expect(faultOf(new Uint8Array(0), "empty")).toBe("unknown-kind");
});

test("a workflow file is read by its name, its kind or its beginning", () => {
  const bytes = new TextEncoder().encode('{"format": "nodegraph/1", "title": "x"}');
  expect(workflowOfFile(bytes, "a.json").workflow.title).toBe("x");
  expect(workflowOfFile(bytes, "blob", "application/json").workflow.title).toBe("x");
  expect(workflowOfFile(bytes, "blob").workflow.title).toBe("x");
  expect(() => workflowOfFile(new Uint8Array([123, 255]), "a.json")).toThrow("UTF-8");
});

test("a plot is JSON that carries its workflow", () => {
  const workflow = JSON.stringify('{"format": "nodegraph/1", "title": "P"}');
  const plot = (rest: string) =>
    new TextEncoder().encode(`{"format": "nodegraph/plot/1", "series": []${rest}}`);
  const found = workflowOfFile(plot(`, "workflow": ${workflow}, "nodegraph": "0.1"`), "a.json");
  expect([found.workflow.title, found.texts.get("nodegraph")]).toEqual(["P", "0.1"]);
  expect(faultOf(plot(""), "a.json")).toBe("no-workflow");
});

test("of a picture that a client of ComfyUI made, nodegraph's own workflow is opened", () => {
  const texts = new Map([
    ["prompt", '{"1": {"class_type": "SaveImage", "inputs": {}}}'],
    ["workflow", '{"nodes": [], "links": [], "version": 0.4}'],
    ["nodegraph_workflow", '{"format": "nodegraph/1", "title": "Own"}'],
    ["nodegraph", "0.1"],
  ]);
  const found = workflowOfTexts(texts, "a.png");
  expect(found.workflow.title).toBe("Own");
  expect([...found.texts.keys()]).toEqual(["prompt", "nodegraph"]);
});

test("a picture whose text unpacks to gigabytes is refused", () => {
  const text = new Uint8Array(70 * 1024 * 1024).fill(32);
  const packed = zlibSync(text);
  const name = new TextEncoder().encode("workflow\0\0");
  const chunk = new Uint8Array(12 + name.length + packed.length);
  new DataView(chunk.buffer).setUint32(0, name.length + packed.length);
  chunk.set(new TextEncoder().encode("zTXt"), 4);
  chunk.set(name, 8);
  chunk.set(packed, 8 + name.length);
  const head = picture("plain.png").slice(0, 8);
  expect(faultOf(new Uint8Array([...head, ...chunk]), "bomb.png")).toBe("too-large");
});

test("random changes never upset the page", () => {
  const names = ["saved.png", "saved.jpeg", "saved.webp"];
  const change = fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 }));
  fc.assert(
    fc.property(
      fc.constantFrom(...names),
      fc.array(change, { minLength: 1, maxLength: 9 }),
      (name, changes) => {
        const bytes = picture(name);
        for (const [at, value] of changes) bytes[at % bytes.length] = value;
        try {
          workflowOfFile(bytes, name);
        } catch (fault) {
          expect((fault as Error).name).toMatch(/Fault$/);
        }
      },
    ),
  );
});

test("files are told by name and kind before they are read", () => {
  expect(mayHoldWorkflow({ name: "a.PNG", type: "" })).toBe(true);
  expect(mayHoldWorkflow({ name: "a", type: "image/webp" })).toBe(true);
  expect(mayHoldWorkflow({ name: "a.mp4", type: "video/mp4" })).toBe(false);
});
