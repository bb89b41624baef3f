import { render, screen } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { beforeEach, describe, expect, it } from "vitest";
import type { FileCredentials } from "@/api/schema";
import { queries } from "@/store/queries";
import { stubServer } from "@/test/answers";
import { arrange, artifact } from "../testing";
import { ArtifactFacts } from "./Facts";

const ABSENT: FileCredentials = {
  state: "absent",
  signer: "",
  issuer: "",
  signed_at: "",
  has_time_stamp: false,
  time_authority: "",
  generator: "",
  is_ai: false,
  source_type: "",
  training: "",
  ingredients: [],
  manifest_matches: null,
  problems: [],
  watermark: null,
  can_sign: true,
};
const SIGNED: FileCredentials = {
  ...ABSENT,
  state: "self-signed",
  signer: "Studio <b>Example</b>",
  signed_at: "2026-12-01T09:30:00Z",
  generator: "nodegraph 0.1.0",
  is_ai: true,
  training: "notAllowed",
  ingredients: [
    {
      title: "photo.jpg",
      relationship: "componentOf",
      state: "tampered",
      signer: "",
      is_ai: false,
    },
  ],
  watermark: 0xc0ffee,
};

let answer: FileCredentials;
let asked: string[];

beforeEach(() => {
  arrange();
  queries.clear();
  asked = [];
  stubServer(async (address: RequestInfo | URL) => {
    const path = new URL(String(address), "http://localhost").pathname;
    const isIt = path.endsWith("/credentials");
    if (isIt) asked.push(path);
    const init = { status: isIt ? 200 : 404, headers: { "content-type": "application/json" } };
    return new Response(JSON.stringify(isIt ? answer : {}), init);
  });
});

async function open() {
  render(<ArtifactFacts artifact={artifact(1)} size={null} />);
  expect(asked).toEqual([]);
  await userEvent.click(screen.getByText("Content Credentials"));
}

describe("the credentials of a result", () => {
  it.each([
    [false, "", "Signed, by the signer’s clock"],
    [true, "Clock", "Signed, by a time stamp"],
    [false, "Clock", "Signed, by a time stamp that this server does not trust"],
  ])("name who vouches for the time", async (has_time_stamp, time_authority, text) => {
    answer = { ...SIGNED, has_time_stamp, time_authority };
    await open();
    expect(await screen.findByText(text)).toBeVisible();
  });

  it("name a certificate that is not valid yet", async () => {
    answer = { ...SIGNED, state: "not-yet-valid" };
    await open();
    expect(await screen.findByText(/The certificate is not valid yet/)).toBeVisible();
  });

  it("are asked for when they are opened, and shown as plain text", async () => {
    answer = SIGNED;
    await open();
    expect(await screen.findByText("Signed by Studio <b>Example</b>")).toBeInTheDocument();
    expect(screen.getByText(/the name is not verified/)).toBeInTheDocument();
    expect(screen.getByText("AI, from other files")).toBeInTheDocument();
    expect(screen.getByText("not allowed")).toBeInTheDocument();
    expect(screen.getByText("was changed after it was signed")).toBeInTheDocument();
    expect(screen.getByText(/00c0ffee/)).toBeInTheDocument();
    expect(asked).toHaveLength(1);
  });

  it("say that a file was changed", async () => {
    answer = { ...SIGNED, state: "tampered" };
    await open();
    expect(
      await screen.findByText("The file was changed after it was signed."),
    ).toBeInTheDocument();
  });

  it("offer a signed copy of a file that has none", async () => {
    answer = ABSENT;
    await open();
    expect(await screen.findByText("This file is not signed.")).toBeInTheDocument();
    const link = screen.getByRole("link", { name: "Download a signed copy" });
    expect(link.getAttribute("href")).toMatch(/\/artifacts\/[0-9a-f]+\/signed$/);
  });

  it("say what is missing where the server can't sign", async () => {
    answer = { ...ABSENT, can_sign: false };
    await open();
    expect(await screen.findByText(/nodegraph credentials certificate/)).toBeInTheDocument();
    expect(screen.queryByRole("link", { name: "Download a signed copy" })).toBeNull();
  });
});
