import { act, render, screen, waitFor } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { beforeEach, describe, expect, it, vi } from "vitest";
import { commandById, keysOf, run } from "@/commands";
import { emptyWorkflow } from "@/model/workflow";
import { currentWorkflow, newDocument, useDocuments } from "@/store/documents";
import { NO_PLAN } from "@/store/plan";
import { resetSettings, useSettings } from "@/store/settings";
import { DEFAULT_PANELS, useUi } from "@/store/ui";
import { DialogHost } from "./DialogHost";
import { DocumentTabs } from "./DocumentTabs";
import { ErrorBoundary } from "./ErrorBoundary";
import { QuestionHost } from "./QuestionDialog";
import { loadOf } from "./QueueButton";
import SettingsDialog from "./SettingsDialog";
import ShortcutsDialog from "./ShortcutsDialog";
import { runningText, summaryOf } from "./StatusBar";
import { useShortcuts } from "./useShortcuts";

beforeEach(() => {
  resetSettings();
  localStorage.clear();
  useUi.setState({ panel: DEFAULT_PANELS, dialog: null, question: null });
  useDocuments.getState().restore([newDocument(emptyWorkflow("Apple"))], null);
});

const titles = () => screen.getAllByRole("tab").map((tab) => tab.textContent);

describe("tabs", () => {
  it("keep the active one in view with its cross, as others go beside it", async () => {
    const seen: Element[] = [];
    const before = Element.prototype.scrollIntoView;
    Element.prototype.scrollIntoView = function (this: Element) {
      seen.push(this);
    };
    try {
      render(<DocumentTabs />);
      act(() => void useDocuments.getState().open(emptyWorkflow("Pear"), { replaceEmpty: false }));
      expect(seen.at(-1)).toContainElement(screen.getByRole("tab", { name: "Pear" }));
      expect(seen.at(-1)).toContainElement(screen.getByLabelText("Close Pear"));
      const count = seen.length;
      await userEvent.click(screen.getByLabelText("Close Apple"));
      expect(seen.length).toBeGreaterThan(count);
    } finally {
      Element.prototype.scrollIntoView = before;
    }
  });

  it("show the open workflows and move between them by keyboard", async () => {
    const user = userEvent.setup();
    render(<DocumentTabs />);
    act(() => void useDocuments.getState().open(emptyWorkflow("Pear"), { replaceEmpty: false }));
    expect(titles()).toEqual(["Apple", "Pear"]);
    screen.getByRole("tab", { name: "Pear" }).focus();
    await user.keyboard("{ArrowLeft}");
    expect(screen.getByRole("tab", { name: "Apple" })).toHaveAttribute("aria-selected", "true");
    expect(screen.getByRole("tab", { name: "Apple" })).toHaveFocus();
  });

  it("are renamed as one undo step", async () => {
    const user = userEvent.setup();
    render(
      <>
        <DocumentTabs />
        <QuestionHost />
      </>,
    );
    await user.dblClick(screen.getByRole("tab", { name: "Apple" }));
    await user.type(await screen.findByLabelText("Title"), "{Control>}a{/Control}Plum{Enter}");
    await waitFor(() => expect(titles()).toEqual(["Plum"]));
    act(() => useDocuments.getState().undo());
    expect(titles()).toEqual(["Apple"]);
  });

  it("ask before they close what isn't saved, and can be opened again", async () => {
    const user = userEvent.setup();
    render(
      <>
        <DocumentTabs />
        <QuestionHost />
      </>,
    );
    act(() =>
      useDocuments.getState().change("x", (workflow) => ({ ...workflow, title: "Changed" })),
    );
    await user.click(screen.getByLabelText("Close Changed"));
    await user.click(await screen.findByRole("button", { name: "Close without saving" }));
    await waitFor(() => expect(screen.queryByText("Changed")).toBeNull());
    act(() => void run("tabs.reopen"));
    expect(screen.getByRole("tab", { name: "Changed" })).toBeInTheDocument();
  });
});

describe("settings", () => {
  it("change at once", async () => {
    const user = userEvent.setup();
    render(<SettingsDialog onClose={vi.fn()} />);
    await user.click(screen.getByRole("radio", { name: /High contrast/ }));
    expect(useSettings.getState().theme).toBe("contrast");
    await user.click(screen.getByRole("tab", { name: "Canvas" }));
    await user.selectOptions(screen.getByLabelText("Link shape"), "Steps");
    await user.click(screen.getByRole("switch", { name: "Snap to grid" }));
    expect(useSettings.getState()).toMatchObject({ linkStyle: "step", snap: true });
  });

  it("give a command another key, and take it from the one that had it", async () => {
    const user = userEvent.setup();
    render(<SettingsDialog page="keys" onClose={vi.fn()} />);
    await user.click(screen.getByRole("button", { name: /^Change the key of About nodegraph/ }));
    await user.keyboard("{Control>},{/Control}");
    expect(screen.getByRole("status")).toHaveTextContent("Ctrl+, is already used by “Settings”.");
    await user.click(screen.getByRole("button", { name: "Use it here" }));
    const keys = (id: string) =>
      keysOf(commandById(id) ?? { id, label: "", group: "", run: vi.fn() });
    expect(keys("help.about")).toEqual(["mod+,"]);
    expect(keys("help.settings")).toEqual([]);
    await user.click(screen.getByRole("button", { name: "Reset the key of Settings" }));
    expect(keys("help.settings")).toEqual(["mod+,"]);
  });
});

it("the list of keys can be searched", async () => {
  render(<ShortcutsDialog onClose={vi.fn()} />);
  await userEvent.type(screen.getByRole("searchbox"), "next tab");
  expect(screen.getByText("Next tab")).toBeVisible();
  expect(screen.queryByText("Settings")).toBeNull();
});

describe("keys on the page", () => {
  function Page() {
    useShortcuts();
    return null;
  }

  it("run commands, but not behind a dialog", async () => {
    const user = userEvent.setup();
    render(<Page />);
    await user.keyboard("?");
    expect(useUi.getState().dialog?.name).toBe("shortcuts");
    useUi.getState().closeDialog();
    const dialog = document.body.appendChild(document.createElement("div"));
    dialog.dataset.modal = "";
    await user.keyboard("?");
    expect(useUi.getState().dialog).toBeNull();
    dialog.remove();
  });

  it("go to the search that they were typed for, though it isn't drawn yet", async () => {
    const user = userEvent.setup();
    render(
      <>
        <Page />
        <DialogHost />
      </>,
    );
    await user.keyboard("{Control>}k{/Control}?note");
    expect(await screen.findByRole("combobox")).toHaveValue("?note");
    await user.keyboard("s");
    expect(screen.getByRole("combobox")).toHaveValue("?notes");
  });
});

describe("a part that fails", () => {
  it("says so, leaves the rest, and can be tried again", async () => {
    vi.spyOn(console, "error").mockImplementation(() => undefined);
    let broken = true;
    function Part() {
      if (broken) throw new Error("secret detail");
      return <p>Fine</p>;
    }
    render(
      <ErrorBoundary area="test">
        <Part />
      </ErrorBoundary>,
    );
    expect(screen.getByRole("alert")).not.toHaveTextContent("secret detail");
    broken = false;
    await userEvent.click(screen.getByRole("button", { name: "Try again" }));
    expect(screen.getByText("Fine")).toBeInTheDocument();
  });
});

describe("the status line", () => {
  const plan = { ...NO_PLAN, state: "ready" as const };

  it("says what a run would do", () => {
    expect(summaryOf({ ...plan, counts: { run: 3, hit: 2, lazy: 0, skip: 0 }, seconds: 12 })).toBe(
      "3 nodes will run · 2 cached · about 12 s",
    );
    expect(summaryOf({ ...plan, counts: { run: 0, hit: 2, lazy: 0, skip: 0 } })).toMatch(/cached/);
    expect(summaryOf(NO_PLAN)).toBe("");
  });
});

it("the status line says how long a run still takes, if that is known", () => {
  expect(runningText(0.216, 73)).toBe("21 % done · about 1 min 13 s left");
  expect(runningText(0.99, 0.1)).toBe("99 % done");
  expect(runningText(0, null)).toBe("0 % done");
});

it("an idle queue has no progress", () => {
  expect(loadOf({ jobs: new Map(), queue: null })).toEqual({
    open: 0,
    progress: null,
    paused: false,
  });
});

it("the title of what is shown is the workflow's", () => {
  expect(currentWorkflow(newDocument(emptyWorkflow("Apple"))).title).toBe("Apple");
});
