// Frames as pictures from the server: blurred outside the boxes, or sharp where the person chose to see one.

import { fetched } from "../api.js";
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

// {url, pts} of the frame on show at `seconds`, `side` pixels long at the most; null where a later request overtook it.
// What is revealed is kept nowhere. Throws a Problem.
export async function still(seconds, { reveal = false, threshold = null, side = 0 } = {}) {
  const from = address(seconds, reveal, threshold, side);
  if (!reveal && cache.has(from)) return cache.get(from);
  asked?.abort();
  const mine = new AbortController();
  asked = mine;
  try {
    const answer = await fetched(from, { signal: mine.signal, cache: reveal ? "no-store" : "default" });
    const found = {
      url: URL.createObjectURL(await answer.blob()),
      pts: Number(answer.headers.get("Ordnance-PTS") ?? seconds),
    };
    if (!reveal) keep(from, found);
    return found;
  } catch (error) {
    if (error.name === "AbortError") return null;
    if (error.code === "not_found") await checkGone();
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
  const problem = await fetched(api).catch((error) => error);
  if (problem.code === "not_found") goneNow();
}
