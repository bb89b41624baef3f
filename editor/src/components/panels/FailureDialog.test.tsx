import { render, screen } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { expect, it, vi } from "vitest";
import { activeDocument, currentWorkflow } from "@/store/documents";
import { NO_JOBS, useJobs } from "@/store/jobs";
import { useUi } from "@/store/ui";
import { stubServer } from "@/test/answers";
import FailureDialog from "./FailureDialog";
import { JobDetails } from "./queue/JobDetails";
import { arrange, job } from "./testing";

const error = {
  code: "node-failed",
  message: "ValueError: no such colour",
  node: "tint",
  hint: null,
  problems: [{ code: "node-failed", message: "ValueError: no such colour", node: "tint" }],
  inputs: { image: "float32 [1, 64, 64, 3]" },
  trace: '  File "tint.py", line 7, in Tint\n    return colours[name]\n',
};

function answer(found: unknown): void {
  const body = JSON.stringify(found);
  const headers = { "content-type": "application/json" };
  stubServer(async () => new Response(body, { headers }));
}

it("tells what a node that failed was given, and where in its code it failed", async () => {
  arrange();
  answer({ id: "apple", error });
  render(<FailureDialog job="apple" onClose={() => undefined} />);
  expect(await screen.findByText(/in Tint/)).toHaveTextContent("return colours[name]");
  expect(screen.getByText("float32 [1, 64, 64, 3]")).toBeInTheDocument();
  expect(screen.getByText("tint")).toBeInTheDocument();
});

it("offers what mends it, and closes for it", async () => {
  arrange({ blend: { type: "Blend", inputs: { width: 99 } } });
  answer({ id: "apple", error });
  const onClose = vi.fn();
  const [code, message] = ["out-of-range", "is too large"];
  const finding = { code, message, node: "blend", port: "width", given: "99" };
  render(<FailureDialog job="apple" finding={finding} onClose={onClose} />);
  await userEvent.click(await screen.findByRole("button", { name: "Set to 64" }));
  expect(onClose).toHaveBeenCalledOnce();
  const nodes = currentWorkflow(activeDocument()).nodes;
  expect(nodes.get("blend")?.inputs.get("width")).toBe(64);
});

it("says so where the message tells all", async () => {
  arrange();
  answer({ id: "apple", error: { ...error, trace: undefined } });
  render(<FailureDialog job="apple" onClose={() => undefined} />);
  expect(await screen.findByText(/no code failed/)).toBeInTheDocument();
});

it("is opened from the job that failed", async () => {
  arrange();
  const [problem] = error.problems;
  const failed = job("apple", {
    state: "failed",
    error: problem ?? null,
    problems: error.problems,
    isWhole: true,
  });
  useJobs.setState({ ...NO_JOBS, jobs: new Map([["apple", failed]]), order: ["apple"] });
  render(<JobDetails job={failed} />);
  await userEvent.click(screen.getByRole("button", { name: "Details" }));
  expect(useUi.getState().dialog).toMatchObject({ name: "failure", props: { job: "apple" } });
});
