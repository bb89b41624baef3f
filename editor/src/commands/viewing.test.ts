import { beforeEach, expect, test } from "vitest";
import { artifact } from "@/components/panels/testing";
import { useNotices } from "@/store/notices";
import { useUi } from "@/store/ui";
import { showLooked } from "./viewing";

const list = [artifact(1)];
const dialog = () => useUi.getState().dialog?.name ?? null;

beforeEach(() => {
  useUi.getState().closeDialog();
  useNotices.setState({ items: [] });
});

test("a value that was asked for is shown at once", () => {
  showLooked(list, "Decode");
  expect(dialog()).toBe("viewer");
});

test("it doesn't take the place of a mask that is being painted by then", () => {
  useUi.getState().openDialog("mask", {});
  showLooked(list, "Decode");
  expect(dialog()).toBe("mask");
  const [notice] = useNotices.getState().items;
  expect(notice?.title).toBe("Decode is ready to view");
  notice?.action?.run();
  expect(dialog()).toBe("viewer");
});
