// Prints a workflow of many nodes, for measuring how the canvas bears it:
//   node scripts/large-workflow.mjs 500 > /tmp/large.json
const count = Number(process.argv[2] ?? 500);
const PER_CHAIN = 6;
const nodes = {};
const positions = {};

function place(name, column, row) {
  positions[name] = [column * 320, row * 420];
}

nodes.load = { type: "LoadModel", inputs: { model: "tiny" } };
place("load", -1, 0);
const chains = Math.ceil((count - 1) / PER_CHAIN);
const columns = Math.ceil(Math.sqrt(chains / 2));
for (let chain = 0; chain < chains; chain += 1) {
  const id = String(chain).padStart(3, "0");
  const column = (chain % columns) * (PER_CHAIN - 1);
  const row = Math.floor(chain / columns) * 2;
  const made = {
    [`prompt_${id}`]: {
      type: "EncodePrompt",
      inputs: { encoder: { from: "load.text_encoder" }, text: `a red apple, number ${chain}` },
    },
    [`size_${id}`]: { type: "EmptyLatent", inputs: { width: 64, height: 64 } },
    [`sample_${id}`]: {
      type: "KSampler",
      inputs: {
        model: { from: "load.model" },
        positive: { from: `prompt_${id}` },
        latent: { from: `size_${id}` },
        seed: chain,
        steps: 4,
      },
    },
    [`decode_${id}`]: {
      type: "VAEDecode",
      inputs: { vae: { from: "load.vae" }, latent: { from: `sample_${id}` } },
    },
    [`resize_${id}`]: {
      type: "ResizeImage",
      inputs: { image: { from: `decode_${id}` }, width: 32, height: 32 },
    },
    [`save_${id}`]: { type: "SaveImage", inputs: { image: { from: `resize_${id}` }, name: `apple_${id}` } },
  };
  const places = [[0, 0], [0, 1], [1, 0], [2, 0], [2, 1], [3, 0]];
  for (const [index, [name, node]] of Object.entries(made).entries()) {
    if (Object.keys(nodes).length >= count) break;
    nodes[name] = node;
    place(name, column + places[index][0], row + places[index][1]);
  }
}
const workflow = { format: "nodegraph/1", title: `${count} nodes`, nodes, ui: { positions } };
process.stdout.write(`${JSON.stringify(workflow, null, 2)}\n`);
