import { act, fireEvent, render, screen, waitFor } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { beforeEach, describe, expect, it } from "vitest";
import { setInput } from "@/model/edits";
import { spec } from "@/model/fixtures/specs";
import { linkOf } from "@/model/links";
import { nodeTypesOf } from "@/model/spec";
import { useCatalogue } from "@/store/catalogue";
import { activeDocument, currentWorkflow, useDocuments } from "@/store/documents";
import { toggleFavourite } from "@/store/favourites";
import { usePlan } from "@/store/plan";
import { useUi } from "@/store/ui";
import AddNodeSearch from "./AddNodeSearch";
import HelpPanel from "./HelpPanel";
import HistoryPanel from "./HistoryPanel";
import InspectorPanel from "./InspectorPanel";
import PalettePanel from "./PalettePanel";
import ProblemsPanel from "./ProblemsPanel";
import { arrange } from "./testing";

const workflow = () => currentWorkflow(activeDocument());
const names = () => [...workflow().nodes.keys()];

beforeEach(() => arrange());

describe("AddNodeSearch", () => {
  const at = { x: 40, y: 60 };
  const open = (fits?: Parameters<ReturnType<typeof useUi.getState>["openAddNode"]>[0]["fits"]) => {
    useUi.getState().openAddNode({ screen: { x: 0, y: 0 }, at, ...(fits ? { fits } : {}) });
    render(<AddNodeSearch />);
  };

  it("adds what is typed, selects it and closes", async () => {
    open();
    await userEvent.setup().keyboard("enc{Enter}");
    expect(names()).toHaveLength(2);
    expect([...activeDocument().selection]).toEqual([names()[1]]);
    expect(useUi.getState().addNode).toBeNull();
  });

  it("has favourites first, which Ctrl+D makes", async () => {
    open();
    const user = userEvent.setup();
    const labels = () => screen.getAllByRole("option").map((row) => row.textContent);
    expect(labels()[0]).toContain("Blend pictures");
    await user.keyboard("sam{Control>}d{/Control}");
    await user.clear(screen.getByRole("combobox"));
    const [first] = screen.getAllByRole("option");
    expect(labels()[0]).toMatch(/^FavoritesSample/);
    expect(first).toHaveAccessibleName(/^Sample/);
    expect(first).toHaveAttribute("aria-description", "Favorites");
    await user.keyboard("{Enter}");
    expect(workflow().nodes.get(names()[1] ?? "")?.type).toBe("Sample");
    act(() => toggleFavourite("Sample"));
  });

  it("says which row Enter means", async () => {
    open();
    await userEvent.setup().keyboard("{ArrowDown}");
    const id = screen.getByRole("combobox").getAttribute("aria-activedescendant");
    expect(document.getElementById(id ?? "")).toHaveAttribute("aria-selected", "true");
  });

  it("links to the port chosen with Tab", async () => {
    open({ type: "Image", side: "output", from: { node: "load", port: "image" } });
    expect(screen.queryByText("Sample")).toBeNull();
    await userEvent.setup().keyboard("blend{Tab}{Enter}");
    const added = workflow().nodes.get(names()[1] ?? "");
    expect(added?.inputs.has("first")).toBe(false);
    expect(linkOf(added?.inputs.get("second"))?.node).toBe("load");
  });

  it("gives a node another type, with those first that keep its links", async () => {
    arrange({
      load: { type: "Load" },
      encode: { type: "Encode", inputs: { image: { from: "load" } } },
    });
    const request = { screen: { x: 0, y: 0 }, at, replaces: "encode" };
    useUi.getState().openAddNode(request);
    render(<AddNodeSearch />);
    expect(screen.getByRole("option", { selected: true })).toHaveTextContent("Blend pictures");
    await userEvent.setup().keyboard("{Enter}");
    const entry = workflow().nodes.get("encode");
    expect(entry?.type).toBe("Blend");
    expect(linkOf(entry?.inputs.get("first"))?.node).toBe("load");
    expect(useUi.getState().addNode).toBeNull();
  });

  it("shows all nodes again by Backspace", async () => {
    open({ type: "Image", side: "output", from: { node: "load", port: "image" } });
    await userEvent.setup().keyboard("{Backspace}");
    expect(screen.getByText("Sample")).toBeInTheDocument();
  });
});

describe("PalettePanel", () => {
  it("is walked like a tree, and Enter adds", async () => {
    render(<PalettePanel />);
    const user = userEvent.setup();
    await user.click(screen.getByRole("searchbox"));
    await user.keyboard("{ArrowDown}");
    expect(document.activeElement).toHaveAttribute("aria-expanded", "true");
    await user.keyboard("{ArrowLeft}");
    expect(screen.queryByText("Load picture")).toBeNull();
    await user.keyboard("{ArrowRight}{ArrowRight}{ArrowRight}{Enter}");
    expect(names()).toHaveLength(2);
  });

  it("has favourites first, until their star is taken away", async () => {
    toggleFavourite("Sample");
    render(<PalettePanel />);
    const first = () => screen.getAllByRole("treeitem")[0];
    expect(first()).toHaveTextContent(/^Favorites/);
    const star = screen.getAllByRole("button", { name: "Remove Sample from favorites" })[0];
    await userEvent.click(star as HTMLElement);
    expect(first()).not.toHaveTextContent(/^Favorites/);
  });
});

describe("HistoryPanel", () => {
  it("says what was done, and goes to any state, those on branches too", async () => {
    const { change, undo } = useDocuments.getState();
    act(() => {
      change("One", (w) => ({ ...w, title: "one" }));
      undo();
      change("Two", (w) => ({ ...w, title: "two" }));
    });
    render(<HistoryPanel />);
    await userEvent.setup().click(screen.getByText("Title changed to one"));
    expect(workflow().title).toBe("one");
    expect(screen.getByText("Title changed to two")).toBeInTheDocument();
  });

  it("compares a snapshot to what there is now, and comes back to it", async () => {
    const { change, takeSnapshot } = useDocuments.getState();
    act(() => {
      takeSnapshot("before");
      change("Noted", (w) => ({ ...w, title: "two" }));
    });
    render(<HistoryPanel />);
    const user = userEvent.setup();
    await user.click(screen.getByRole("button", { name: "Compare before with the current state" }));
    expect(screen.getByRole("list", { name: "Changes since the snapshot" })).toHaveTextContent(
      "Title changed to two",
    );
    await user.click(screen.getByRole("button", { name: "Restore before" }));
    expect(workflow().title).toBe("");
    expect(screen.getByText("before restored")).toBeInTheDocument();
    expect(screen.getByText("No changes since the snapshot.")).toBeInTheDocument();
  });
});

describe("HelpPanel", () => {
  it("explains the selected node", () => {
    useDocuments.getState().select(["load"]);
    render(<HelpPanel />);
    expect(screen.getByRole("heading", { name: "Load picture" })).toBeInTheDocument();
    expect(screen.getByText("Read a picture.")).toBeInTheDocument();
  });

  it("shows what the node's example makes, by what it is", async () => {
    const shown = { href: "/e", picture: "/e/picture", needs: ["apple.png"], folders: [] };
    const types = nodeTypesOf({
      items: [spec("Load", { label: "Load picture", example: shown }), spec("Bare", {})],
      port_types: [],
    });
    useCatalogue.setState({ types });
    useUi.setState({ helpTopic: "Load" });
    render(<HelpPanel />);
    const picture = screen.getByRole("img", { name: "Result of the example of Load picture" });
    expect(picture).toHaveAttribute("src", "/e/picture");
    act(() => useUi.setState({ helpTopic: "Bare" }));
    expect(screen.queryByRole("img")).toBeNull();
    expect(screen.queryByRole("button", { name: "Open example" })).toBeNull();
  });

  it("hides a picture that can't be had", () => {
    const shown = { href: "/e", picture: "/gone", needs: [], folders: [] };
    const items = [spec("Load", { example: shown })];
    useCatalogue.setState({ types: nodeTypesOf({ items, port_types: [] }) });
    useUi.setState({ helpTopic: "Load" });
    render(<HelpPanel />);
    fireEvent.error(screen.getByRole("img"));
    expect(screen.queryByRole("img")).toBeNull();
    expect(screen.getByRole("button", { name: "Open example" })).toBeInTheDocument();
  });

  it("offers all nodes where none is selected", async () => {
    render(<HelpPanel />);
    await userEvent.setup().click(screen.getByText("Mix two pictures."));
    expect(useUi.getState().helpTopic).toBe("Blend");
  });
});

describe("InspectorPanel", () => {
  it("edits the workflow's title where nothing is selected", async () => {
    render(<InspectorPanel />);
    await userEvent.setup().type(screen.getByLabelText("Title"), "Apple");
    expect(workflow().title).toBe("Apple");
  });

  it("mutes and labels a node", async () => {
    useDocuments.getState().select(["load"]);
    render(<InspectorPanel />);
    const user = userEvent.setup();
    await user.click(screen.getByRole("radio", { name: "Muted" }));
    await user.type(screen.getByLabelText("Label"), "My picture{Enter}");
    expect(workflow().nodes.get("load")).toMatchObject({ mode: "mute", label: "My picture" });
  });

  it("shows what an input is linked to and removes the link", async () => {
    arrange({
      load: { type: "Load" },
      code: { type: "Encode", inputs: { image: { from: "load" } } },
    });
    useDocuments.getState().select(["code"]);
    render(<InspectorPanel />);
    await userEvent.setup().click(screen.getByRole("button", { name: "Remove link" }));
    expect(workflow().nodes.get("code")?.inputs.size).toBe(0);
  });

  it("sets several nodes at once", async () => {
    arrange({ a: { type: "Blend" }, b: { type: "Blend" } });
    useDocuments.getState().select(["a", "b"]);
    render(<InspectorPanel />);
    await userEvent.setup().click(screen.getByRole("radio", { name: "Bypassed" }));
    expect([...workflow().nodes.values()].map((entry) => entry.mode)).toEqual(["bypass", "bypass"]);
  });
});

describe("ProblemsPanel", () => {
  const tell = (problem: { code: string; message: string; node?: string; port?: string }) =>
    usePlan.setState({
      document: activeDocument().id,
      state: "invalid",
      problems: [{ given: "7", expected: "more", ...problem }],
    });

  it("goes to the place of a problem", async () => {
    tell({ code: "odd", message: "is odd", node: "load", port: "x" });
    render(<ProblemsPanel />);
    await userEvent.setup().click(screen.getByText("is odd"));
    await waitFor(() =>
      expect(useUi.getState().focusRequest).toMatchObject({ node: "load", port: "x" }),
    );
  });

  it("mends a value that is out of range", async () => {
    arrange({ mix: { type: "Blend" } });
    useDocuments.getState().change("7", (w) => setInput(w, null, "mix", "width", 7));
    tell({ code: "out-of-range", message: "is too small", node: "mix", port: "width" });
    render(<ProblemsPanel />);
    await userEvent.setup().click(screen.getByRole("button", { name: "Set to 8" }));
    expect(workflow().nodes.get("mix")?.inputs.get("width")).toBe(8);
  });
});
