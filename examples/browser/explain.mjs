// An explained model and a photograph to class and map. The file says what its inputs and outputs are; nothing here is
// of one network.

/** The document of an explained file: the metadata entry `onnxcam`, read from the file's own bytes. */
export function documentOf(bytes) {
  for (const entry of fields(bytes, 14)) { // ModelProto.metadata_props
    const [key] = fields(entry, 1), [value] = fields(entry, 2);
    if (key && new TextDecoder().decode(key) === "onnxcam") return JSON.parse(new TextDecoder().decode(value));
  }
  throw new Error("this file is no explained model: onnxcam export makes one");
}

/** The byte strings of one field of a protobuf message. */
function* fields(bytes, wanted) {
  let at = 0;
  const varint = () => {
    let value = 0;
    for (let factor = 1; ; factor *= 128) {
      if (at >= bytes.length) throw new Error("this file is no ONNX model");
      const byte = bytes[at++];
      value += (byte & 127) * factor;
      if (byte < 128) return value;
    }
  };
  while (at < bytes.length) {
    const tag = varint(), number = Math.floor(tag / 8);
    switch (tag % 8) {
      case 0: varint(); break;
      case 1: at += 8; break;
      case 5: at += 4; break;
      case 2: {
        const length = varint();
        if (number === wanted) yield bytes.subarray(at, at + length);
        at += length;
        break;
      }
      default: throw new Error("this file is no ONNX model");
    }
  }
}

/** Which part of a photograph the network sees, in its pixels: x, y, width, height. */
export function seen(preprocessing, width, height) {
  const [rows, columns] = preprocessing.size, { resize } = preprocessing;
  if (resize === "stretch") return [0, 0, width, height];
  const scale = resize.short_side
    ? resize.short_side / Math.min(width, height)
    : Math.max(resize.cover[0] / height, resize.cover[1] / width);
  const [w, h] = [columns / scale, rows / scale];
  return [(width - w) / 2, (height - h) / 2, w, h];
}

/** The input of RGBA samples of the network's size: out = (x · scale − mean) / std. */
export function input({ preprocessing: p }, rgba) {
  const cells = p.size[0] * p.size[1], channels = p.mean.length;
  const order = channels === 1 ? [null] : p.channels.toLowerCase() === "bgr" ? [2, 1, 0] : [0, 1, 2];
  const last = p.layout.toUpperCase().endsWith("C");
  const x = new Float32Array(cells * channels);
  for (let i = 0; i < cells; i++) {
    for (let c = 0; c < channels; c++) {
      const [r, g, b] = rgba.subarray(4 * i, 4 * i + 3);
      const sample = order[c] === null ? 0.299 * r + 0.587 * g + 0.114 * b : rgba[4 * i + order[c]];
      x[last ? i * channels + c : c * cells + i] = (sample * p.scale - p.mean[c]) / p.std[c];
    }
  }
  return x;
}

/** Class and first map for an input; a target of −1 is the predicted class. */
export async function run(ort, session, document, x, target = -1) {
  const shape = document.input.shape.map((size) => (typeof size === "number" ? size : 1));
  const feeds = { [document.input.name]: new ort.Tensor("float32", x, shape) };
  if (document.target) {
    const targets = document.target.shape.map((size) => (typeof size === "number" ? size : 1));
    const count = targets.reduce((a, b) => a * b, 1);
    const values = new BigInt64Array(count).fill(BigInt(target));
    feeds[document.target.name] = new ort.Tensor("int64", values, targets);
  }
  const answer = await session.run(feeds);
  const map = answer[document.maps[0].output];
  const label = document.class ? Number(answer[document.class.name].data[0]) : target;
  const [height, width] = map.dims.slice(-2);
  const plane = document.target ? 0 : label; // Of every class, the predicted one's.
  return { label, height, width, map: map.data.slice(plane * height * width, (plane + 1) * height * width) };
}

/** The map as RGBA pixels: rectified, stretched to 0..1, red where it is strong. */
export function pixels({ map, height, width }) {
  const most = map.reduce((a, b) => Math.max(a, b), 0);
  const rgba = new Uint8ClampedArray(4 * height * width);
  map.forEach((value, i) => {
    const strength = most > 0 ? Math.max(value, 0) / most : 0;
    rgba.set([255, 255 * (1 - strength), 0, 200 * strength], 4 * i);
  });
  return new ImageData(rgba, width, height);
}
