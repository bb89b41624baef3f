// @vitest-environment jsdom
import { describe, expect, test } from "vitest";
import { exportSvg } from "./exportSvg";
import { builtInTypes, galleryWorkflow } from "./fixtures";
import { edgesOf } from "./graph";
import { readWorkflow } from "./workflow";

const types = builtInTypes();

function parsed(svg: string): Document {
  const document = new DOMParser().parseFromString(svg, "image/svg+xml");
  expect(document.querySelector("parsererror")).toBeNull();
  return document;
}

describe("a graph as a picture", () => {
  const workflow = galleryWorkflow("text_to_image");
  const document = parsed(exportSvg(workflow, null, types));

  test("has each node and each link", () => {
    const titles = [...document.querySelectorAll(".title")].map((item) => item.textContent);
    expect(titles).toEqual(["Text to image", ...workflow.nodes.keys()]);
    expect(document.querySelectorAll("path.link")).toHaveLength(edgesOf(workflow.nodes).length);
  });

  test("has its links in the colours of what they carry", () => {
    const colors = [...document.querySelectorAll("path.link")].map((item) =>
      item.getAttribute("stroke"),
    );
    expect(colors).toContain(types.portTypes.get("Latent")?.color);
  });
});

test("of a block shows the block", () => {
  const document = parsed(exportSvg(galleryWorkflow("prompt_walk"), "repaint", types));
  expect(document.querySelector(".heading")?.textContent).toBe("repaint");
});

test("markup and odd characters in a workflow stay text", () => {
  const evil = '</text><script>alert(1)</script>&"\u0000\u0008\ud800';
  const workflow = readWorkflow(
    JSON.stringify({
      format: "nodegraph/1",
      title: evil,
      nodes: {
        [`a ${evil.replaceAll("/", "")}`]: {
          type: "SaveImage",
          label: evil.slice(0, 9),
          inputs: { name: evil },
        },
      },
      ui: {
        positions: {},
        colors: { a: 'red" onload="x' },
        notes: [{ id: "1", text: evil, box: [0, 0, 200, 80] }],
        groups: [{ id: "1", title: evil, color: "url(http://x)", box: [0, 0, 10, 10] }],
      },
    }),
  );
  const document = parsed(exportSvg(workflow, null, types));
  expect(document.querySelector("script")).toBeNull();
  expect(document.documentElement.outerHTML).not.toContain("url(");
});

test("an empty workflow gives an empty picture", () => {
  parsed(exportSvg(readWorkflow('{"format": "nodegraph/1"}'), null, null));
});
