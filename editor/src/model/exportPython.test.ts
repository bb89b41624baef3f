import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { exportPython } from "./exportPython";
import { builtInTypes, galleryWorkflow } from "./fixtures";
import { NOTHING, readWorkflow, type Workflow, writeWorkflow } from "./workflow";

const types = builtInTypes();
const PYTHON = process.env.NODEGRAPH_PYTHON ?? "python";
const hasPython = spawnSync(PYTHON, ["-c", "import nodegraph"]).status === 0;

/** What the script's workflow says as a file, by asking the library. */
function built(workflow: Workflow): string {
  const folder = mkdtempSync(join(tmpdir(), "script-"));
  try {
    writeFileSync(join(folder, "script.py"), exportPython(workflow, types));
    const code =
      "import script, inspect; from nodegraph import Workflow\n" +
      "found = [f for n, f in vars(script).items() if inspect.isfunction(f) and f.__module__ == 'script']\n" +
      "print(found[0]().dumps(), end='')";
    const answer = spawnSync(PYTHON, ["-X", "utf8", "-c", code], { cwd: folder, encoding: "utf8" });
    return answer.status === 0 ? answer.stdout : answer.stderr;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function read(workflow: object): Workflow {
  return readWorkflow(JSON.stringify({ format: "nodegraph/1", ...workflow }));
}

test("the script of text_to_image reads like one that a person writes", () => {
  expect(exportPython(galleryWorkflow("text_to_image"), types)).toMatchInlineSnapshot(`
    """"Text to image.

    Relative paths of files start in the folder in which the script is run.
    """

    from nodegraph import Workflow, run


    def text_to_image(
        prompt="a red apple on a white background",
        seed=7,
        steps=20,
        cfg=4.0,
    ) -> Workflow:
        """A picture from words."""
        workflow = Workflow.from_dict({
            "format": "nodegraph/1",
            "title": "Text to image",
            "description": "A picture from words.",
            "parameters": {
                "prompt": "positive.text",
                "seed": "sample.seed",
                "steps": "sample.steps",
                "cfg": "sample.cfg",
            },
        })
        load = workflow.add("load", "LoadModel", model="tiny")
        positive = workflow.add(
            "positive",
            "EncodePrompt",
            encoder=load.output("text_encoder"),
            text=prompt,
        )
        size = workflow.add("size", "EmptyLatent", width=128, height=128)
        sample = workflow.add(
            "sample",
            "KSampler",
            model=load.output("model"),
            positive=positive,
            latent=size,
            seed=seed,
            steps=steps,
            cfg=cfg,
            sampler="dpmpp_2m",
            schedule="karras",
        )
        decode = workflow.add(
            "decode",
            "VAEDecode",
            vae=load.output("vae"),
            latent=sample,
        )
        workflow.add("save", "SaveImage", image=decode, name="apple")
        return workflow


    if __name__ == "__main__":
        result = run(text_to_image())
        for file in result.files:
            print(file.path)
    "
  `);
});

describe.skipIf(!hasPython)("the script builds the very same workflow", () => {
  test.each([
    "text_to_image",
    "prompt_walk",
    "seed_grid",
    "samplers_compared",
    "image_to_image",
    "forward_diffusion",
  ])("%s", (name) => {
    const workflow = galleryWorkflow(name);
    expect(built(workflow)).toBe(writeWorkflow({ ...workflow, ui: NOTHING }));
  });

  test("with modes, notes, odd names, blocks, circles and broken links", () => {
    const workflow = read({
      title: 'Quotes """ and \\ slashes',
      description: 'ends with a quote"',
      parameters: {
        class: "2nd node.a",
        "2nd": "2nd node.b",
        gone: "no.where",
        list: "list.items",
      },
      nodes: {
        "late é": {
          type: "Length",
          inputs: { items: { from: "list" } },
          mode: "bypass",
          label: "L",
        },
        "2nd node": {
          type: "Calculate",
          inputs: { a: 1, b: { from: "print" } },
          note: 'x\n"""y',
          always: true,
        },
        print: {
          type: "Calculate",
          version: 1,
          inputs: { "odd-name": 1, from: 2, a: { from: "2nd node" } },
          color: [1],
        },
        list: {
          type: "Item",
          inputs: { items: [1, 2.5, { from: "x" }], index: 0, more: { value: { from: "y" } } },
        },
        broken: { type: "Item", inputs: { items: { from: 3 }, index: { from: "nowhere.port" } } },
      },
      subgraphs: { block: { nodes: { inner: { type: "Round" } } } },
      requires: { pack: ">=1" },
      other: { kept: null },
    });
    expect(built(workflow)).toBe(writeWorkflow(workflow));
  });

  test("with numbers and texts of all kinds", () => {
    const text =
      'line one\nline two, which is long enough to be broken apart from the others\n\u2028\ud83c\udf4e\u202e"';
    const inputs =
      '"seed": 9223372036854775807, "cfg": 4.0, "tiny": 1e-07, "no": null, "yes": true';
    const workflow = readWorkflow(
      `{"format": "nodegraph/1", "nodes": {"a": {"type": "T", "inputs": {${inputs}, "text": ${JSON.stringify(text)}}}}}`,
    );
    expect(built(workflow)).toBe(writeWorkflow(workflow));
  });
});

test("nothing that a workflow says becomes code", () => {
  const evil = '"""\nimport os; os.abort()\n\\"""';
  const script = exportPython(
    read({
      title: evil,
      description: evil,
      parameters: { [evil]: `${evil}.x` },
      nodes: { [evil.replace(".", "")]: { type: evil, label: evil, inputs: { [evil]: evil } } },
      requires: { [evil]: evil },
    }),
    types,
  );
  expect(script).not.toMatch(/^\s*import os/m);
});

test("files of a server are pointed out", () => {
  const script = exportPython(
    read({ nodes: { a: { type: "LoadImage", inputs: { path: "upload:abc/x.png" } } } }),
  );
  expect(script).toContain("upload:");
  expect(script.split('"""')[1]).toContain("paths of your own");
});
