import { render, screen } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { useState } from "react";
import { describe, expect, it, vi } from "vitest";
import { RowList } from "./RowList";

const ITEMS = Array.from({ length: 5000 }, (_, index) => `item ${index}`);

function Example({ onOpen }: { readonly onOpen?: (item: string) => void }) {
  const [active, setActive] = useState(0);
  return (
    <RowList
      id="list"
      label="Things"
      items={ITEMS}
      height={20}
      keyOf={(item) => item}
      active={active}
      onActive={setActive}
      onOpen={onOpen}
    >
      {(item) => item}
    </RowList>
  );
}

describe("RowList", () => {
  it("makes only what is seen of thousands of rows", () => {
    render(<Example />);
    expect(screen.getAllByRole("option").length).toBeLessThan(60);
    expect(screen.getByRole("listbox")).toHaveAccessibleName("Things");
  });

  it("is one stop of the tab key and walked by arrows", async () => {
    render(<Example />);
    const user = userEvent.setup();
    await user.tab();
    await user.keyboard("{ArrowDown}{ArrowDown}");
    expect(document.activeElement).toHaveTextContent("item 2");
    await user.keyboard("{End}");
    expect(document.activeElement).toHaveTextContent("item 4999");
    expect(document.activeElement).toHaveAttribute("aria-posinset", "5000");
  });

  it("takes no focus away when it changes after a key that led nowhere", async () => {
    function Growing() {
      const [items, setItems] = useState(ITEMS.slice(0, 2));
      const [active, setActive] = useState("item 0");
      return (
        <>
          <button type="button" onClick={() => setItems(["fresh", ...items])}>
            Elsewhere
          </button>
          <RowList
            id="list"
            label="Things"
            items={items}
            height={20}
            keyOf={(item) => item}
            active={items.indexOf(active)}
            onActive={(index) => setActive(items[index] ?? "")}
          >
            {(item) => item}
          </RowList>
        </>
      );
    }
    render(<Growing />);
    const user = userEvent.setup();
    screen.getByRole("option", { name: "item 0" }).focus();
    await user.keyboard("{ArrowUp}");
    const elsewhere = screen.getByRole("button");
    await user.click(elsewhere);
    expect(screen.getAllByRole("option")).toHaveLength(3);
    expect(elsewhere).toHaveFocus();
  });

  it("opens by Enter and by double click", async () => {
    const onOpen = vi.fn();
    render(<Example onOpen={onOpen} />);
    const user = userEvent.setup();
    await user.tab();
    await user.keyboard("{ArrowDown}{Enter}");
    expect(onOpen).toHaveBeenLastCalledWith("item 1", 1);
    await user.dblClick(screen.getByText("item 3"));
    expect(onOpen).toHaveBeenLastCalledWith("item 3", 3);
  });
});
