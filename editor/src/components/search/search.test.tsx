import { act, render, screen, waitFor } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { beforeEach, describe, expect, it, vi } from "vitest";
import { registerCommands, run } from "@/commands";
import { arrange } from "@/components/panels/testing";
import { emptyWorkflow } from "@/model/workflow";
import { activeDocument, currentWorkflow, useDocuments } from "@/store/documents";
import { useUi } from "@/store/ui";
import SearchBox from "./SearchBox";
import { step } from "./stepping";

beforeEach(() =>
  arrange({
    first: { type: "Load", inputs: { path: "red apple.png" } },
    second: { type: "Load" },
    sample: { type: "Sample", inputs: { latent: { from: "first" } } },
  }),
);

const open = (kind?: "graph") => {
  const onClose = vi.fn();
  const { unmount } = render(<SearchBox {...(kind ? { kind } : {})} onClose={onClose} />);
  return { onClose, unmount };
};
const focused = () => useUi.getState().focusRequest?.node;

describe("the search", () => {
  it("runs a command once it is closed", async () => {
    const ran = vi.fn();
    const remove = registerCommands([
      { id: "test.boil", label: "settings.snap", group: "edit", run: ran },
    ]);
    const { onClose } = open();
    await userEvent.setup().keyboard("snap to grid{ArrowDown}{ArrowUp}");
    await userEvent.click(screen.getAllByRole("option", { name: /Edit/ })[0] ?? document.body);
    expect(onClose).toHaveBeenCalledOnce();
    await waitFor(() => expect(ran).toHaveBeenCalledOnce());
    remove();
  });

  it("has commands that need the focus where it was before", async () => {
    const isAtPage = () => document.activeElement === document.body;
    const remove = registerCommands([
      { id: "test.boil", label: "settings.snap", group: "edit", when: isAtPage, run: vi.fn() },
    ]);
    open();
    await userEvent.setup().keyboard("snap to grid");
    expect(screen.getAllByRole("option", { name: /Edit/ })).toHaveLength(1);
    remove();
  });

  it("has headings that are no part of a hit's name", async () => {
    open();
    await userEvent.setup().keyboard("red app");
    const [first] = screen.getAllByRole("option");
    expect(first?.textContent).toMatch(/^In this workflow/);
    expect(first).not.toHaveAccessibleName(/In this workflow/);
    expect(first).toHaveAttribute("aria-description", "In this workflow");
  });

  it("leads to a value and to a node", async () => {
    const user = userEvent.setup();
    const { unmount } = open();
    await user.keyboard("red app{Enter}");
    await waitFor(() => expect(useUi.getState().focusRequest?.port).toBe("path"));
    unmount();
    open();
    await user.keyboard("second{Enter}");
    await waitFor(() => expect(focused()).toBe("second"));
  });

  it("adds a node, and goes to another tab", async () => {
    const user = userEvent.setup();
    const { unmount } = open();
    await user.keyboard("blend pic{Enter}");
    await waitFor(() => expect(currentWorkflow(activeDocument()).nodes.size).toBe(4));
    unmount();
    const { active } = useDocuments.getState();
    act(() => void useDocuments.getState().open(emptyWorkflow("Pear"), { replaceEmpty: false }));
    act(() => useDocuments.getState().activate(active));
    open();
    await user.keyboard("pear{Enter}");
    await waitFor(() => expect(currentWorkflow(activeDocument()).title).toBe("Pear"));
  });

  it("shows those of one kind alone", async () => {
    open();
    const user = userEvent.setup();
    await user.keyboard("sample");
    expect(screen.getAllByRole("option").length).toBeGreaterThan(1);
    await user.click(screen.getByRole("button", { name: /Add a node/ }));
    expect(screen.getAllByRole("option")).toHaveLength(1);
    expect(screen.getByRole("combobox")).toHaveFocus();
  });
});

describe("what was found in the workflow", () => {
  it("is gone through by F3, from where the search left off", async () => {
    open("graph");
    await userEvent.setup().keyboard("load pic{Enter}");
    await waitFor(() => expect(focused()).toBe("first"));
    step(1);
    expect(focused()).toBe("second");
    step(1);
    expect(focused()).toBe("first");
    act(() => void run("search.previous"));
    await waitFor(() => expect(focused()).toBe("second"));
  });

  it("is looked for again when the search is opened for it again", async () => {
    const { unmount } = open("graph");
    await userEvent.setup().keyboard("sample{Enter}");
    unmount();
    open("graph");
    expect(screen.getByRole("combobox")).toHaveValue("sample");
  });
});
