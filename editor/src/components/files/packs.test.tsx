import { render, screen, waitFor, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { beforeEach, expect, test, vi } from "vitest";
import type { AvailablePack, PackEntry } from "@/api/schema";
import { useConnection } from "@/store/connection";
import { usePacks } from "@/store/packs";
import { stubServer } from "@/test/answers";
import { InstallPack } from "./InstallPack";
import PacksDialog from "./PacksDialog";

const OFFER: AvailablePack = {
  name: "blur",
  version: "2.0",
  kind: "comfyui",
  summary: "Blurs",
  license: "MIT",
  index: "/srv/index",
  requires: ["scipy"],
  node_types: ["blur:Blur"],
  installed: null,
};
const PACK: PackEntry = {
  name: "soft",
  version: "2.0",
  kind: "native",
  source: "/srv/soft",
  index: "",
  summary: "Soft things",
  license: "",
  enabled: true,
  trusted: false,
  isolated: true,
  environment: "",
  node_types: 3,
  earlier: ["1.0"],
  newer: "3.0",
  problems: ["its environment is gone"],
};

let asked: string[];
let installed: readonly PackEntry[];
let change: object | null;
let offers: readonly AvailablePack[];

beforeEach(() => {
  [asked, change, offers, installed] = [[], null, [OFFER], [PACK]];
  const admin = { name: "me", scopes: ["read", "run", "models", "admin"] };
  useConnection.setState({ caller: admin });
  usePacks.setState({ items: null, change: null, providers: new Map() });
  stubServer(async (path: string, { method = "GET" }: RequestInit = {}) => {
    const place = path.replace(/^.*\/api\/v1/, "");
    asked.push(`${method} ${place}`);
    if (place.startsWith("/packs/available"))
      return Response.json({ items: offers, problem: null, next: null });
    if (method === "GET" && place === "/packs")
      return Response.json({ items: installed, has_index: true, change, next: null });
    if (method === "DELETE") return new Response(null, { status: 204 });
    return Response.json(
      { name: "blur", action: "install", state: "running", step: "files", costs: [], notes: [] },
      { status: 202 },
    );
  });
});

test("what lacks has a button for admins that installs its pack", async () => {
  render(<InstallPack types={["blur:Blur"]} />);
  await userEvent.click(await screen.findByRole("button", { name: "Install blur" }));
  expect(asked).toContain("POST /packs");
  expect(await screen.findByRole("button", { name: "Fetching files…" })).toBeVisible();
});

test("what a pack brings that is installed but turned off has a button that turns it on", async () => {
  installed = [{ ...PACK, name: "blur", enabled: false }];
  render(
    <>
      <InstallPack names={["blur"]} types={["blur:Blur"]} />
      <InstallPack types={["blur:Sharpen"]} />
    </>,
  );
  const [first, second] = await screen.findAllByRole("button", { name: "Turn on blur" });
  expect(second).toBeVisible();
  expect(screen.queryByRole("button", { name: "Install blur" })).toBeNull();
  expect(asked.filter((each) => each === "GET /packs")).toHaveLength(1);
  installed = [{ ...PACK, name: "blur" }];
  await userEvent.click(first as HTMLElement);
  expect(asked).toContain("POST /packs/blur/enable");
  await waitFor(() => expect(screen.queryByRole("button", { name: "Turn on blur" })).toBeNull());
});

test("others have none", async () => {
  useConnection.setState({ caller: { name: "me", scopes: ["read", "run"] } });
  render(<InstallPack types={["blur:Blur"]} />);
  expect(screen.queryByRole("button")).toBeNull();
  expect(asked).toEqual([]);
});

test("costs are agreed to first", async () => {
  render(<InstallPack names={["blur"]} />);
  await screen.findByRole("button", { name: "Install blur" });
  usePacks.setState({
    change: { name: "blur", action: "install", state: "stopped", costs: ["a torch"] } as never,
  });
  expect(await screen.findByRole("button", { name: "Install blur anyway" })).toBeVisible();
});

test("the dialog lists packs and changes them", async () => {
  render(<PacksDialog onClose={vi.fn()} />);
  expect(await screen.findByText("its environment is gone")).toBeVisible();
  expect(screen.getByText("in a sandbox")).toBeVisible();
  expect(screen.getByText(/3 node types/)).toBeVisible();
  await userEvent.click(screen.getByLabelText("Offer the nodes of soft"));
  await waitFor(() => expect(asked).toContain("POST /packs/soft/disable"));
  await userEvent.click(screen.getByRole("button", { name: "Update to 3.0" }));
  expect(asked).toContain("POST /packs/soft/update");
  expect(screen.getByLabelText("Offer the nodes of soft")).toBeDisabled();
  expect(await screen.findByText("Needs scipy")).toBeVisible();
});

test("the index says which version is installed if it has another", async () => {
  offers = [{ ...OFFER, name: "soft", version: "3.0" }];
  const { unmount } = render(<PacksDialog onClose={vi.fn()} />);
  expect(await screen.findByText("2.0 installed")).toBeVisible();
  unmount();
  offers = [{ ...OFFER, name: "soft" }];
  render(<PacksDialog onClose={vi.fn()} />);
  expect(await screen.findByText("installed")).toBeVisible();
});

test("an installation shows its step at its pack, and nothing else can be changed", async () => {
  change = { name: "blur", action: "install", state: "running", step: "packages", costs: [] };
  render(<PacksDialog onClose={vi.fn()} />);
  expect(await screen.findByRole("button", { name: "Installing packages…" })).toBeDisabled();
  expect(screen.getByRole("button", { name: "Remove soft" })).toBeDisabled();
});

test("why an installation failed stands in the row of its pack, or above if it has none", async () => {
  change = {
    name: "blur",
    action: "install",
    state: "failed",
    step: "",
    costs: [],
    error: "No wheel",
  };
  const { unmount } = render(<PacksDialog onClose={vi.fn()} />);
  const offers = await screen.findByRole("list", { name: "Packs of the index" });
  expect(await within(offers).findByRole("alert")).toHaveTextContent(/^No wheel$/);
  expect(screen.getAllByRole("alert")).toHaveLength(1);
  unmount();
  change = { ...change, name: "gone" };
  render(<PacksDialog onClose={vi.fn()} />);
  expect(await screen.findByText("gone: No wheel")).toBeVisible();
});

test("the index is searched once somebody has stopped typing, and what it had stays meanwhile", async () => {
  render(<PacksDialog onClose={vi.fn()} />);
  const list = await screen.findByRole("list", { name: "Packs of the index" });
  await userEvent.type(screen.getByRole("searchbox"), "blur");
  expect(list).toBeVisible();
  await waitFor(() => expect(asked).toContain("GET /packs/available?search=blur"));
  expect(asked.filter((each) => each.includes("search=b"))).toHaveLength(1);
});
