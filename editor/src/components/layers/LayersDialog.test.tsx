import { act, render, screen } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { beforeEach, expect, it, vi } from "vitest";
import { artifact } from "@/components/panels/testing";
import { useUi } from "@/store/ui";
import LayersDialog from "./LayersDialog";

const onClose = vi.fn<() => void>();

beforeEach(() => {
  onClose.mockClear();
  // Without it the stage is drawn without what is painted on it.
  vi.spyOn(HTMLCanvasElement.prototype, "getContext").mockReturnValue(null);
  render(<LayersDialog artifact={artifact(1)} node={null} onClose={onClose} />);
});

it("is closed at once while nothing was done", async () => {
  await userEvent.keyboard("{Escape}");
  expect(onClose).toHaveBeenCalledOnce();
});

it("asks before what was done is lost", async () => {
  const left = screen.getByLabelText("Left");
  await userEvent.clear(left);
  await userEvent.type(left, "64");
  await userEvent.tab();
  await userEvent.keyboard("{Escape}");
  expect(onClose).not.toHaveBeenCalled();
  const { question } = useUi.getState();
  expect(question?.title).toBe("Close without adding the layers?");
  await act(async () => question?.answer("confirm"));
  expect(onClose).toHaveBeenCalledOnce();
});
