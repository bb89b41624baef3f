import { act, fireEvent, render, screen, waitFor } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { useState } from "react";
import { describe, expect, it, vi } from "vitest";
import { Dialog } from "./Dialog";
import { leaveForDialog } from "./left";
import { Popover } from "./Popover";
import { Tabs } from "./Tabs";
import { Toasts } from "./Toasts";
import { TooltipLayer } from "./Tooltip";
import { VirtualList } from "./VirtualList";

describe("a dialog", () => {
  function Page({ other = false }) {
    const [open, setOpen] = useState(false);
    return (
      <>
        <button type="button" onClick={() => setOpen(true)}>
          Open
        </button>
        {other && <button type="button">Other</button>}
        {open && (
          <Dialog title="Save" onClose={() => setOpen(false)}>
            <input aria-label="Name" />
          </Dialog>
        )}
      </>
    );
  }

  it("begins with what is to be done and gives the focus back", async () => {
    const user = userEvent.setup();
    render(<Page />);
    await user.click(screen.getByRole("button", { name: "Open" }));
    expect(screen.getByRole("dialog", { name: "Save" })).toBeVisible();
    expect(screen.getByLabelText("Name")).toHaveFocus();
    await user.keyboard("{Escape}");
    expect(screen.queryByRole("dialog")).toBeNull();
    expect(screen.getByRole("button", { name: "Open" })).toHaveFocus();
  });

  it.each([
    ["what left it before it was drawn", "Open"],
    ["what somebody went to meanwhile", "Other"],
  ])("gives the focus back to %s", async (_, name) => {
    const user = userEvent.setup();
    const { rerender } = render(<Page />);
    const button = screen.getByRole("button", { name: "Open" });
    button.focus();
    leaveForDialog(button);
    expect(document.body).toHaveFocus();
    rerender(<Page other />);
    if (name === "Other") screen.getByRole("button", { name }).focus();
    fireEvent.click(button);
    await user.keyboard("{Escape}");
    expect(screen.getByRole("button", { name })).toHaveFocus();
  });

  it("keeps the focus where a button works, and where its row goes", async () => {
    function Rows({ busy, rows }: { readonly busy: boolean; readonly rows: readonly string[] }) {
      return (
        <Dialog title="Packs" onClose={() => undefined}>
          <ul aria-label="All">
            {rows.map((name) => (
              <li key={name} aria-label={name}>
                <button type="button" disabled={busy}>
                  Install {name}
                </button>
              </li>
            ))}
          </ul>
        </Dialog>
      );
    }
    const { rerender } = render(<Rows busy={false} rows={["blur", "glow"]} />);
    const button = screen.getByRole("button", { name: "Install glow" });
    button.focus();
    rerender(<Rows busy rows={["blur", "glow"]} />);
    await waitFor(() => expect(screen.getByRole("listitem", { name: "glow" })).toHaveFocus());
    rerender(<Rows busy={false} rows={["blur", "glow"]} />);
    await waitFor(() => expect(button).toHaveFocus());
    rerender(<Rows busy={false} rows={["blur"]} />);
    await waitFor(() => expect(screen.getByRole("list", { name: "All" })).toHaveFocus());
  });

  it("leaves the focus to what opens as it closes", async () => {
    function Chooser() {
      const [shown, setShown] = useState<"dialog" | "search">("dialog");
      return shown === "dialog" ? (
        <Dialog title="Link" onClose={() => undefined}>
          <button type="button" onClick={() => setShown("search")}>
            Add a node
          </button>
        </Dialog>
      ) : (
        <Popover anchor={{ x: 0, y: 0 }} label="Search" onClose={() => undefined}>
          <input data-autofocus aria-label="Query" />
        </Popover>
      );
    }
    const user = userEvent.setup();
    render(<button type="button">Card</button>);
    screen.getByRole("button", { name: "Card" }).focus();
    render(<Chooser />);
    await user.click(screen.getByRole("button", { name: "Add a node" }));
    expect(screen.getByLabelText("Query")).toHaveFocus();
  });

  it("closes by its cross", async () => {
    const user = userEvent.setup();
    render(<Page />);
    await user.click(screen.getByRole("button", { name: "Open" }));
    await user.click(screen.getByRole("button", { name: "Close" }));
    expect(screen.queryByRole("dialog")).toBeNull();
  });
});

it("a tooltip stays away while something is dragged", () => {
  vi.useFakeTimers();
  try {
    render(
      <>
        <TooltipLayer />
        <span data-tip="latent: takes Latent">port</span>
      </>,
    );
    const port = screen.getByText("port");
    fireEvent.pointerOver(port, { buttons: 1 });
    act(() => vi.advanceTimersByTime(2000));
    expect(screen.queryByRole("tooltip", { hidden: true })).toBeNull();
    fireEvent.pointerOver(port, { buttons: 0 });
    act(() => vi.advanceTimersByTime(2000));
    expect(screen.getByRole("tooltip", { hidden: true })).toHaveTextContent("latent: takes Latent");
  } finally {
    vi.useRealTimers();
  }
});

it("tabs go round with the arrows", async () => {
  const onChange = vi.fn();
  const tabs = [
    { id: "a", label: "A" },
    { id: "b", label: "B" },
  ];
  render(<Tabs label="Pages" tabs={tabs} active="b" onChange={onChange} />);
  screen.getByRole("tab", { name: "B" }).focus();
  await userEvent.keyboard("{ArrowRight}");
  expect(onChange).toHaveBeenCalledWith("a");
});

it("a notice can be acted on, kept and dismissed", async () => {
  const [run, onDismiss, onHold] = [vi.fn(), vi.fn(), vi.fn()];
  const item = {
    id: 7,
    kind: "error",
    title: "It failed",
    action: { label: "Retry", run },
  } as const;
  render(<Toasts items={[item]} onDismiss={onDismiss} onHold={onHold} />);
  const notice = screen.getByText("It failed");
  fireEvent.pointerEnter(notice);
  await userEvent.click(screen.getByText("Retry"));
  expect(run).toHaveBeenCalledOnce();
  // What was asked for is done.
  expect(onDismiss).toHaveBeenCalledTimes(1);
  await userEvent.click(screen.getByLabelText("Dismiss"));
  expect(onDismiss).toHaveBeenCalledTimes(2);
  expect(onDismiss).toHaveBeenCalledWith(7);
  expect(onHold).toHaveBeenCalledWith(7, true);
});

it("a long list makes only what is seen", () => {
  const render_ = vi.fn((index: number) => <div key={index}>{index}</div>);
  render(<VirtualList label="Jobs" count={100_000} rowHeight={30} render={render_} />);
  expect(render_.mock.calls.length).toBeLessThan(100);
  expect(screen.getByText("0")).toBeInTheDocument();
});
