import { render, screen, waitFor } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { beforeEach, describe, expect, test, vi } from "vitest";
import { emptyWorkflow } from "@/model/workflow";
import { useCatalogue } from "@/store/catalogue";
import { activeDocument, currentWorkflow, useDocuments } from "@/store/documents";
import { stubServer } from "@/test/answers";
import OpenDialog from "./OpenDialog";
import SaveAsDialog from "./SaveAsDialog";
import ShareDialog from "./ShareDialog";

const SAVED = { items: [item("pear", 10), item("apple", 20)], next: null };

function item(name: string, saved: number) {
  return {
    name,
    title: "",
    description: "",
    digest: name,
    saved,
    parameters: [],
    nodes: 3,
    href: "",
    problem: null,
  };
}

const TEMPLATES = ["text_to_image", "seed_grid"].map((name) => ({
  name,
  title: name === "seed_grid" ? "Seed grid" : "Text to image",
  description: "",
  parameters: [],
  needs: [],
  href: `/api/v1/templates/${name}`,
}));

beforeEach(() => {
  useDocuments.getState().restore([], null);
  useCatalogue.setState({ templates: TEMPLATES as never });
  stubServer(async (path: string) => {
    const isTemplate = path.includes("/templates/") || /workflows\/\w+$/.test(path);
    if (isTemplate) return new Response('{"format": "nodegraph/1", "title": "Opened"}');
    const list = path.includes("/templates") ? { items: TEMPLATES } : SAVED;
    return new Response(JSON.stringify(list));
  });
});

describe("opening", () => {
  test("lists what is saved, the last changed first, and opens it", async () => {
    const close = vi.fn();
    render(<OpenDialog onClose={close} />);
    const names = await screen.findAllByText(/^(apple|pear)$/);
    expect(names.map((name) => name.textContent)).toEqual(["apple", "pear"]);
    await userEvent.click(screen.getByText("pear"));
    await waitFor(() => expect(close).toHaveBeenCalled());
    expect(activeDocument().savedName).toBe("pear");
  });

  test("searches the gallery, goes through it by arrow keys and opens a template", async () => {
    const close = vi.fn();
    render(<OpenDialog onClose={close} tab="templates" />);
    const first = screen.getByRole("button", { name: /^Text to image/ });
    first.focus();
    await userEvent.keyboard("{ArrowRight}");
    expect(screen.getByRole("button", { name: "Seed grid" })).toHaveFocus();
    await userEvent.type(screen.getByRole("searchbox"), "seed");
    expect(screen.queryByRole("button", { name: "Text to image" })).toBeNull();
    await userEvent.click(screen.getByRole("button", { name: "Seed grid" }));
    await waitFor(() => expect(close).toHaveBeenCalled());
    expect(currentWorkflow(activeDocument()).title).toBe("Opened");
  });
});

test("saving under a name that can't be is refused before it is tried", async () => {
  useDocuments.getState().open(emptyWorkflow("Apple pie"));
  render(<SaveAsDialog onClose={vi.fn()} />);
  const field = screen.getByLabelText(/Name/);
  expect(field).toHaveValue("Apple pie");
  await userEvent.clear(field);
  await userEvent.type(field, "a/b");
  expect(screen.getByRole("button", { name: "Save" })).toBeDisabled();
  expect(field).toHaveAttribute("aria-invalid", "true");
});

test("the link of a workflow is there to be copied", () => {
  useDocuments.getState().open(emptyWorkflow("Apple"));
  render(<ShareDialog onClose={vi.fn()} />);
  expect(screen.getByLabelText(/Link/)).toHaveProperty("value", expect.stringContaining("#w="));
});
