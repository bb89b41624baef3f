import { expect, test } from "vitest";
import { followAddress } from "./address";
import { useUi } from "./ui";

test("address and view are alike, back and forth, and the last one is opened next", () => {
  history.replaceState(null, "", "/generate");
  followAddress();
  const { setView } = useUi.getState();
  expect(useUi.getState().view).toBe("generate");
  setView("graph");
  expect(location.pathname).toBe("/");
  // The form is another look at the graph, at the same address.
  setView("app");
  expect(location.pathname).toBe("/");
  setView("generate");
  expect(location.pathname).toBe("/generate");
  expect(localStorage.getItem("nodegraph.view")).toBe('"generate"');
  history.replaceState(null, "", "/");
  dispatchEvent(new PopStateEvent("popstate"));
  expect(useUi.getState().view).toBe("graph");
  history.replaceState(null, "", "/generate");
  dispatchEvent(new PopStateEvent("popstate"));
  expect(useUi.getState().view).toBe("generate");
});
