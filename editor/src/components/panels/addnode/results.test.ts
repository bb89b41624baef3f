import { describe, expect, it } from "vitest";
import { builtInTypes, galleryWorkflow } from "@/model/fixtures";
import { useDocuments } from "@/store/documents";
import type { LooseEnd } from "@/store/ui";
import { usedEnd } from "../lib/insert";
import { resultsOf } from "./results";

const types = builtInTypes();
const workflow = galleryWorkflow("text_to_image");

function offered(side: LooseEnd["side"], type: string, port: string) {
  const owner = [...workflow.nodes].find(([, entry]) => entry.type === type)?.[0] ?? "";
  useDocuments.getState().open(workflow, {});
  const spec = types.byName.get(type);
  const ports = side === "output" ? spec?.outputs : spec?.inputs;
  const loose: LooseEnd = {
    type: ports?.find(({ name }) => name === port)?.type ?? "",
    side,
    from: { node: owner, port },
  };
  const options = { favourites: ["ForegroundMask"], recent: ["CropToMask"] };
  return resultsOf(types, workflow, "", { loose, from: usedEnd(types, loose), ...options });
}

describe("what is offered where a link was dropped", () => {
  it("begins with what is linked to an output most often, before favourites", () => {
    const hits = offered("output", "VAEDecode", "image");
    expect(hits[0]?.heading).toBe("likely");
    expect(hits.slice(0, 3).map(({ spec }) => spec.type)).toContain("SaveImage");
    const headings = hits.flatMap(({ heading }) => heading ?? []);
    expect(headings).toEqual(["likely", "favourites", "recent", "all"]);
    expect(new Set(hits.map(({ spec }) => spec.type)).size).toBe(hits.length);
  });

  it("begins with what is linked to an input most often", () => {
    const types = offered("input", "KSampler", "positive").map(({ spec }) => spec.type);
    expect(types[0]).toBe("EncodePrompt");
  });

  it("is by name where nothing was dropped", () => {
    const favourites = ["ImageGrid"];
    const hits = resultsOf(types, workflow, "", { loose: null, favourites, recent: [] });
    expect(hits.flatMap(({ heading }) => heading ?? [])).toEqual(["favourites", "all"]);
  });
});
