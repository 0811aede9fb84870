// Draws the map of an explained model over a photograph. ONNX Runtime comes from the npm package onnxruntime-web.
import * as ort from "./node_modules/onnxruntime-web/dist/ort.wasm.bundle.min.mjs";
import { documentOf, input, pixels, run, seen } from "./explain.mjs";

ort.env.wasm.numThreads = 1; // More need a server that isolates the page from other origins.
const element = (id) => document.getElementById(id);
const [model, photograph, said, drawing] = ["model", "photograph", "said", "drawing"].map(element);
let loaded = null;

async function explain() {
  if (!loaded || !photograph.files.length) return;
  const picture = await createImageBitmap(photograph.files[0]);
  const { preprocessing } = loaded.about;
  const [rows, columns] = preprocessing.size;
  const place = seen(preprocessing, picture.width, picture.height);
  const small = new OffscreenCanvas(columns, rows).getContext("2d");
  small.imageSmoothingQuality = "high";
  small.drawImage(picture, ...place, 0, 0, columns, rows);
  const x = input(loaded.about, small.getImageData(0, 0, columns, rows).data);
  const found = await run(ort, loaded.session, loaded.about, x);
  drawing.width = picture.width;
  drawing.height = picture.height;
  const context = drawing.getContext("2d");
  context.imageSmoothingQuality = "high";
  context.drawImage(picture, 0, 0);
  context.drawImage(await createImageBitmap(pixels(found)), ...place);
  window.found = { ...found, map: Array.from(found.map), x: Array.from(x) }; // What the test looks at.
  said.textContent = `${loaded.about.maps[0].title} of class ${found.label}`;
}

async function load() {
  const bytes = new Uint8Array(await model.files[0].arrayBuffer());
  const about = documentOf(bytes);
  loaded = { about, session: await ort.InferenceSession.create(bytes) };
  await explain();
}

const shown = (work) => () => work().catch((error) => (said.textContent = `error: ${error.message}`));
model.addEventListener("change", shown(load));
photograph.addEventListener("change", shown(explain));
