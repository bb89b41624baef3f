import fc from "fast-check";
import { deflateSync } from "fflate";
import { expect, test } from "vitest";
import { galleryWorkflow } from "./fixtures";
import { holdsWorkflow, LONGEST_LINK, linkOfWorkflow, ShareFault, workflowOfLink } from "./share";
import { readWorkflow, writeWorkflow } from "./workflow";

const ADDRESS = "http://127.0.0.1:8420/";

function opened(link: string) {
  return workflowOfLink(new URL(link).hash);
}

test("a link brings back the very same file", () => {
  const workflow = galleryWorkflow("prompt_walk");
  const link = linkOfWorkflow(workflow, `${ADDRESS}#w=old`);
  expect(link).toMatch(/^http:\/\/127\.0\.0\.1:8420\/#w=[\w-]+$/);
  const back = opened(link);
  expect(back && writeWorkflow(back)).toBe(writeWorkflow(workflow));
});

test("any text in it survives", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), (title) => {
      const workflow = readWorkflow(JSON.stringify({ format: "nodegraph/1", title, nodes: {} }));
      expect(opened(linkOfWorkflow(workflow, ADDRESS))?.title).toBe(title);
    }),
  );
});

test("an address without a workflow holds none", () => {
  expect(holdsWorkflow("#help")).toBe(false);
  expect(workflowOfLink("")).toBeNull();
});

test("a link that was cut off is told as such", () => {
  const link = linkOfWorkflow(galleryWorkflow("text_to_image"), ADDRESS);
  expect(() => opened(link.slice(0, -20))).toThrow(ShareFault);
  expect(() => workflowOfLink("#w=%%%")).toThrow(ShareFault);
});

test("a workflow that is too large for a link isn't put into one", () => {
  let noise = "";
  let state = 1;
  while (noise.length < 4 * LONGEST_LINK) {
    state = (state * 48271) % 2147483647;
    noise += state.toString(36);
  }
  const workflow = readWorkflow(JSON.stringify({ format: "nodegraph/1", description: noise }));
  expect(() => linkOfWorkflow(workflow, ADDRESS)).toThrow(ShareFault);
});

test("a small link that unpacks to gigabytes is refused", () => {
  const packed = deflateSync(new Uint8Array(20 * 1024 * 1024), { level: 9 });
  const text = btoa(String.fromCharCode(...packed))
    .replaceAll("+", "-")
    .replaceAll("/", "_");
  expect(() => workflowOfLink(`#w=${text}`)).toThrow("too large");
});
