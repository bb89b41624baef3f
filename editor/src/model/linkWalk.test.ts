import fc from "fast-check";
import { expect, test } from "vitest";
import type { Edge } from "./graph";
import { nextLink, type Walk, walkBack, walkedTo, walkFrom } from "./linkWalk";

function edge(from: string, output: string, to: string, input: string): Edge {
  const ends = { from: { node: from, port: output }, to: { node: to, port: input } };
  return { id: `${to}.${input}`, ...ends } as Edge;
}

const EDGES = [
  edge("load", "model", "sample", "model"),
  edge("load", "vae", "decode", "vae"),
  edge("sample", "latent", "decode", "latent"),
  edge("decode", "image", "save", "image"),
];

test("a walk goes along each link of a node in turn", () => {
  const walk = walkFrom(null, EDGES, "load", "downstream") as Walk;
  expect([walkedTo(walk), walk.index, walk.links.length]).toEqual(["sample", 0, 2]);
  expect(walkedTo(nextLink(walk))).toBe("decode");
  expect(walkedTo(nextLink(nextLink(walk)))).toBe("sample");
  expect(walkFrom(walk, EDGES, "save", "downstream")).toBeNull();
  expect(walkFrom(null, EDGES, "load", "upstream")).toBeNull();
});

test("a walk begins anew where somebody has gone elsewhere", () => {
  const walk = walkFrom(null, EDGES, "load", "downstream");
  expect(walkFrom(walk, EDGES, "decode", "downstream")?.trail).toEqual(["decode"]);
});

test("the way back is the way there", () => {
  const ways = fc.array(fc.constantFrom("up", "down", "next"), { maxLength: 12 });
  fc.assert(
    fc.property(ways, (moves) => {
      let walk: Walk | null = null;
      let at = "sample";
      const visited = [at];
      for (const move of moves) {
        if (move === "next" && walk !== null) {
          walk = nextLink(walk);
          visited.pop();
        } else if (move !== "next") {
          const way = move === "up" ? "upstream" : "downstream";
          const next = walkFrom(walk, EDGES, at, way);
          if (next === null) continue;
          walk = next;
        } else continue;
        at = walkedTo(walk) ?? "";
        visited.push(at);
      }
      const seen = [at];
      for (let found = walk && walkBack(walk); found; found = walkBack(found.walk))
        seen.push(found.node);
      expect(seen).toEqual(visited.toReversed());
    }),
  );
});
