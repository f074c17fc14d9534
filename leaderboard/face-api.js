// The predictions of @vladmandic/face-api on the two test splits of FER-2013, for `leaderboard/face-api.toml`.
//
//   npm install @vladmandic/face-api@1.7.15 @tensorflow/tfjs@4.22.0 @tensorflow/tfjs-backend-wasm@4.22.0
//   node face-api.js fer2013.csv > face-api.csv
//
// The library itself resizes each 48 x 48 face to 112 x 112 and subtracts its mean. Gray is given as three equal channels.
const fs = require("fs");
const path = require("path");
const readline = require("readline");
const tf = require("@tensorflow/tfjs");
const wasm = require("@tensorflow/tfjs-backend-wasm");

const modules = path.join(__dirname, "node_modules");
wasm.setWasmPaths(path.join(modules, "@tensorflow/tfjs-backend-wasm/dist/"));
const faceapi = require(path.join(modules, "@vladmandic/face-api/dist/face-api.node-wasm.js"));
const ORDER = ["neutral", "happy", "sad", "angry", "fearful", "disgusted", "surprised"];

async function main() {
  await tf.setBackend("wasm");
  await tf.ready();
  await faceapi.nets.faceExpressionNet.loadFromDisk(path.join(modules, "@vladmandic/face-api/model"));
  console.log(["row", ...ORDER].join(","));
  let row = -1; // of the line with the names
  for await (const line of readline.createInterface({ input: fs.createReadStream(process.argv[2]) })) {
    const [, pixels, usage] = line.split(",");
    if (usage && usage.trim().endsWith("Test")) {
      const gray = tf.tensor3d(pixels.replaceAll('"', "").trim().split(" ").map(Number), [48, 48, 1], "int32");
      const face = tf.tile(gray, [1, 1, 3]);
      const found = await faceapi.nets.faceExpressionNet.predictExpressions(face);
      console.log([row, ...ORDER.map((name) => found[name])].join(","));
      tf.dispose([gray, face]);
    }
    row += 1;
  }
}

main();
