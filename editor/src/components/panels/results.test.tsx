import { act, fireEvent, render, screen, waitFor, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { beforeEach, describe, expect, it, vi } from "vitest";
import { changeListed, listedResults, useGallery } from "@/store/gallery";
import { type JobView, NO_JOBS, useJobs } from "@/store/jobs";
import { useUi } from "@/store/ui";
import { stubServer } from "@/test/answers";
import GalleryPanel from "./GalleryPanel";
import QueuePanel from "./QueuePanel";
import { arrange, artifact, job, listResults } from "./testing";
import Viewer from "./Viewer";

let asked: string[];

beforeEach(() => {
  arrange();
  asked = [];
  stubServer(async (address: RequestInfo | URL, init?: RequestInit) => {
    asked.push(`${init?.method ?? "GET"} ${String(address)}`);
    return new Response("{}", { status: 404, headers: { "content-type": "application/json" } });
  });
});

describe("GalleryPanel", () => {
  const items = Array.from({ length: 3000 }, (_, index) => artifact(index));
  beforeEach(() => listResults(items));

  it("makes only what is seen of thousands of results", () => {
    render(<GalleryPanel />);
    expect(screen.getAllByRole("gridcell").length).toBeLessThan(150);
  });

  it("marks with the space bar and compares what is marked", async () => {
    render(<GalleryPanel />);
    const user = userEvent.setup();
    screen.getByRole("gridcell", { name: /apple_0/ }).focus();
    await user.keyboard(" {ArrowRight}{ArrowRight} ");
    expect(screen.getByText("2 selected")).toBeInTheDocument();
    await user.click(screen.getByRole("button", { name: "Compare" }));
    const { name, props } = useUi.getState().dialog ?? {};
    expect(name).toBe("viewer");
    expect(props).toMatchObject({ compare: true, list: [items[0], items[2]] });
  });

  it("opens the viewer by Enter", async () => {
    render(<GalleryPanel />);
    screen.getByRole("gridcell", { name: /apple_0/ }).focus();
    await userEvent.setup().keyboard("{ArrowRight}{Enter}");
    expect(useUi.getState().dialog?.props.artifact).toEqual(items[1]);
  });

  it("searches for what was typed last, also when it is closed at once", () => {
    const { unmount } = render(<GalleryPanel />);
    fireEvent.change(screen.getByRole("searchbox"), { target: { value: "apple" } });
    unmount();
    expect(useGallery.getState().text).toBe("apple");
    useGallery.setState({ text: "" });
  });
});

describe("keys with Ctrl in the GalleryPanel", () => {
  it("are left to the commands of the whole page, such as running", async () => {
    await listResults([artifact(0)]);
    useUi.setState({ dialog: null });
    const pressed: string[] = [];
    const listen = (event: KeyboardEvent) => event.ctrlKey && pressed.push(event.key);
    addEventListener("keydown", listen);
    render(<GalleryPanel />);
    screen.getByRole("gridcell", { name: /apple_0/ }).focus();
    await userEvent.setup().keyboard("{Control>}{Enter}{Delete}{/Control}");
    removeEventListener("keydown", listen);
    expect(useUi.getState().dialog).toBeNull();
    expect(useUi.getState().question).toBeNull();
    expect(pressed).toEqual(["Control", "Enter", "Delete"]);
  });
});

describe("deleting in the GalleryPanel", () => {
  const items = [artifact(0), artifact(1), artifact(2)];
  const cell = (index: number) =>
    screen.getByRole("gridcell", { name: new RegExp(`^apple_${index}`) });
  const answer = (given: string | null) =>
    act(async () => useUi.getState().question?.answer(given));
  const done = () => asked.filter((each) => /trash|DELETE/.test(each));
  const list = async (choice = {}) => {
    await listResults(items, choice);
    stubServer(async (address: RequestInfo | URL, init?: RequestInit) => {
      asked.push(`${init?.method ?? "GET"} ${String(address)}`);
      return Response.json({ items: [], next: null });
    });
  };
  beforeEach(() => list());

  it("puts the one that has the focus into the trash, and goes to the next one", async () => {
    render(<GalleryPanel />);
    const user = userEvent.setup();
    act(() => cell(1).focus());
    await user.keyboard("{Delete}");
    await waitFor(() => expect(cell(2)).toHaveFocus());
    expect(done()).toEqual(["POST /api/v1/library/trash"]);
    expect(useUi.getState().question).toBeNull();
    await user.keyboard("{Delete}");
    await waitFor(() => expect(cell(0)).toHaveFocus());
  });

  it("asks before it is for good", async () => {
    render(<GalleryPanel />);
    const user = userEvent.setup();
    act(() => cell(0).focus());
    await user.keyboard("{Shift>}{Delete}{/Shift}");
    await answer(null);
    expect(done()).toEqual([]);
    const search = screen.getByRole("searchbox");
    search.focus();
    act(() => changeListed((each) => ({ ...each, stars: 1 })));
    expect(search).toHaveFocus();
    act(() => cell(0).focus());
    await user.keyboard("{Shift>}{Delete}{/Shift}");
    await answer("confirm");
    await waitFor(() => expect(done()).toHaveLength(1));
    expect(done()[0]).toContain(`DELETE /api/v1/artifacts/${items[0]?.digest}`);
  });

  it("is for good in the trash, from where results come back", async () => {
    await list({ isTrash: true });
    render(<GalleryPanel />);
    const user = userEvent.setup();
    act(() => cell(1).focus());
    await user.keyboard(" ");
    await user.click(screen.getByRole("button", { name: "Restore" }));
    await waitFor(() => expect(screen.queryByText(/apple_1/)).toBeNull());
    act(() => cell(0).focus());
    await user.keyboard("{Delete}");
    expect(useUi.getState().question?.danger).toBe(true);
    await answer(null);
  });
});

describe("noting in the GalleryPanel", () => {
  const items = [artifact(0), artifact(1), artifact(2)];
  const stars = () => listedResults().map((each) => each.stars);
  beforeEach(async () => {
    await listResults(items);
    stubServer(async () => Response.json({ items: [], next: null }));
  });

  it("stars by number keys what is selected, or the one that has the focus", async () => {
    render(<GalleryPanel />);
    const user = userEvent.setup();
    act(() => screen.getByRole("gridcell", { name: /^apple_0/ }).focus());
    await user.keyboard("4");
    expect(stars()).toEqual([4, 0, 0]);
    expect(screen.getByRole("gridcell", { name: /^apple_0.*4 stars/ })).toBeInTheDocument();
    await user.keyboard("{Control>}a{/Control}2");
    await waitFor(() => expect(stars()).toEqual([2, 2, 2]));
    await user.click(screen.getByRole("button", { name: "5 stars" }));
    expect(stars()).toEqual([5, 5, 5]);
    await user.keyboard("{Escape}");
    expect(screen.getByRole("gridcell", { name: /^apple_0/ })).toHaveFocus();
  });
});

describe("Viewer", () => {
  const list = [artifact(0), artifact(1), artifact(2)];
  const [first = artifact(0)] = list;

  it("goes through the list and compares by keyboard", async () => {
    render(<Viewer artifact={first} list={list} onClose={() => undefined} />);
    const user = userEvent.setup();
    await user.keyboard("{ArrowRight}");
    expect(screen.getByRole("heading", { name: "apple_1.png" })).toBeInTheDocument();
    await user.keyboard("c");
    const divider = screen.getByRole("slider", { name: "Divider position" });
    divider.focus();
    await user.keyboard("{ArrowRight}{Shift>}{ArrowRight}{/Shift}");
    expect(divider).toHaveAttribute("aria-valuenow", "61");
  });
});

describe("keys of the Viewer", () => {
  const list = [artifact(0), artifact(1)];
  const [first = artifact(0)] = list;

  it("work from its bar as well", async () => {
    render(<Viewer artifact={first} list={list} onClose={() => undefined} />);
    screen.getByRole("button", { name: "Close" }).focus();
    await userEvent.setup().keyboard("{ArrowRight}");
    expect(screen.getByRole("heading", { name: "apple_1.png" })).toBeInTheDocument();
  });

  it("go to the player of a film from wherever the focus is", async () => {
    const film = { ...artifact(0), name: "walk.mp4", media_type: "video/mp4", kind: "video" };
    const play = vi.spyOn(HTMLMediaElement.prototype, "play").mockResolvedValue();
    render(<Viewer artifact={film} onClose={() => undefined} />);
    await screen.findByLabelText("walk.mp4", { selector: "video" });
    const user = userEvent.setup();
    await user.keyboard(" ");
    expect(play).toHaveBeenCalledOnce();
    expect(screen.getByRole("button", { name: "Loop" })).toHaveAttribute("aria-pressed", "true");
    await user.keyboard("l");
    expect(screen.getByRole("button", { name: "Loop" })).toHaveAttribute("aria-pressed", "false");
    play.mockRestore();
  });
});

describe("a video among the results", () => {
  const video = { ...artifact(0), name: "walk_00001.mp4", media_type: "video/mp4", kind: "video" };

  it("is shown by its first frame, and played in the viewer", async () => {
    await listResults([video]);
    const { unmount } = render(<GalleryPanel />);
    const picture = document.querySelector("img");
    expect(picture?.getAttribute("src")).toContain(`${video.href}/thumbnail?size=`);
    unmount();
    render(<Viewer artifact={video} onClose={() => undefined} />);
    const player = await screen.findByLabelText(video.name, { selector: "video" });
    expect(player).toHaveAttribute("src", video.href);
    expect(screen.getByRole("button", { name: "Play" })).toBeInTheDocument();
    fireEvent.error(player);
    expect(screen.getByText("This file cannot be shown here")).toBeInTheDocument();
  });
});

describe("QueuePanel", () => {
  const show = (...jobs: JobView[]) =>
    useJobs.setState({
      ...NO_JOBS,
      jobs: new Map(jobs.map((each) => [each.id, each])),
      order: jobs.map((each) => each.id),
      isReady: true,
    });

  it("lists what runs with its progress, and cancels it by the delete key", async () => {
    show(job("apple", { state: "running", progress: 0.5, secondsLeft: 4 }));
    render(<QueuePanel />);
    const bar = screen.getByRole("progressbar", { name: "Progress of apple" });
    expect(bar).toHaveAttribute("aria-valuenow", "50");
    expect(screen.getByText("4.0 s left")).toBeInTheDocument();
    const row = bar.closest<HTMLElement>('[role="row"]');
    row?.focus();
    await userEvent.setup().keyboard("{Delete}");
    expect(asked).toContain("POST /api/v1/jobs/apple/cancel");
  });

  it("moves a waiting job by Alt and an arrow", async () => {
    show(job("a", { position: 1 }), job("b", { position: 2 }));
    render(<QueuePanel />);
    const grid = screen.getByRole("treegrid");
    within(grid).getByText("b").closest<HTMLElement>('[role="row"]')?.focus();
    await userEvent.setup().keyboard("{Alt>}{ArrowUp}{/Alt}");
    expect(asked).toContain("POST /api/v1/jobs/b/move");
  });

  it("says why a job failed", () => {
    const error = { code: "x", message: "it ran out of memory" };
    show(job("pear", { state: "failed", error, problems: [error], isWhole: true }));
    render(<QueuePanel />);
    expect(screen.getAllByText(/it ran out of memory/).length).toBeGreaterThan(0);
  });
});
