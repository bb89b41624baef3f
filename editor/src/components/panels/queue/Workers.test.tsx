import { render, screen } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { expect, it } from "vitest";
import { useJobs } from "@/store/jobs";
import { job, worker } from "../testing";
import { WorkerList, WorkersButton } from "./Workers";

it("tells of each worker what it runs, what it holds and why it died", async () => {
  const fox = job("job_1", { name: "Fox", state: "running", progress: 0.5 });
  const owl = job("job_2", { name: "Owl", state: "running", progress: 0.998 });
  useJobs.setState({ jobs: new Map([fox, owl].map((each) => [each.id, each])) });
  const workers = [
    worker("one", {
      state: "busy",
      job: "job_1",
      jobs: ["job_1", "job_2"],
      weights: ["tiny", "tiny VAE"],
    }),
    worker("two", { state: "busy", job: "job_of_others" }),
    worker("three", { state: "dead", fault: "it was killed" }),
    worker("four", { helps: "job_1" }),
  ];
  const asked: string[] = [];
  render(<WorkerList id="workers" workers={workers} onJob={(id) => asked.push(id)} />);
  const progress = screen.getByRole("progressbar", { name: "Progress of Fox on one" });
  expect(progress).toHaveAttribute("aria-valuenow", "50");
  const other = screen.getByRole("progressbar", { name: "Progress of Owl on one" });
  expect(other).toHaveAttribute("aria-valuenow", "99");
  await userEvent.setup().click(screen.getByRole("button", { name: "Fox" }));
  await userEvent.setup().click(screen.getByRole("button", { name: "Owl" }));
  expect(asked).toEqual(["job_1", "job_2"]);
  expect(screen.getByRole("list", { name: "Models in memory" })).toHaveTextContent("tiny");
  expect(screen.getByRole("button", { name: "Helping with Fox" })).toBeInTheDocument();
  expect(screen.getByText("Running a job")).toBeInTheDocument();
  expect(screen.getByText("Last failure: it was killed")).toBeInTheDocument();
});

it.each([
  { states: [], said: "No workers" },
  { states: ["idle"], said: "1 worker" },
  { states: ["busy", "dead"], said: "2 workers, 1 busy1 dead" },
])("says of all of them: $said", ({ states, said }) => {
  const workers = states.map((state) => worker(state, { state }));
  const { container } = render(
    <WorkersButton workers={workers} open={false} controls="workers" onToggle={() => {}} />,
  );
  expect(container).toHaveTextContent(said);
});
