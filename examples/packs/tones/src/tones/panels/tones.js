// A histogram: how many pixels of the newest image have which tone, in each channel.

const BINS = 64;
const WIDTH = 256;
const HEIGHT = 140;
const CHANNELS = ["red", "green", "blue"];
const STYLE = `
  #root { padding: 12px; }
  svg { display: block; width: 100%; height: auto; background: var(--bg-input);
    border: 1px solid var(--border); border-radius: var(--radius-s, 4px); }
  path { fill-opacity: 0.35; stroke-width: 1.5; vector-effect: non-scaling-stroke; }
  .red { fill: #e5484d; stroke: #e5484d; }
  .green { fill: #30a46c; stroke: #30a46c; }
  .blue { fill: #3e7bfa; stroke: #3e7bfa; }
  p { margin: 8px 0 0; color: var(--text-muted); }
`;

/** How many pixels of an image fall into each bin, by channel. */
async function counts(picture) {
  const bitmap = await createImageBitmap(picture);
  const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(bitmap, 0, 0);
  const { data } = context.getImageData(0, 0, bitmap.width, bitmap.height);
  const found = CHANNELS.map(() => new Float64Array(BINS));
  for (let at = 0; at < data.length; at += 4) {
    for (let channel = 0; channel < 3; channel += 1) {
      found[channel][Math.floor((data[at + channel] * BINS) / 256)] += 1;
    }
  }
  return found;
}

function pathOf(bins, most) {
  const place = (count, at) => {
    const x = (at / (BINS - 1)) * WIDTH;
    return `L ${x.toFixed(1)} ${(HEIGHT * (1 - count / most)).toFixed(1)}`;
  };
  return `M 0 ${HEIGHT} ${[...bins].map(place).join(" ")} L ${WIDTH} ${HEIGHT} Z`;
}

export default async function tones(panel) {
  panel.root.innerHTML = `
    <style>${STYLE}</style>
    <svg viewBox="0 0 ${WIDTH} ${HEIGHT}" preserveAspectRatio="none" role="img">
      ${CHANNELS.map((channel) => `<path class="${channel}" />`).join("")}
    </svg>
    <p role="status"></p>`;
  const svg = panel.root.querySelector("svg");
  const said = panel.root.querySelector("p");

  async function show({ picture, made_by: node } = {}) {
    svg.style.display = picture ? "" : "none";
    if (!picture) {
      said.textContent = "Run the graph: the tones of its newest image appear here.";
      return;
    }
    const found = await counts(picture);
    // The ends may hold most of an image: they don't make all else flat.
    const most = Math.max(1, ...found.flatMap((bins) => [...bins.slice(1, -1)]));
    found.forEach((bins, at) => {
      const shown = bins.map((count) => Math.min(count, most));
      svg.querySelectorAll("path")[at].setAttribute("d", pathOf(shown, most));
    });
    const where = node ? `the image of ${node}` : "the newest image";
    svg.setAttribute("aria-label", `Tones of ${where}, dark at the left`);
    said.textContent = `Tones of ${where}, dark at the left.`;
  }

  panel.on("context", show);
  await show(panel.context ?? {});
}
