// Pictures for the server, and boxes over them.

const JPEG_QUALITY = 0.85;

/** A video frame or a picture as a JPEG, its longer side at most `longest` pixels, and the canvas that it shows. */
export async function encode(source, width, height, longest) {
  const scale = Math.min(1, longest / Math.max(width, height));
  const canvas = new OffscreenCanvas(Math.max(1, Math.round(width * scale)), Math.max(1, Math.round(height * scale)));
  canvas.getContext("2d").drawImage(source, 0, 0, canvas.width, canvas.height);
  return { canvas, jpeg: await canvas.convertToBlob({ type: "image/jpeg", quality: JPEG_QUALITY }) };
}

/** The square around a face in gray, as the network gets it, into a small canvas. */
export function drawCrop(crop, canvas, face) {
  const context = crop.getContext("2d", { willReadFrequently: true });
  const side = Math.max(face.width, face.height);
  const [left, top] = [face.left + (face.width - side) / 2, face.top + (face.height - side) / 2];
  context.clearRect(0, 0, crop.width, crop.height);
  context.drawImage(canvas, left, top, side, side, 0, 0, crop.width, crop.height);
  const pixels = context.getImageData(0, 0, crop.width, crop.height);
  for (let i = 0; i < pixels.data.length; i += 4) {
    const [red, green, blue] = pixels.data.subarray(i, i + 3);
    pixels.data.fill(Math.round(0.299 * red + 0.587 * green + 0.114 * blue), i, i + 3); // ITU-R 601
  }
  context.putImageData(pixels, 0, 0);
}

/** Index of the face at a point of the overlay (in CSS pixels), the smallest if several are there; -1 for none. */
export function faceAt(overlay, faces, x, y, width, mirrored) {
  const scale = width / overlay.clientWidth;
  const [px, py] = [mirrored ? width - x * scale : x * scale, y * scale];
  const inside = (face) => px >= face.left && px <= face.left + face.width && py >= face.top && py <= face.top + face.height;
  const [smallest] = faces.filter(inside).toSorted((a, b) => a.width - b.width);
  return smallest ? faces.indexOf(smallest) : -1;
}

/** Boxes with their labels over the stage, that of the chosen face thicker. `faces` are in pixels of a picture of that
 * width. */
export function drawBoxes(overlay, faces, labels, width, mirrored, chosen) {
  const ratio = devicePixelRatio;
  overlay.width = overlay.clientWidth * ratio;
  overlay.height = overlay.clientHeight * ratio;
  const context = overlay.getContext("2d");
  const scale = overlay.width / width;
  const size = 15 * ratio;
  context.font = `600 ${size}px system-ui, sans-serif`;
  context.textBaseline = "middle";
  faces.forEach((face, i) => {
    const left = scale * (mirrored ? width - face.left - face.width : face.left);
    const top = scale * face.top;
    // A light line on a dark one is visible on every image.
    const more = faces.length > 1 && i === chosen ? 3 : 0;
    for (const [line, colour] of [[5 + more, "#000000"], [2 + more, "#ffffff"]]) {
      context.lineWidth = line * ratio;
      context.strokeStyle = colour;
      context.strokeRect(left, top, scale * face.width, scale * face.height);
    }
    const room = faces.length > 1 ? 1.25 * scale * face.width : Infinity; // labels of neighbours would cover each other
    const text = context.measureText(labels[i]).width + size > room ? `${i + 1}` : labels[i];
    const long = context.measureText(text).width + size;
    const x = Math.max(0, Math.min(left, overlay.width - long));
    const y = Math.max(0, top - 1.6 * size);
    context.fillStyle = "#000000";
    context.fillRect(x, y, long, 1.6 * size);
    context.fillStyle = "#ffffff";
    context.fillText(text, x + size / 2, y + 0.8 * size);
  });
}
