import { act, fireEvent, render, screen } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { input, spec } from "@/model/fixtures/specs";
import type { InputSpec } from "@/model/spec";
import { nodeTypesOf } from "@/model/spec";
import { readWorkflow } from "@/model/workflow";
import { useCatalogue } from "@/store/catalogue";
import { activeDocument, currentWorkflow, useDocuments } from "@/store/documents";
import { NO_PLAN, usePlan } from "@/store/plan";
import { eventually } from "@/test/eventually";
import { WidgetField } from "./WidgetField";

const CURVE = input("curve", "list[float]", {
  required: false,
  default: [0.5],
  json_schema: { type: "array", items: { type: "number" } },
  widget: "pack:curve",
});

/** The ends of the ports that frames were given, the newest last: what a frame would speak through. */
let ends: MessagePort[] = [];

beforeEach(() => {
  ends = [];
  const Channel = MessageChannel;
  vi.stubGlobal(
    "MessageChannel",
    class {
      readonly port1: MessagePort;
      // A window without pages takes no port along.
      readonly port2 = undefined;
      constructor() {
        const { port1, port2 } = new Channel();
        this.port1 = port1;
        ends.push(port2);
      }
    },
  );
  const file = '{"format": "nodegraph/1", "nodes": {"bend": {"type": "tones:Bend"}}}';
  useDocuments.getState().open(readWorkflow(file), { reuse: false });
  const items = [spec("tones:Bend", { pack: "tones", inputs: [CURVE] })];
  useCatalogue.setState({ types: nodeTypesOf({ items, port_types: [] }) });
  usePlan.setState({ ...NO_PLAN });
});

afterEach(() => {
  for (const end of ends) end.close();
  vi.unstubAllGlobals();
});

const given = () => currentWorkflow(activeDocument()).nodes.get("bend")?.inputs.get("curve");

function field(frame: string | null) {
  const found: InputSpec = { ...CURVE, frame };
  return render(<WidgetField node="bend" input={found} />);
}

/** Let the frame's page be there; gives what it is told, and a way for it to speak. */
async function begun() {
  const frame = screen.getByTitle("Curve");
  fireEvent.load(frame);
  const end = ends.at(-1);
  if (end === undefined) throw new Error("the frame was given no port");
  const told: Record<string, unknown>[] = [];
  end.onmessage = ({ data }) => told.push(data);
  const say = (data: unknown) => act(async () => end.postMessage(data));
  await say({ kind: "ready" });
  return { frame, told, say };
}

describe("a widget that a pack brings", () => {
  it("stands in a frame without an origin", () => {
    field("/packs/tones/widgets/curve/1");
    const frame = screen.getByTitle("Curve");
    expect(frame).toHaveAttribute("sandbox", "allow-scripts");
    expect(frame).toHaveAttribute("src", "/packs/tones/widgets/curve/1");
  });

  it("changes the file, a gesture is one step to undo, and of undoing it is told", async () => {
    field("/packs/tones/widgets/curve/1");
    const { told, say } = await begun();
    await say({ kind: "change", value: [0.1], final: false });
    await say({ kind: "change", value: [0.2], final: true });
    await eventually(() => expect(given()).toEqual([0.2]));
    await say({ kind: "change", value: [0.3], final: true });
    await eventually(() => expect(given()).toEqual([0.3]));
    // What it said itself is no news to it.
    expect(told.filter(({ kind }) => kind === "value")).toEqual([]);
    act(() => useDocuments.getState().undo());
    expect(given()).toEqual([0.2]);
    await eventually(() => expect(told).toContainEqual({ kind: "value", value: [0.2] }));
    act(() => useDocuments.getState().undo());
    expect(given()).toBeUndefined();
    await eventually(() => expect(told).toContainEqual({ kind: "value", value: [0.5] }));
  });

  it("gives what is still on its way to its own document, and nothing where it is off", async () => {
    vi.stubGlobal("requestAnimationFrame", () => 0);
    const first = activeDocument().id;
    const { rerender } = field("/packs/tones/widgets/curve/1");
    const { say } = await begun();
    await say({ kind: "change", value: [0.9], final: false });
    await say({ kind: "resize", height: 222 });
    await eventually(() => expect(screen.getByTitle("Curve")).toHaveStyle({ height: "222px" }));
    const other = currentWorkflow(activeDocument());
    act(() => void useDocuments.getState().open(other, { reuse: false }));
    expect(given()).toBeUndefined();
    act(() => useDocuments.getState().activate(first));
    expect(given()).toEqual([0.9]);
    const off: InputSpec = { ...CURVE, frame: "/packs/tones/widgets/curve/1" };
    rerender(<WidgetField node="bend" input={off} disabled />);
    const again = await begun();
    await again.say({ kind: "change", value: [0.1], final: true });
    await again.say({ kind: "resize", height: 333 });
    await eventually(() => expect(again.frame).toHaveStyle({ height: "333px" }));
    expect(given()).toEqual([0.9]);
  });

  it("gives way to the plain field where it isn't there, and says so", async () => {
    field(null);
    expect(screen.getByRole("status")).toHaveTextContent("“curve” is missing");
    const plain = screen.getByLabelText("Curve");
    await userEvent.type(plain, "[[0.25]");
    await userEvent.tab();
    expect(given()).toEqual([0.25]);
  });

  it("gives way when it fails, until it is tried again or its file is another", async () => {
    const { rerender } = field("/packs/tones/widgets/curve/1");
    const { say } = await begun();
    await say({ kind: "error", message: "TypeError: no", fatal: true });
    expect(await screen.findByRole("status")).toHaveTextContent("failed, so the plain");
    expect(screen.getByRole("status")).toHaveTextContent("TypeError: no");
    expect(screen.getByLabelText("Curve").tagName).toBe("TEXTAREA");
    await userEvent.click(screen.getByRole("button", { name: "Try again" }));
    const again = await begun();
    await again.say({ kind: "error", message: "no", fatal: true });
    await screen.findByRole("status");
    const next: InputSpec = { ...CURVE, frame: "/packs/tones/widgets/curve/2" };
    rerender(<WidgetField node="bend" input={next} />);
    expect(screen.getByTitle("Curve")).toHaveAttribute("src", next.frame);
  });

  it("is told of as at fault where what it gives is no value, and stays", async () => {
    field("/packs/tones/widgets/curve/1");
    const { frame, say } = await begun();
    await say({ kind: "change", value: [Number.NaN], final: true });
    expect(await screen.findByText(/“curve” reports: NaN is no number/)).toBeVisible();
    expect(given()).toBeUndefined();
    expect(frame).toBeInTheDocument();
  });

  it("is given up when it goes to another page", async () => {
    field("/packs/tones/widgets/curve/1");
    const { frame } = await begun();
    fireEvent.load(frame);
    expect(await screen.findByRole("status")).toHaveTextContent("opened another page");
  });

  it("can be written as text instead, and back", async () => {
    field("/packs/tones/widgets/curve/1");
    await userEvent.click(screen.getByRole("button", { name: "As text" }));
    expect(screen.queryByTitle("Curve")).toBeNull();
    expect(screen.getByLabelText("Curve").tagName).toBe("TEXTAREA");
    await userEvent.click(screen.getByRole("button", { name: "As widget" }));
    expect(screen.getByTitle("Curve")).toBeVisible();
  });
});
