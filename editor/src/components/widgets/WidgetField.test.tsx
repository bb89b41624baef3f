import { render, screen } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { beforeEach, describe, expect, it } from "vitest";
import { input, spec } from "@/model/fixtures/specs";
import { layoutOf } from "@/model/layout";
import { type InputSpec, inputOf, nodeTypesOf } from "@/model/spec";
import { readWorkflow, type Workflow, writeWorkflow } from "@/model/workflow";
import { useCatalogue } from "@/store/catalogue";
import { activeDocument, currentWorkflow, useDocuments } from "@/store/documents";
import { NO_PLAN, usePlan } from "@/store/plan";
import { useUi } from "@/store/ui";
import { WidgetField } from "./WidgetField";

const FILE = `{
  "format": "nodegraph/1",
  "nodes": {
    "size": {"type": "Number", "inputs": {"value": 2}},
    "sample": {"type": "Sampler", "inputs": {"steps": 20, "cfg": {"from": "size"}}}
  }
}
`;

function port(name: string, more: Partial<InputSpec> = {}): InputSpec {
  const json_schema = { type: "integer", minimum: 0, maximum: 100 };
  return input(name, "int", { required: false, default: 5, json_schema, ...more });
}

const TEXT = { type: "str", widget: "multiline", default: "", json_schema: { type: "string" } };

const SAMPLER = spec("Sampler", {
  inputs: [
    port("steps"),
    port("cfg"),
    port("seed", { widget: "seed", default: 0 }),
    port("text", TEXT),
  ],
});

function field(name: string) {
  const input = inputOf(SAMPLER, name);
  if (input === null) throw new Error(`no input ${name}`);
  return render(<WidgetField node="sample" input={input} />);
}

const workflow = (): Workflow => currentWorkflow(activeDocument());

async function choose(label: string, entry: RegExp) {
  await userEvent.click(screen.getByRole("button", { name: `More actions for ${label}` }));
  await userEvent.click(screen.getByRole("menuitem", { name: entry }));
}

beforeEach(() => {
  useDocuments.getState().open(readWorkflow(FILE), { reuse: false });
  useCatalogue.setState({ types: nodeTypesOf({ items: [SAMPLER], port_types: [] }) });
  usePlan.setState({ ...NO_PLAN });
});

describe("a field of a node", () => {
  it("tells on hover what it is for, also where its label lets the pointer through", () => {
    const { container } = field("steps");
    const tipped = container.firstElementChild?.closest("[data-tip]");
    expect(tipped).toHaveAttribute("data-tip", "steps: int");
  });

  it("changes the file, and one go is one step to undo", async () => {
    field("steps");
    const steps = screen.getByLabelText("Steps");
    await userEvent.clear(steps);
    await userEvent.type(steps, "42");
    await userEvent.tab();
    expect(writeWorkflow(workflow())).toBe(FILE.replace("20", "42"));
    useDocuments.getState().undo();
    expect(writeWorkflow(workflow())).toBe(FILE);
    expect(await screen.findByDisplayValue("20")).toBeVisible();
  });

  it("makes one step of a word that is weighed twice", async () => {
    field("text");
    await userEvent.type(screen.getByLabelText("Text"), "an apple");
    await userEvent.tab();
    const text = () => workflow().nodes.get("sample")?.inputs.get("text");
    await userEvent.type(screen.getByLabelText("Text"), "{Control>}{ArrowUp}{ArrowUp}{/Control}");
    expect(text()).toBe("an (apple:1.2)");
    await userEvent.tab();
    useDocuments.getState().undo();
    expect(text()).toBe("an apple");
  });

  it("makes two steps of two goes", async () => {
    field("steps");
    const steps = screen.getByLabelText("Steps");
    await userEvent.type(steps, "{ArrowUp}");
    await userEvent.tab();
    await userEvent.type(steps, "{ArrowUp}");
    useDocuments.getState().undo();
    expect(workflow().nodes.get("sample")?.inputs.get("steps")).toBe(21);
  });

  it("shows where its link comes from, and goes there", async () => {
    field("cfg");
    await userEvent.click(screen.getByRole("button", { name: /comes from size/ }));
    expect(useUi.getState().focusRequest?.node).toBe("size");
  });

  it("is made a port, and a field again without its link", async () => {
    const { unmount } = field("steps");
    await choose("Steps", /Convert to port/);
    expect(layoutOf(workflow(), null).shown.get("sample")?.has("steps")).toBe(true);
    expect(screen.queryByRole("spinbutton")).toBeNull();
    unmount();
    field("cfg");
    await choose("Cfg", /Convert to field/);
    expect(workflow().nodes.get("sample")?.inputs.has("cfg")).toBe(false);
    expect(screen.getByLabelText("Cfg")).toBeVisible();
  });

  it("goes back to its default", async () => {
    field("steps");
    await choose("Steps", /Reset to default/);
    expect(workflow().nodes.get("sample")?.inputs.has("steps")).toBe(false);
    expect(screen.getByLabelText("Steps")).toHaveAttribute("placeholder", "5");
  });

  it("becomes a parameter and stops being one", async () => {
    field("steps");
    await choose("Steps", /Add to parameters/);
    expect(workflow().parameters.get("steps")?.input).toBe("sample.steps");
    await choose("Steps", /Remove from parameters/);
    expect(workflow().parameters.size).toBe(0);
  });

  it("remembers in the file what happens to a seed", async () => {
    field("seed");
    await userEvent.click(screen.getByRole("button", { name: /Fixed/ }));
    await userEvent.click(screen.getByRole("menuitemcheckbox", { name: /Randomize/ }));
    expect(layoutOf(workflow(), null).seeds.get("sample.seed")).toBe("random");
  });

  it("tells what the plan says of it", () => {
    const problem = {
      code: "x",
      message: "is odd",
      hint: "Take 21.",
      node: "sample",
      port: "steps",
    };
    usePlan.setState({ problems: [problem] });
    field("steps");
    expect(screen.getByLabelText("Steps")).toHaveAccessibleDescription("Is odd. Take 21.");
  });
});

it("shows that its input is marked to be swept", async () => {
  field("steps");
  expect(screen.queryByLabelText("Sweep several values")).toBeNull();
  await userEvent.click(screen.getByRole("button", { name: "More actions for Steps" }));
  await userEvent.click(screen.getByRole("menuitemcheckbox", { name: /Sweep/ }));
  expect(screen.getByLabelText("Sweep several values")).toBeVisible();
});

describe("an input whose value could not be read of another program's file", () => {
  const words = ["euler", "heun", "dpmpp_2m", "lms", "ddim", "lcm", "tcd", "deis"];
  const choice = (name: string, values: string[]) =>
    input(name, "str", {
      required: false,
      default: values[2] ?? null,
      json_schema: { enum: values },
    });
  const READ = spec("Sampler", {
    inputs: [choice("sampler", words), choice("fit", words.slice(0, 3)), port("steps")],
  });

  beforeEach(() => {
    const text = FILE.replace(
      '"type": "Sampler"',
      '"type": "Sampler", "unread": ["sampler", "fit", "steps"]',
    );
    useDocuments.getState().open(readWorkflow(text.replace('"steps": 20, ', "")), { reuse: false });
  });

  const shown = (name: string) => {
    const found = inputOf(READ, name);
    if (found === null) throw new Error(name);
    render(<WidgetField node="sample" input={found} />);
    return screen.getByRole(name === "steps" ? "spinbutton" : "combobox");
  };

  it.each(["sampler", "fit"])("shows no default, which can be chosen: %s", async (name) => {
    const box = shown(name);
    expect(box).not.toHaveTextContent(/^dpmpp_2m/);
    await userEvent.click(box);
    if (name === "sampler") await userEvent.click(screen.getByRole("option", { name: "dpmpp_2m" }));
    else await userEvent.selectOptions(box, "dpmpp_2m");
    expect(writeWorkflow(workflow())).toContain(`"${name}": "dpmpp_2m"`);
  });

  it("shows no number", () => {
    expect(shown("steps")).toHaveDisplayValue("");
  });
});
