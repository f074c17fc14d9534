// The browser's cameras, with every failure as one plain sentence.

const INSTEAD = "A picture works too.";

const REASONS = {
  NotAllowedError:
    "The browser does not allow this page the camera. Allow it by the sign beside the address, then start again.",
  NotFoundError: "No camera was found. Connect one, then start again.",
  OverconstrainedError: "That camera is no longer there. Choose another one.",
  NotReadableError: "The camera does not answer. Another program may be using it.",
};

/** A stream of the camera with that id, or of the browser's choice. Throws an Error whose message is for the user. */
export async function openCamera(deviceId) {
  if (!navigator.mediaDevices) {
    throw new Error(`Browsers give a camera only to pages from the same computer or over https. ${INSTEAD}`);
  }
  const video = { width: { ideal: 640 }, height: { ideal: 480 }, ...(deviceId && { deviceId: { exact: deviceId } }) };
  try {
    return await navigator.mediaDevices.getUserMedia({ video, audio: false });
  } catch (error) {
    throw new Error(`${REASONS[error.name] ?? `The camera cannot be used (${error.message}).`} ${INSTEAD}`);
  }
}

/** Fill the list of cameras. Browsers give their names only after one was allowed. */
export async function listCameras(select, chosen) {
  const devices = (await navigator.mediaDevices?.enumerateDevices()) ?? [];
  const cameras = devices.filter((device) => device.kind === "videoinput" && device.deviceId);
  if (!cameras.length) return;
  select.replaceChildren(...cameras.map((camera, i) => new Option(camera.label || `camera ${i + 1}`, camera.deviceId)));
  if (chosen) select.value = chosen;
}

/** Resolves when the video shows a new frame. */
export function nextFrame(video) {
  return new Promise((resolve) => {
    if (video.requestVideoFrameCallback) video.requestVideoFrameCallback(resolve);
    else requestAnimationFrame(resolve);
  });
}
