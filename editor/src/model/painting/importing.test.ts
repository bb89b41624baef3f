import { expect, it } from "vitest";
import { canvasOf, expectSound, ground, PLACE, started, upload } from "../fixtures/canvas";
import { importLayers } from ".";

const LOOK = { opacity: 1, mode: "normal", visible: true };

it("layers of a file lie on those that are there, in their groups and with their looks", () => {
  const before = started();
  const sun = { ...LOOK, title: "Sun", value: upload("d"), placement: PLACE, visible: false };
  const sea = { ...LOOK, title: "Sea", value: upload("c"), placement: PLACE, mode: "multiply" };
  const cloud = { ...LOOK, title: "Cloud", value: upload("e"), placement: { ...PLACE, x: 40 } };
  const sky = { ...LOOK, title: "Sky", opacity: 0.5, items: [sun, cloud] };
  const empty = { ...LOOK, title: "Empty", items: [] };
  const workflow = importLayers(ground(before), canvasOf(before), [sea, sky, empty]);
  expectSound(workflow);
  const [, ...entries] = canvasOf(workflow).entries;
  const group = entries.at(-1);
  expect(entries).toMatchObject([
    { title: "Sea", mode: "multiply", parent: null },
    { title: "Sun", visible: false, parent: group?.node },
    { title: "Cloud", placement: { x: 40 }, parent: group?.node },
    { title: "Sky", opacity: 0.5, parent: null },
  ]);
});
