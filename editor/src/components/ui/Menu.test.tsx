import { fireEvent, render, screen } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { describe, expect, it, vi } from "vitest";
import { MenuButton } from "./Menu";
import type { MenuEntry } from "./menuTypes";

function setUp() {
  const cut = vi.fn();
  const left = vi.fn();
  const items: readonly MenuEntry[] = [
    { label: "Cut", keys: "mod+x", run: cut },
    { label: "Paste", disabled: true },
    "separator",
    { label: "Snap", checked: true },
    { label: "Align", items: [{ label: "Left", run: left }] },
  ];
  render(
    <MenuButton items={items} label="Edit">
      Edit
    </MenuButton>,
  );
  return {
    cut,
    left,
    user: userEvent.setup(),
    button: screen.getByRole("button", { name: "Edit" }),
  };
}

describe("a menu", () => {
  it("opens by keyboard, and says what can't be chosen now without doing it", async () => {
    const { user, button, cut } = setUp();
    button.focus();
    await user.keyboard("{ArrowDown}");
    expect(screen.getByRole("menuitem", { name: /Cut/ })).toHaveFocus();
    await user.keyboard("{ArrowDown}");
    const paste = screen.getByRole("menuitem", { name: "Paste" });
    expect(paste).toHaveFocus();
    expect(paste).toHaveAttribute("aria-disabled", "true");
    await user.keyboard("{Enter}{ArrowDown}");
    expect(screen.getByRole("menuitemcheckbox", { name: "Snap" })).toHaveFocus();
    await user.keyboard("{Home}{Enter}");
    expect(cut).toHaveBeenCalledOnce();
    expect(screen.queryByRole("menu")).toBeNull();
  });

  it("that opens under a resting pointer keeps its focus until the pointer moves", async () => {
    const { user, button } = setUp();
    button.focus();
    await user.keyboard("{ArrowDown}");
    const snap = screen.getByRole("menuitemcheckbox", { name: "Snap" });
    fireEvent.mouseOver(snap);
    fireEvent.mouseEnter(snap);
    expect(screen.getByRole("menuitem", { name: /Cut/ })).toHaveFocus();
    await user.hover(snap);
    expect(snap).toHaveFocus();
  });

  it("gives the focus back on Escape", async () => {
    const { user, button } = setUp();
    await user.click(button);
    await user.keyboard("{Escape}");
    expect(screen.queryByRole("menu")).toBeNull();
    expect(button).toHaveFocus();
  });

  it("opens a submenu to the right and closes it to the left", async () => {
    const { user, button, left } = setUp();
    await user.click(button);
    await user.keyboard("al{ArrowRight}");
    expect(screen.getByRole("menuitem", { name: "Left" })).toHaveFocus();
    await user.keyboard("{ArrowLeft}");
    expect(screen.getByRole("menuitem", { name: "Align" })).toHaveFocus();
    await user.keyboard("{ArrowRight}{Enter}");
    expect(left).toHaveBeenCalledOnce();
  });

  it("closes by its button, too", async () => {
    const { user, button } = setUp();
    await user.click(button);
    await user.click(button);
    expect(screen.queryByRole("menu")).toBeNull();
  });

  it("closes on a press elsewhere", async () => {
    const { user, button } = setUp();
    await user.click(button);
    await user.click(document.body);
    expect(screen.queryByRole("menu")).toBeNull();
  });

  it("shows what is on and which keys do it", async () => {
    const { user, button } = setUp();
    await user.click(button);
    expect(screen.getByRole("menuitemcheckbox", { name: "Snap" })).toBeChecked();
    expect(screen.getByRole("menuitem", { name: /Cut/ })).toHaveTextContent("Ctrl+X");
  });
});
