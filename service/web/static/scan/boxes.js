// Where the boxes are at a time, from the stored detections, and how they are drawn.

import { get } from "../api.js";
import { api, classOf, state } from "./state.js";

const tracks = new Map();
const HELD_SECONDS = 0.6;
const MOST_TRACKS = 400;

// An appearance's detections as [pts, left, top, right, bottom] in time order; empty until they have come.
function trackOf(item, arrived) {
  if (item.boxes) return item.boxes;
  const known = tracks.get(item.key);
  if (known) return known;
  if (tracks.size >= MOST_TRACKS) tracks.delete(tracks.keys().next().value);
  tracks.set(item.key, []);
  get(`${api}/appearances/${item.number}`).then(
    (whole) => {
      tracks.set(item.key, whole.detections.map((each) => [each.pts_s, ...each.box]));
      arrived();
    },
    () => tracks.delete(item.key),
  );
  return [];
}

export function forgetTracks() {
  tracks.clear();
}

// The box at a time: that of a detection, or between two of them (`exact` is false then).
function boxAt(track, seconds) {
  if (!track.length) return null;
  let low = 0;
  let high = track.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (track[middle][0] <= seconds + 1e-4) low = middle + 1;
    else high = middle;
  }
  const before = track[low - 1];
  const after = track[low];
  if (before && seconds - before[0] < 1e-3) return { box: before.slice(1), exact: true };
  if (before && after) {
    const share = (seconds - before[0]) / (after[0] - before[0]);
    return { box: before.slice(1).map((edge, at) => edge + (after[at + 1] - edge) * share), exact: false };
  }
  const near = before ?? after;
  return Math.abs(near[0] - seconds) <= HELD_SECONDS ? { box: near.slice(1), exact: false } : null;
}

// The boxes of everything shown at a time. `arrived` is called when detections that were missing have come.
export function boxesAt(seconds, arrived) {
  const found = [];
  for (const item of state.shown) {
    if (item.first - 1e-3 > seconds || item.last + 1e-3 < seconds) continue;
    const place = boxAt(trackOf(item, arrived), seconds);
    if (place) found.push({ item, ...place });
  }
  return found;
}

// Lets the canvas cover what is shown of a picture of `width` x `height` display pixels; returns its pixels per pixel.
function fitCanvas(canvas, width, height) {
  const ratio = window.devicePixelRatio || 1;
  const wide = Math.max(1, Math.round(canvas.clientWidth * ratio));
  const high = Math.max(1, Math.round(canvas.clientHeight * ratio));
  if (canvas.width !== wide || canvas.height !== high) {
    canvas.width = wide;
    canvas.height = high;
  }
  return { x: canvas.width / width, y: canvas.height / height };
}

export function drawBoxes(canvas, clip, boxes) {
  const scale = fitCanvas(canvas, clip.width, clip.height);
  const context = canvas.getContext("2d");
  context.clearRect(0, 0, canvas.width, canvas.height);
  for (const { item, box, exact } of boxes) {
    const [left, top, right, bottom] = [box[0] * scale.x, box[1] * scale.y, box[2] * scale.x, box[3] * scale.y];
    const line = Math.max(2, canvas.width / 320);
    context.setLineDash(exact ? [] : [3 * line, 2 * line]);
    context.lineWidth = line + 2;
    context.strokeStyle = "#000";
    context.strokeRect(left, top, right - left, bottom - top);
    context.lineWidth = line;
    context.strokeStyle = item.key === state.selected?.key ? "#fff" : classOf(item.cls).colour;
    context.strokeRect(left, top, right - left, bottom - top);
  }
  canvas.dataset.boxes = JSON.stringify(
    boxes.map(({ item, box, exact }) => ({ key: item.key, exact, box: box.map((edge) => Math.round(edge)) })),
  );
}

// What lies in the boxes, sharp, over a picture that is blurred; `source` is a video or an image of the whole frame.
export function drawCuts(canvas, clip, source, size, boxes) {
  const scale = fitCanvas(canvas, clip.width, clip.height);
  const context = canvas.getContext("2d");
  context.clearRect(0, 0, canvas.width, canvas.height);
  for (const { box } of boxes) {
    const [left, top, right, bottom] = [
      Math.max(0, box[0]), Math.max(0, box[1]), Math.min(clip.width, box[2]), Math.min(clip.height, box[3]),
    ];
    if (right <= left || bottom <= top) continue;
    const [sx, sy] = [size.width / clip.width, size.height / clip.height];
    context.drawImage(
      source, left * sx, top * sy, (right - left) * sx, (bottom - top) * sy,
      left * scale.x, top * scale.y, (right - left) * scale.x, (bottom - top) * scale.y,
    );
  }
}
