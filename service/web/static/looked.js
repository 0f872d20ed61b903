// For how long somebody has been looking at pictures, over all pages and tabs, until a pause.

import { keep, recall } from "./kept.js";

const PLACE = "ordnance.looked";
const PAUSE_MS = 5 * 60 * 1000;
const TICK_SECONDS = 15;

function read() {
  try {
    const { seconds, at } = JSON.parse(recall(PLACE));
    return Date.now() - at < PAUSE_MS ? seconds : 0;
  } catch {
    return null;
  }
}

function write(seconds) {
  keep(PLACE, JSON.stringify({ seconds, at: Date.now() }));
}

// Calls `propose` whenever so many minutes were looked at pictures; what is hidden does not count.
export function proposeBreaks(minutes, propose) {
  if (!minutes) return;
  let here = 0;
  setInterval(() => {
    if (document.hidden) return;
    here = (read() ?? here) + TICK_SECONDS;
    if (here >= minutes * 60) {
      here = 0;
      propose();
    }
    write(here);
  }, TICK_SECONDS * 1000);
}
