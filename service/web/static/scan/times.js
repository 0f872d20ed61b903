// Presentation times of the frames, read from the server in windows as they are needed.

import { get } from "../api.js";
import { api } from "./state.js";

const WINDOW_SECONDS = 20;
const SAME = 5e-4;

const windows = new Map();

function windowOf(number) {
  if (!windows.has(number)) {
    const from = number * WINDOW_SECONDS;
    const answer = read(from, from + WINDOW_SECONDS);
    answer.catch(() => windows.delete(number));
    windows.set(number, answer);
  }
  return windows.get(number);
}

// They come in pages; `next` says where the following one begins.
async function read(from, to) {
  const found = [];
  for (let start = from; start !== null; ) {
    const { items, next } = await get(`${api}/times?from=${start}&to=${to}`);
    found.push(...items);
    start = next;
  }
  return found;
}

// The first frame later than `seconds` (step 1) or the last one before (step -1); null at the clip's end.
export async function nextTime(seconds, step, end) {
  const last = Math.floor(end / WINDOW_SECONDS);
  for (let number = Math.floor(seconds / WINDOW_SECONDS); number >= -1 && number <= last + 1; number += step) {
    const times = await windowOf(number);
    const found = step > 0 ? times.find((each) => each > seconds + SAME) : times.findLast((each) => each < seconds - SAME);
    if (found !== undefined) return found;
  }
  return null;
}

// The time of the frame on show at `seconds`: the last one that does not lie after it, else the first.
export async function timeOnShow(seconds, end) {
  return (await nextTime(seconds + 2 * SAME, -1, end)) ?? (await nextTime(seconds, 1, end)) ?? seconds;
}
