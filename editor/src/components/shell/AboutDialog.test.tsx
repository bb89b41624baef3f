import { readFileSync } from "node:fs";
import { render, screen, within } from "@testing-library/react";
import { expect, it } from "vitest";
import AboutDialog from "./AboutDialog";
import { LIBRARIES } from "./libraries";

/** Packages that go by another name, or come with one that is named. */
const NAMES: Readonly<Record<string, string>> = {
  three: "three.js",
  "@base-ui/react": "Base UI",
  "@xyflow/react": "React Flow",
  "@xyflow/system": "React Flow",
  "@dagrejs/dagre": "dagre",
  "@msgpack/msgpack": "msgpack",
  "lucide-react": "Lucide",
  "react-dom": "React",
  react: "React",
  zustand: "Zustand",
};

function licenceOf(name: string): string {
  const text = readFileSync(`node_modules/${name}/package.json`, "utf8");
  return JSON.parse(text).license;
}

it("names every library that goes into the page, with its licence", () => {
  const { dependencies } = JSON.parse(readFileSync("package.json", "utf8"));
  const used = Object.keys(dependencies).map((name) => [NAMES[name] ?? name, licenceOf(name)]);
  const named = LIBRARIES.map(({ name, licence }) => [name, licence]);
  expect(new Map(named as [string, string][])).toEqual(new Map(used as [string, string][]));
});

it("shows them", () => {
  render(<AboutDialog onClose={() => undefined} />);
  const list = within(screen.getByRole("list", { name: "Built with" }));
  expect(list.getAllByRole("listitem")).toHaveLength(LIBRARIES.length);
  expect(list.getByText("React Flow").closest("li")).toHaveTextContent("React Flow (MIT)");
});
