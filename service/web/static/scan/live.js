// Partial results while the scan runs: an event says that there is news, the news itself is always read whole.

import { events, get } from "../api.js";
import { api, emit, goneNow, isOpen, state } from "./state.js";
import { itemsOf, sameItem } from "./outline.js";
import { forgetTracks } from "./boxes.js";

const LEAST_MS = 900;
const RETRY_MS = 3000;
let last = 0, timer = 0, reading = null, again = false, told = null;

export async function readScan() {
  state.scan = await get(api);
  emit("scan");
}

// The list is replaced, never added to, so that nothing is doubled however often it is read.
export async function readItems() {
  const items = itemsOf(await get(`${api}/outline`));
  const old = state.selected;
  state.items = items;
  forgetTracks();
  state.selected = old?.weak ? old : sameItem(items, old);
  emit("items");
  if (state.selected) emit("selected", { seek: false });
}

// Only while the page is seen: the stream holds one of the six connections that a browser opens to a server.
export function follow(onProblem) {
  let end = null;
  let place = 0;

  function take({ kind, id, data }) {
    if (kind === "gone") {
      goneNow();
      return;
    }
    place = Number(id);
    if (kind === "progress") progressed(data);
    else soon(onProblem);
  }

  function look() {
    if (!document.hidden && isOpen() && !state.gone) end ??= events(state.scanId, take, place);
    else {
      end?.();
      end = null;
    }
  }

  document.addEventListener("visibilitychange", look);
  look();
}

function progressed(data) {
  const { progress } = state.scan;
  for (const name of ["position_s", "starts_s", "duration_s", "samples"]) if (data[name] !== undefined) progress[name] = data[name];
  if (data.finds !== undefined) progress.appearances = data.finds;
  emit("scan");
}

function soon(onProblem) {
  clearTimeout(timer);
  timer = setTimeout(() => refresh(onProblem), Math.max(0, last + LEAST_MS - performance.now()));
}

async function refresh(onProblem) {
  if (reading) {
    again = true;
    return;
  }
  last = performance.now();
  let failed = null;
  reading = Promise.all([readScan(), readItems()]).catch((problem) => {
    failed = problem.code ?? "error";
    if (failed !== told) onProblem(problem);
  });
  await reading;
  reading = null;
  told = failed;
  if (again) {
    again = false;
    soon(onProblem);
  } else if (failed && !state.gone) {
    // No other event need come: the last one tells that the scan has ended.
    timer = setTimeout(() => refresh(onProblem), RETRY_MS);
  }
}
