import { render, screen } from "@testing-library/react";
import { expect, it } from "vitest";
import { stubServer } from "@/test/answers";
import { CardText } from "./CardText";

it("shows the text of a result, and its name where it can't be had", async () => {
  stubServer(async () => new Response("0: 1.5\n1: 2.5\n"));
  const { rerender } = render(<CardText digest="a" name="a.txt" />);
  expect(screen.getByText("a.txt")).toBeInTheDocument();
  expect(await screen.findByText(/1: 2\.5/)).toBeInTheDocument();
  stubServer(async () => new Response("", { status: 404 }));
  rerender(<CardText digest="b" name="b.txt" />);
  expect(await screen.findByText("b.txt")).toBeInTheDocument();
});
