import { render, screen, waitFor } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { beforeEach, expect, it, vi } from "vitest";
import { arrange } from "@/components/panels/testing";
import { useNotices } from "@/store/notices";
import { stubServer } from "@/test/answers";
import RowsDialog from "./RowsDialog";

const sent: { address: string; body: Record<string, unknown> }[] = [];

beforeEach(() => {
  arrange({
    load: { type: "Load" },
    mix: { type: "Blend", inputs: { first: { from: "load" }, second: { from: "load" } } },
  });
  sent.length = 0;
  useNotices.setState({ items: [] });
  stubServer(async (address: string, init: RequestInit) => {
    sent.push({ address, body: JSON.parse(String(init.body)) });
    return Response.json({ group: "rows-abcdef01", jobs: ["a", "b"] }, { status: 202 });
  });
});

const run = () => screen.getByRole("button", { name: /^Run/ });

it("names what is wrong by row and column before anything runs", async () => {
  render(<RowsDialog onClose={() => undefined} />);
  const user = userEvent.setup();
  await user.click(screen.getByLabelText("Table"));
  await user.paste("mix.width,mix.first,nope\n16,x,1\n13,x,1\n");
  const faults = screen.getByRole("alert");
  expect(faults).toHaveTextContent("Column “mix.first”: the input is linked");
  expect(faults).toHaveTextContent("Column “nope”: the workflow has no such parameter or input.");
  expect(faults).toHaveTextContent("Row 2, column “mix.width”:");
  expect(run()).toBeDisabled();
  expect(screen.getByRole("table", { name: "Preview of the table" })).toHaveTextContent("13");
  expect(sent).toEqual([]);
});

it("runs a job for each row of a file that was dropped", async () => {
  const onClose = vi.fn();
  render(<RowsDialog onClose={onClose} />);
  const user = userEvent.setup();
  const file = new File(['{"mix.width": 16}\n{"mix.width": 32}\n'], "runs.jsonl");
  await user.upload(document.querySelector("input[type=file]") as HTMLInputElement, file);
  await waitFor(() => expect(run()).toHaveTextContent("Run 2 times"));
  await user.click(run());
  await waitFor(() => expect(onClose).toHaveBeenCalled());
  const [only] = sent;
  expect(only?.address).toContain("/jobs/rows");
  expect(only?.body.rows).toBe('{"mix.width": 16}\n{"mix.width": 32}\n');
  expect(useNotices.getState().items[0]?.title).toBe("2 rows are queued");
});
