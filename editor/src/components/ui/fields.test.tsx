import { render, screen } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { useState } from "react";
import { describe, expect, it, vi } from "vitest";
import { Combobox } from "./Combobox";
import { NumberField, type NumberFieldProps } from "./NumberField";
import { readSum, settle } from "./numbers";
import { Toggle } from "./Toggle";

function Numbers(props: Partial<NumberFieldProps> & { readonly seen: (value: number) => void }) {
  const { seen, value: first = 20, ...rest } = props;
  const [value, setValue] = useState(first);
  const onChange = (next: number) => {
    setValue(next);
    seen(next);
  };
  return <NumberField label="Steps" {...rest} value={value} onChange={onChange} />;
}

describe("a number field", () => {
  it("takes what was typed when it is left, not on the way", async () => {
    const seen = vi.fn();
    const user = userEvent.setup();
    render(<Numbers integer min={1} max={4096} seen={seen} />);
    await user.type(screen.getByRole("spinbutton"), "{Control>}a{/Control}512*2+1");
    expect(seen).not.toHaveBeenCalled();
    await user.tab();
    expect(seen.mock.calls).toEqual([[1025]]);
  });

  it("steps with the arrows: more with Shift, within its bounds", async () => {
    const seen = vi.fn();
    const user = userEvent.setup();
    render(<Numbers integer min={1} max={25} seen={seen} />);
    screen.getByRole("spinbutton").focus();
    await user.keyboard("{ArrowUp}{Shift>}{ArrowUp}{/Shift}{ArrowDown}");
    expect(seen.mock.calls).toEqual([[21], [25], [24]]);
  });

  it("goes back to its number when nonsense is typed or it is called off", async () => {
    const seen = vi.fn();
    const user = userEvent.setup();
    render(<Numbers seen={seen} />);
    const field = screen.getByRole("spinbutton");
    await user.type(field, "apples");
    await user.tab();
    expect(field).toHaveValue("20");
    await user.type(field, "7{Escape}");
    expect(field).toHaveValue("20");
    expect(seen).not.toHaveBeenCalled();
  });

  it("says when it was emptied", async () => {
    const onClear = vi.fn();
    const user = userEvent.setup();
    render(<Numbers seen={vi.fn()} onClear={onClear} />);
    await user.clear(screen.getByRole("spinbutton"));
    await user.tab();
    expect(onClear).toHaveBeenCalledOnce();
  });
});

describe("numbers", () => {
  it.each([
    ["1,5", 1.5],
    ["-(2+3)*2", -10],
    ["1e3", 1000],
    [".5", 0.5],
    ["2+", null],
    ["(1", null],
    ["1/0", null],
    ["1 2", null],
    ["", null],
  ])("%j is %j", (text, value) => expect(readSum(text)).toBe(value));

  it("have no noise of binary fractions", () => {
    expect(settle(0.1 + 0.2, { step: 0.1 })).toBe(0.3);
    expect(settle(2.6, { integer: true })).toBe(3);
    expect(settle(9, { max: 4 })).toBe(4);
  });
});

describe("a combobox", () => {
  const options = [
    { value: "euler", label: "Euler" },
    { value: "heun", label: "Heun", hint: "second order" },
    { value: "ddim", label: "DDIM" },
  ];

  it("finds by typing and takes the marked one", async () => {
    const onChange = vi.fn();
    const user = userEvent.setup();
    render(<Combobox label="Sampler" value="euler" options={options} onChange={onChange} />);
    await user.click(screen.getByRole("combobox"));
    await user.keyboard("second");
    expect(screen.getAllByRole("option")).toHaveLength(1);
    await user.keyboard("{Enter}");
    expect(onChange).toHaveBeenCalledWith("heun");
    expect(screen.queryByRole("listbox")).toBeNull();
  });

  it("starts at what is chosen and moves with the arrows", async () => {
    const onChange = vi.fn();
    const user = userEvent.setup();
    render(<Combobox label="Sampler" value="euler" options={options} onChange={onChange} />);
    screen.getByRole("combobox").focus();
    await user.keyboard("{ArrowDown}");
    expect(screen.getByRole("option", { name: /Euler/ })).toHaveAttribute("aria-selected", "true");
    await user.keyboard("{ArrowDown}{ArrowDown}{Enter}");
    expect(onChange).toHaveBeenCalledWith("ddim");
  });

  it("takes what is typed only where it may", async () => {
    const onChange = vi.fn();
    const user = userEvent.setup();
    render(
      <Combobox label="Model" allowCustom value="euler" options={options} onChange={onChange} />,
    );
    await user.click(screen.getByRole("combobox"));
    await user.keyboard("mine{Enter}");
    expect(onChange).toHaveBeenCalledWith("mine");
  });
});

it("a toggle is a switch", async () => {
  const onChange = vi.fn();
  render(<Toggle label="Snap" checked={false} onChange={onChange} />);
  await userEvent.click(screen.getByRole("switch", { name: "Snap" }));
  expect(onChange).toHaveBeenCalledWith(true);
});
