// Whether the browser's player shows the clip the way round that the server does: not every browser obeys a mirror.

import { fetched } from "../api.js";
import { api } from "./state.js";

const CELLS = 24;
const LEAST_DIFFERENCE = 5;
const BETTER = 0.6;

function cellsOf(source, ratio, flipX = false, flipY = false) {
  const canvas = document.createElement("canvas");
  canvas.width = CELLS;
  canvas.height = Math.max(2, Math.round(CELLS / ratio));
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.translate(flipX ? canvas.width : 0, flipY ? canvas.height : 0);
  context.scale(flipX ? -1 : 1, flipY ? -1 : 1);
  context.drawImage(source, 0, 0, canvas.width, canvas.height);
  const { data } = context.getImageData(0, 0, canvas.width, canvas.height);
  const grey = [];
  for (let at = 0; at < data.length; at += 4) grey.push(0.3 * data[at] + 0.59 * data[at + 1] + 0.11 * data[at + 2]);
  return grey;
}

function difference(one, other) {
  return one.reduce((sum, value, at) => sum + Math.abs(value - other[at]), 0) / one.length;
}

// Compares a frame of the player, at time `pts`, with the server's veiled picture of it; true also where nothing can be
// told, such as of a picture that looks the same when it is mirrored.
export async function isSameWayRound(video, pts) {
  const ratio = video.videoWidth / video.videoHeight;
  const shown = [false, true].flatMap((x) => [false, true].map((y) => cellsOf(video, ratio, x, y)));
  const answer = await fetched(`${api}/still?pts=${pts.toFixed(6)}&max_side=320`).catch(() => null);
  if (answer === null) return true;
  const picture = await createImageBitmap(await answer.blob());
  const [same, ...turned] = shown.map((each) => difference(each, cellsOf(picture, ratio)));
  return same < LEAST_DIFFERENCE || Math.min(...turned) > BETTER * same;
}
