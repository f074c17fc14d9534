// Pictures for the server, and boxes over them.

const JPEG_QUALITY = 0.85;

/** A JPEG of a video frame or a picture, its longer side at most `longest` pixels. */
export function encode(source, width, height, longest) {
  const scale = Math.min(1, longest / Math.max(width, height));
  const canvas = new OffscreenCanvas(Math.max(1, Math.round(width * scale)), Math.max(1, Math.round(height * scale)));
  canvas.getContext("2d").drawImage(source, 0, 0, canvas.width, canvas.height);
  return canvas.convertToBlob({ type: "image/jpeg", quality: JPEG_QUALITY });
}

/** Boxes with their labels over the stage. `faces` are in pixels of a picture of that width. */
export function drawBoxes(overlay, faces, labels, width, mirrored) {
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
    for (const [line, colour] of [[5, "#000000"], [2, "#ffffff"]]) {
      context.lineWidth = line * ratio;
      context.strokeStyle = colour;
      context.strokeRect(left, top, scale * face.width, scale * face.height);
    }
    const long = context.measureText(labels[i]).width + size;
    const x = Math.max(0, Math.min(left, overlay.width - long));
    const y = Math.max(0, top - 1.6 * size);
    context.fillStyle = "#000000";
    context.fillRect(x, y, long, 1.6 * size);
    context.fillStyle = "#ffffff";
    context.fillText(labels[i], x + size / 2, y + 0.8 * size);
  });
}
