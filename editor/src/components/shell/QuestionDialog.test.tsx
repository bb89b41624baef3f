import { act, render, screen } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { describe, expect, it } from "vitest";
import { confirm } from "@/store/ui";
import { QuestionHost } from "./QuestionDialog";

async function answeredByEnter(danger: boolean): Promise<boolean> {
  render(<QuestionHost />);
  let answer: Promise<boolean> = Promise.resolve(false);
  act(() => {
    answer = confirm({ title: "Sure?", confirm: "Do it", danger });
  });
  await screen.findByRole("dialog", { name: "Sure?" });
  await userEvent.keyboard("{Enter}");
  return answer;
}

describe("Enter in a question", () => {
  it("does what was asked for", async () => {
    expect(await answeredByEnter(false)).toBe(true);
  });

  it("does nothing dangerous", async () => {
    expect(await answeredByEnter(true)).toBe(false);
  });
});
