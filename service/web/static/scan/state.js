// What the parts of the page share, and how they hear of changes.

export const state = {
  scanId: location.pathname.split("/")[2] ?? "",
  scan: null,
  prefs: null,
  taxonomy: new Map(),
  items: [],
  weak: null,
  weakCount: 0,
  verdicts: new Map(),
  proposals: new Map(),
  shown: [],
  selected: null,
  time: 0,
  threshold: null,
  hiddenClasses: new Set(),
  review: "all",
  overlays: false,
  view: null,
  gone: false,
};

export const api = `/v1/scans/${state.scanId}`;

const listeners = new Map();

// Topics: scan, items, shown, selected, time, timeline, go_to, verdicts, gone.
export function on(topic, listener) {
  listeners.set(topic, [...(listeners.get(topic) ?? []), listener]);
}

export function emit(topic, detail) {
  for (const listener of listeners.get(topic) ?? []) listener(detail);
}

export function select(item, { seek = true } = {}) {
  if (!item || state.gone) return;
  state.selected = item;
  if (seek) state.time = item.best;
  emit("selected", { seek });
  if (seek) emit("time");
}

export function setTime(seconds) {
  state.time = seconds;
  emit("time");
}

export function duration() {
  const clip = state.scan?.clip.duration_s ?? state.scan?.progress.duration_s ?? 0;
  return state.items.reduce((end, each) => Math.max(end, each.last), clip);
}

export function classOf(id) {
  return state.taxonomy.get(id) ?? { name: id, colour: "#9aa0a6" };
}

export function isOpen() {
  return state.scan?.state === "queued" || state.scan?.state === "running";
}

export function goneNow() {
  if (state.gone) return;
  state.gone = true;
  emit("gone");
}
