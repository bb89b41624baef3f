import { expect, it } from "vitest";
import { canvasOf, ground, started, withLayer } from "../fixtures/canvas";
import { isLayer, lackingModels, modelPortOf, setLayer } from ".";

const HAS_NONE = () => false;
const named = (workflow: ReturnType<typeof started>, has: () => boolean) =>
  lackingModels(ground(workflow), canvasOf(workflow), has).map(({ node }) => node);

it("control layers and references whose model is not there are known before a run", () => {
  const control = withLayer(started(), "control", { control: { preprocessor: null, net: "gone" } });
  const reference = { by: "ip-adapter", model: "" } as const;
  const both = withLayer(control.workflow, "reference", { reference });
  expect(named(both.workflow, HAS_NONE).toSorted()).toEqual([control.node, both.node].toSorted());
  expect(named(both.workflow, () => true)).toEqual([]);
});

it("hidden layers, and references that need no model, stop no run", () => {
  const { workflow, node } = withLayer(started(), "control", { control: { preprocessor: null } });
  expect(named(workflow, HAS_NONE)).toEqual([node]);
  const hidden = setLayer(ground(workflow), canvasOf(workflow), node, { visible: false });
  expect(named(hidden, HAS_NONE)).toEqual([]);
  const latents = withLayer(started(), "reference", { reference: { by: "latents" } });
  expect(named(latents.workflow, HAS_NONE)).toEqual([]);
});

it("the model of a layer is chosen at the node that loads it", () => {
  const { workflow, node } = withLayer(started(), "control", {
    control: { preprocessor: null, net: "edges" },
  });
  const layer = canvasOf(workflow)
    .entries.filter(isLayer)
    .find((each) => each.node === node);
  const port = layer && modelPortOf(ground(workflow), layer);
  expect(port).toMatchObject({ port: "control_net", type: "LoadControlNet", model: "edges" });
});
