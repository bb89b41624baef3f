import { render, screen } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { beforeEach, describe, expect, it } from "vitest";
import AppMode from "@/components/appmode/AppMode";
import { type NodeSpec, nodeTypesOf } from "@/model/spec";
import { readWorkflow } from "@/model/workflow";
import { useCatalogue } from "@/store/catalogue";
import { activeDocument, currentWorkflow, useDocuments } from "@/store/documents";
import ParametersPanel from "./ParametersPanel";

const FILE = `{
  "format": "nodegraph/1",
  "title": "Apples",
  "parameters": {"amount": "count.n", "lost": "gone.x", "word": {"input": "count.text", "label": "The word"}},
  "nodes": {
    "count": {"type": "Count", "inputs": {"n": 2, "text": "hi"}},
    "more": {"type": "Count", "inputs": {"n": {"from": "count"}}}
  }
}
`;

const input = {
  required: false,
  nullable: false,
  lazy: false,
  widget: "",
  step: null,
  help: "",
  body: null,
};
const COUNT = {
  type: "Count",
  inputs: [
    { ...input, name: "n", type: "int", default: 1, json_schema: { type: "integer" } },
    { ...input, name: "text", type: "str", default: "", json_schema: { type: "string" } },
  ],
  outputs: [{ name: "n", type: "int" }],
} as unknown as NodeSpec;

const parameters = () => currentWorkflow(activeDocument()).parameters;

beforeEach(() => {
  useDocuments.getState().open(readWorkflow(FILE), { reuse: false });
  useCatalogue.setState({ types: nodeTypesOf({ items: [COUNT], port_types: [] }) });
});

describe("the list of parameters", () => {
  it("says which lead nowhere", () => {
    render(<ParametersPanel />);
    expect(screen.getByRole("alert")).toHaveTextContent("gone.x");
  });

  it("renames when the name is left, and refuses a taken one at the field", async () => {
    render(<ParametersPanel />);
    await userEvent.click(screen.getByRole("button", { name: /amount/, expanded: false }));
    const name = screen.getByLabelText("Name");
    await userEvent.clear(name);
    await userEvent.type(name, "lost");
    await userEvent.tab();
    expect(name).toBeInvalid();
    expect(name).toHaveAccessibleDescription("Another parameter has this name.");
    expect([...parameters().keys()]).toEqual(["amount", "lost", "word"]);
    await userEvent.type(name, "2{Enter}");
    expect([...parameters().keys()]).toEqual(["lost2", "lost", "word"]);
    expect(screen.getByLabelText("Name")).toHaveValue("lost2");
  });

  it("is ordered and shortened by buttons", async () => {
    render(<ParametersPanel />);
    await userEvent.click(screen.getByRole("button", { name: "Move amount down" }));
    expect([...parameters().keys()]).toEqual(["lost", "amount", "word"]);
    await userEvent.click(screen.getByRole("button", { name: "Remove lost" }));
    expect([...parameters().keys()]).toEqual(["amount", "word"]);
  });

  it("offers inputs with a value of their own that aren't in it", async () => {
    render(<ParametersPanel />);
    await userEvent.click(screen.getByRole("combobox", { name: /Add an input/ }));
    const options = screen.getAllByRole("option").map((option) => option.textContent);
    expect(options).toEqual(["text"]);
    await userEvent.click(screen.getByRole("option", { name: "text" }));
    expect(parameters().get("text")?.input).toBe("more.text");
  });

  it("describes them", async () => {
    render(<ParametersPanel />);
    await userEvent.click(screen.getByRole("button", { name: /amount/, expanded: false }));
    await userEvent.type(screen.getByLabelText("Label"), "How many");
    await userEvent.type(screen.getByLabelText("Help"), "Of apples.");
    expect(parameters().get("amount")).toMatchObject({ label: "How many", help: "Of apples." });
  });
});

describe("app mode", () => {
  it("is a form of the parameters that changes the document", async () => {
    render(<AppMode />);
    expect(screen.getByRole("heading", { name: "Apples" })).toBeVisible();
    await userEvent.clear(screen.getByLabelText("The word"));
    await userEvent.type(screen.getByLabelText("The word"), "apple");
    const inputs = currentWorkflow(activeDocument()).nodes.get("count")?.inputs;
    expect(inputs?.get("text")).toBe("apple");
    expect(screen.getByLabelText("Amount")).toHaveValue("2");
    expect(screen.getByText(/gone.x no longer exists/)).toBeVisible();
  });

  it("says what to do where there are no parameters", async () => {
    useDocuments.getState().change("x", (w) => ({ ...w, parameters: new Map() }));
    render(<AppMode />);
    expect(screen.getByText("This workflow has no parameters yet")).toBeVisible();
    expect(screen.getByRole("button", { name: "Choose parameters" })).toBeVisible();
  });
});
