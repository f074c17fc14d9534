// The live page: camera or picture in, boxes and probabilities out.

import { listCameras, nextFrame, openCamera } from "./camera.js";
import { Connection } from "./connection.js";
import { drawBoxes, drawCrop, encode, faceAt } from "./drawing.js";

const FRAME_PX = 640; // of the longer side
const PICTURE_PX = 1280;
const SPOKEN_EVERY_MS = 2000; // so that a screen reader can follow
const FIGURES_EVERY_MS = 500;
const AVERAGED = 30;
const NEWEST = 0.25; // weight of a frame: what networks say changes with every pixel that a box moves
const SAME_FACE = 0.4; // overlap of two boxes

const element = (id) => document.getElementById(id);
const [stage, hint, video, still, overlay] = ["stage", "hint", "video", "still", "overlay"].map(element);
const [toggle, cameras, picture, message] = ["toggle", "cameras", "picture", "message"].map(element);
const [networks, sample, buttons, crop] = ["networks", "sample", "faces", "crop"].map(element);

let emotions = [];
let unsureBelow = 0;
let looked = null; // the still picture that is shown, for another network
let shown = null; // the last answer: its faces, their picture, its width, whether it is mirrored
let chosen = null; // the face that the user chose, as it was last seen
let stream = null; // of the camera that is on
let spokenAt = 0;
let figuresAt = 0;
let times = []; // of the last answers
let before = []; // the faces of the last frame, as they were shown

// --- connection -----------------------------------------------------------------------------------------------------

const SAID = {
  away: "The server does not answer; trying again. It may have been ended: start `repro serve`.",
  gone: "The server has no such network any more: reload the page.",
  full: "The server has as many connections as it takes: close another page. Trying again.",
};

const connection = new Connection((state, details) => {
  if (state === "connecting") return; // keep the last message until the result is known
  element("connection").textContent = SAID[state] ?? "";
  if (state === "ready") introduce(details);
}, () => networks.value);

function introduce({ key, emotions: names, network, certainty, unsure_below, synthetic }) {
  emotions = names;
  unsureBelow = unsure_below;
  networks.value = key;
  element("network").textContent = network;
  element("certainty").textContent = certainty;
  element("synthetic").hidden = !synthetic;
  element("probabilities").replaceChildren(...names.map(probabilityRow));
}

function probabilityRow(emotion) {
  const row = document.createElement("tr");
  const name = Object.assign(document.createElement("th"), { scope: "row", textContent: emotion });
  const bar = Object.assign(document.createElement("span"), { className: "bar" });
  const share = Object.assign(document.createElement("span"), { className: "share", textContent: "–" });
  const cell = document.createElement("td");
  cell.append(bar, share);
  row.append(name, cell);
  return row;
}

// --- what the server says -------------------------------------------------------------------------------------------

const percent = (share) => `${Math.round(100 * share)} %`;
const best = ({ probabilities }) => probabilities.indexOf(Math.max(...probabilities));
const isUnsure = ({ probabilities }) => Math.max(...probabilities) < unsureBelow;
const named = (face) => `${isUnsure(face) ? "unsure: " : ""}${emotions[best(face)]}`;
const label = (face) => `${named(face)} ${percent(face.probabilities[best(face)])}`;

function show({ answer, roundTripMs }, canvas, mirrored) {
  if (answer.kind === "error") {
    message.textContent = answer.message;
    return;
  }
  shown = { faces: steady(answer.faces), canvas, width: answer.width, smallest: answer.smallest, mirrored };
  showFaces();
  showFigures(answer.ms, roundTripMs);
}

/** The faces of the last answer, with all that is said of the chosen one: the largest, until the user chooses. */
function showFaces() {
  const { faces, canvas, width, smallest, mirrored } = shown;
  const same = chosen && faces.find((face) => overlap(face, chosen) > SAME_FACE);
  if (same) chosen = same;
  const face = same ?? faces.toSorted((a, b) => b.width * b.height - a.width * a.height)[0];
  const place = faces.indexOf(face);
  drawBoxes(overlay, faces, faces.map(label), width, mirrored, place);
  showButtons(faces, place);
  crop.hidden = !face;
  if (face) drawCrop(crop, canvas, face);
  showGuess(face, face ? label(face) : "no face");
  element("of-face").textContent =
    faces.length > 1
      ? `Probabilities of face ${place + 1} of ${faces.length}`
      : `Probabilities of a face of ${smallest} pixels or more`;
  speak(face ? named(face) : "no face");
}

function choose(place) {
  chosen = shown.faces[place];
  showFaces();
}

/** One button per face; they stay the same, so that the keyboard does not lose its place while a video runs. */
function showButtons(faces, place) {
  buttons.hidden = faces.length < 2;
  while (buttons.children.length > faces.length) buttons.lastChild.remove();
  while (buttons.children.length < faces.length) {
    const number = buttons.children.length;
    const button = Object.assign(document.createElement("button"), { type: "button", onclick: () => choose(number) });
    buttons.append(button);
  }
  for (const [i, button] of [...buttons.children].entries()) {
    button.textContent = `${i + 1} ${named(faces[i])}`;
    button.setAttribute("aria-pressed", String(i === place));
  }
}

/** The faces with the running mean of their probabilities. */
function steady(faces) {
  before = faces.map((face) => {
    const same = before.find((other) => overlap(face, other) > SAME_FACE);
    const mixed = face.probabilities.map((p, i) => NEWEST * p + (1 - NEWEST) * (same?.probabilities[i] ?? p));
    return { ...face, probabilities: mixed };
  });
  return before;
}

/** Intersection over union. */
function overlap(one, other) {
  const width = Math.min(one.left + one.width, other.left + other.width) - Math.max(one.left, other.left);
  const height = Math.min(one.top + one.height, other.top + other.height) - Math.max(one.top, other.top);
  const both = Math.max(0, width) * Math.max(0, height);
  return both / (one.width * one.height + other.width * other.height - both);
}

function showGuess(face, text) {
  element("guess").textContent = text;
  for (const [i, row] of [...element("probabilities").rows].entries()) {
    row.className = face && i === best(face) ? "top" : "";
    row.querySelector(".bar").style.setProperty("--share", face?.probabilities[i] ?? 0);
    row.querySelector(".share").textContent = face ? percent(face.probabilities[i]) : "–";
  }
}

function speak(text) {
  const spoken = element("spoken");
  if (spoken.textContent === text || performance.now() - spokenAt < SPOKEN_EVERY_MS) return;
  spoken.textContent = text;
  spokenAt = performance.now();
}

const median = (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];

function showFigures(ms, roundTripMs) {
  const now = performance.now();
  times = [...times, { now, roundTripMs, ...ms }].slice(-AVERAGED);
  if (now - figuresAt < FIGURES_EVERY_MS) return;
  figuresAt = now;
  const of = (name) => median(times.map((time) => time[name])).toFixed(1);
  const parts = `decoding ${of("decode")}, detection ${of("detection")}, network ${of("network")}`;
  const rate = times.length > 1 ? ` at ${((1000 * (times.length - 1)) / (now - times[0].now)).toFixed(0)} pictures/s` : "";
  element("latency").textContent =
    `Round trip ${of("roundTripMs")} ms, of which the server ${of("total")} (${parts}); median of ${times.length}${rate}.`;
}

// --- camera ---------------------------------------------------------------------------------------------------------

async function start() {
  stop();
  message.textContent = "";
  toggle.disabled = true;
  try {
    const opened = await openCamera(cameras.value);
    const [track] = opened.getVideoTracks();
    track.onended = () => {
      stop();
      message.textContent = "The camera was switched off or unplugged.";
    };
    const { deviceId, facingMode } = track.getSettings();
    await listCameras(cameras, deviceId);
    video.srcObject = opened;
    await video.play();
    stream = opened;
    stage.classList.toggle("mirrored", facingMode !== "environment");
    fill(video);
    toggle.textContent = "Stop camera";
    watch(opened);
  } catch (error) {
    message.textContent = error.message;
  } finally {
    toggle.disabled = false;
  }
}

function stop() {
  for (const track of stream?.getTracks() ?? []) track.stop();
  stream = null;
  video.srcObject = null;
  toggle.textContent = "Start camera";
  fill(null);
}

async function watch(own) {
  while (stream === own) {
    await nextFrame(video);
    if (stream !== own || !video.videoWidth) continue;
    const { canvas, jpeg } = await encode(video, video.videoWidth, video.videoHeight, FRAME_PX);
    const answer = await connection.ask(jpeg);
    if (answer && stream === own) show(answer, canvas, stage.classList.contains("mirrored"));
  }
}

/** Show the video, the still picture or, for null, the hint. */
function fill(on) {
  video.hidden = on !== video;
  still.hidden = on !== still;
  hint.hidden = Boolean(on);
  stage.classList.toggle("filled", Boolean(on));
  overlay.width = 0; // clears it
  looked = shown = chosen = null;
  buttons.hidden = crop.hidden = true;
  showGuess(null, "–");
  times = before = [];
  figuresAt = spokenAt = 0;
}

// --- one picture ----------------------------------------------------------------------------------------------------

async function look(file) {
  stop();
  message.textContent = "";
  const bitmap = await createImageBitmap(file).catch(() => null);
  if (!bitmap) {
    message.textContent = `${file.name} is not a picture that this browser can read.`;
    return;
  }
  const { jpeg } = await encode(bitmap, bitmap.width, bitmap.height, PICTURE_PX);
  bitmap.close();
  const sent = await createImageBitmap(jpeg); // what the server sees is what is shown
  still.width = sent.width;
  still.height = sent.height;
  still.getContext("2d").drawImage(sent, 0, 0);
  fill(still);
  looked = jpeg;
  await askAgain();
}

/** Ask about the still picture that is shown. */
async function askAgain() {
  const jpeg = looked;
  const answer = await connection.ask(jpeg);
  if (answer && looked === jpeg) show(answer, still, false);
}

async function lookAtSample() {
  const answer = await fetch(`${location.pathname}sample.jpg`).catch(() => null);
  if (!answer?.ok) message.textContent = SAID.away;
  else await look(new File([await answer.blob()], "sample.jpg", { type: "image/jpeg" }));
}

/** The same camera or picture, by another network. */
function changeNetwork() {
  before = [];
  times = [];
  connection.reopen();
  if (looked) askAgain();
}

// --- controls -------------------------------------------------------------------------------------------------------

toggle.onclick = () => (stream ? stop() : start());
cameras.onchange = () => stream && start();
sample.onclick = lookAtSample;
networks.onchange = changeNetwork;
overlay.onclick = ({ offsetX, offsetY }) => {
  const place = shown ? faceAt(overlay, shown.faces, offsetX, offsetY, shown.width, shown.mirrored) : -1;
  if (place >= 0) choose(place);
};
picture.onchange = () => picture.files.length && look(picture.files[0]);
document.ondragover = (event) => {
  event.preventDefault(); // else the browser leaves the page for the picture
  stage.classList.add("over");
};
document.ondragleave = () => stage.classList.remove("over");
document.ondrop = (event) => {
  event.preventDefault();
  stage.classList.remove("over");
  const [file] = event.dataTransfer.files;
  if (file) look(file);
};

listCameras(cameras);
connection.open();
