// Frames as pictures from the server: blurred outside the boxes, or sharp where the person chose to see one.

import { api, goneNow } from "./state.js";

const cache = new Map();
const KEPT = 24;
let asked = null;

function address(seconds, reveal, threshold, side) {
  const query = new URLSearchParams({ pts: seconds.toFixed(6) });
  if (side) query.set("max_side", side);
  if (reveal) query.set("reveal", "true");
  else if (threshold !== null) query.set("min_confidence", threshold.toFixed(3));
  return `${api}/still?${query}`;
}

// {url, pts} of the frame on show at `seconds`, `side` pixels long at the most; a request that a later one overtakes is given up (null).
// What is revealed is kept nowhere. Throws an Error with the server's sentence.
export async function still(seconds, { reveal = false, threshold = null, side = 0 } = {}) {
  const from = address(seconds, reveal, threshold, side);
  if (!reveal && cache.has(from)) return cache.get(from);
  asked?.abort();
  const mine = new AbortController();
  asked = mine;
  let answer;
  try {
    answer = await fetch(from, { signal: mine.signal, credentials: "same-origin", cache: reveal ? "no-store" : "default" });
    if (!answer.ok) {
      const problem = await answer.json().catch(() => ({}));
      if (answer.status === 404 && problem.code === "not_found") await checkGone();
      throw new Error(problem.detail ?? `HTTP ${answer.status}`);
    }
    const found = {
      url: URL.createObjectURL(await answer.blob()),
      pts: Number(answer.headers.get("Ordnance-PTS") ?? seconds),
    };
    if (!reveal) keep(from, found);
    return found;
  } catch (error) {
    if (error.name === "AbortError") return null;
    throw error;
  }
}

function keep(from, found) {
  cache.set(from, found);
  if (cache.size > KEPT) {
    const [oldest, { url }] = cache.entries().next().value;
    cache.delete(oldest);
    URL.revokeObjectURL(url);
  }
}

export function forgetStills() {
  for (const { url } of cache.values()) URL.revokeObjectURL(url);
  cache.clear();
}

export async function checkGone() {
  const answer = await fetch(api, { credentials: "same-origin" }).catch(() => null);
  if (answer?.status === 404) goneNow();
}
