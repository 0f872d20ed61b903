// What is shown at a threshold: stored confidences are compared, nothing is scanned again.

import { emit, on, state } from "./state.js";

// Without a threshold: the scan's own appearances. With one: whatever reaches it, weak finds included.
function passes(item, { threshold, hiddenClasses, overlays, review, verdicts }) {
  if (item.overlay && !overlays) return false;
  if (hiddenClasses.has(item.cls)) return false;
  if (threshold === null ? item.weak : item.confidence < threshold) return false;
  if (review === "all") return true;
  const found = item.number === null ? undefined : verdicts.get(item.number);
  if (review === "open") return item.number !== null && !found?.mine;
  if (review === "disagreed") return found?.state === "disagreed";
  return found?.mine?.verdict === review;
}

export function applyFilters() {
  const everything = state.threshold === null || !state.weak ? state.items : merged(state.items, state.weak);
  state.shown = everything.filter((item) => passes(item, state));
  emit("shown");
}

// Changes what keeps an appearance from being shown.
export function uncover(item) {
  if (passes(item, state)) return;
  state.overlays ||= item.overlay;
  if (item.confidence < state.threshold) state.threshold = null;
  state.hiddenClasses.delete(item.cls);
  if (!passes(item, state)) state.review = "all";
  emit("items");
}

export function setThreshold(value) {
  state.threshold = value;
  applyFilters();
}

let both = { items: null, weak: null, list: [] };

// Sorted anew only where one of the two has changed.
function merged(items, weak) {
  if (both.items !== items || both.weak !== weak) {
    both = { items, weak, list: [...items, ...weak].sort((a, b) => a.first - b.first || a.last - b.last) };
  }
  return both.list;
}

on("items", applyFilters);
