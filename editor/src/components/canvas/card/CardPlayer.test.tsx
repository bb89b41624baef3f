import { render, screen } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { artifact } from "@/components/panels/testing";
import CardPlayer from "./CardPlayer";

const film = { ...artifact(0), name: "walk.mp4", media_type: "video/mp4", kind: "video" };
const bell = {
  ...artifact(1),
  name: "bell.flac",
  media_type: "audio/flac",
  kind: "audio",
  thumbnail: null,
};

beforeEach(() => {
  const state = new WeakMap<HTMLMediaElement, boolean>();
  const tell = (player: HTMLMediaElement, kind: "play" | "pause") => {
    state.set(player, kind === "play");
    player.dispatchEvent(new Event(kind));
  };
  vi.spyOn(HTMLMediaElement.prototype, "paused", "get").mockImplementation(function (
    this: HTMLMediaElement,
  ) {
    return state.get(this) !== true;
  });
  vi.spyOn(HTMLMediaElement.prototype, "play").mockImplementation(async function (
    this: HTMLMediaElement,
  ) {
    tell(this, "play");
  });
  vi.spyOn(HTMLMediaElement.prototype, "pause").mockImplementation(function (
    this: HTMLMediaElement,
  ) {
    tell(this, "pause");
  });
});

afterEach(() => vi.restoreAllMocks());

it("plays only when somebody wants it, one at a time, by keys too", async () => {
  render(
    <>
      <CardPlayer artifact={film} kind="video" node="save">
        {(seen) => seen}
      </CardPlayer>
      <CardPlayer artifact={bell} kind="sound" node="save">
        {(seen) => seen}
      </CardPlayer>
    </>,
  );
  const user = userEvent.setup();
  expect(HTMLMediaElement.prototype.play).not.toHaveBeenCalled();
  const [first, second] = screen.getAllByRole("button", { name: "Play" });
  first?.focus();
  await user.keyboard(" ");
  expect(first).toHaveAccessibleName("Pause");
  second?.focus();
  await user.keyboard("k");
  expect(second).toHaveAccessibleName("Pause");
  expect(first).toHaveAccessibleName("Play");
  await user.keyboard("m");
  expect(screen.getAllByRole("button", { name: "Mute" })[1]).toHaveAttribute(
    "aria-pressed",
    "true",
  );
});

it("offers the frame of a video, and none of a sound", () => {
  const { unmount } = render(
    <CardPlayer artifact={film} kind="video" node="save">
      {(seen) => seen}
    </CardPlayer>,
  );
  expect(screen.getByRole("button", { name: "Use this frame" })).toBeInTheDocument();
  expect(screen.getByLabelText("walk.mp4", { selector: "video" })).not.toHaveAttribute("autoplay");
  unmount();
  render(
    <CardPlayer artifact={bell} kind="sound" node="save">
      {(seen) => seen}
    </CardPlayer>,
  );
  expect(screen.queryByRole("button", { name: "Use this frame" })).toBeNull();
  expect(screen.getByText("bell.flac")).toBeInTheDocument();
});
