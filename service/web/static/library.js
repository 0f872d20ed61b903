// The library: every scan with what was found, live while it runs; uploads; what is done with several at once.

import { allEvents, get, Problem, taxonomy } from "./api.js";
import { startBatch } from "./batch.js";
import { fillClasses, startFilters } from "./filters.js";
import { t } from "./labels.js";
import { focusOpened, keepPlace, shownBefore } from "./place.js";
import { isOpen, makeRow, showRow } from "./scan_rows.js";
import { startUploads } from "./uploads.js";

// Whatever the stream of events tells; this much later at the latest, should something on the way hold it back.
const LOOK_MS = 30_000;
const NEWS_MS = 300;
const LEAST_MS = 1500;
const PAGE = 50;

const find = (id) => document.getElementById(id);
const list = find("scans"), more = find("more"), empty = find("empty"), problemLine = find("problem"), voice = find("voice");
const selectAll = find("select-all");
const scans = new Map();
const rows = new Map();
let classes = new Map();
let query, showBatch;
let following = null, timer = 0, news = 0, lastRead = 0;
let line = Promise.resolve(), next = null, narrowings = 0;
let endStream = null;

function address(filters, cursor, limit = PAGE) {
  const asked = new URLSearchParams(filters);
  asked.set("limit", limit);
  if (cursor) asked.set("cursor", cursor);
  return `/v1/scans?${asked}`;
}

// One read after the other, so that news that comes faster than the list can be read does not keep it from being shown.
function inLine(read) {
  line = line.then(read, read);
  return line;
}

// Everything anew, by a read that has not begun yet.
function readAll() {
  next ??= inLine(() => {
    next = null;
    return readWhole();
  });
  return next;
}

// As many as are shown: the order of the answer is that of the list.
async function readWhole() {
  clearTimeout(news);
  news = 0;
  lastRead = performance.now();
  const [filters, mine] = [query(), narrowings];
  try {
    const wanted = Math.max(PAGE, rows.size, shownBefore());
    const items = [];
    let cursor = null;
    do {
      const page = await get(address(filters, cursor, Math.min(200, wanted - items.length)));
      items.push(...page.items);
      cursor = page.next;
    } while (cursor && items.length < wanted && mine === narrowings);
    if (mine !== narrowings) return;
    following = cursor;
    show(items, true);
    tell("");
  } catch (problem) {
    if (mine === narrowings) tell(problem instanceof Problem && problem.status === 0 ? t("library.live_lost") : (problem.detail ?? String(problem)));
  }
}

async function readMore() {
  const mine = narrowings;
  const page = following && (await get(address(query(), following)).catch((problem) => tell(problem.detail)));
  if (!page || mine !== narrowings) return;
  following = page.next;
  show(page.items, false);
}

function show(items, isWhole) {
  if (isWhole) {
    const kept = new Set(items.map((each) => each.id));
    for (const id of [...rows.keys()]) if (!kept.has(id)) remove(id);
  }
  items.forEach((scan, place) => {
    put(scan);
    const { item } = rows.get(scan.id);
    if (isWhole && list.children[place] !== item) list.insertBefore(item, list.children[place] ?? null);
  });
  settle();
}

function put(scan) {
  const before = scans.get(scan.id);
  scans.set(scan.id, scan);
  let row = rows.get(scan.id);
  if (!row) {
    row = makeRow(scan);
    row.box.addEventListener("change", settleSelection);
    rows.set(scan.id, row);
    list.append(row.item);
  }
  showRow(row, scan, classes);
  if (before && isOpen(before) && !isOpen(scan)) {
    voice.textContent = t("library.ended", { name: scan.clip.name, state: t(`state.${scan.state}`) });
  }
}

function remove(id) {
  rows.get(id)?.item.remove();
  rows.delete(id);
  scans.delete(id);
}

function settle() {
  more.hidden = following === null;
  empty.hidden = rows.size > 0;
  empty.textContent = String(query()) ? t("library.none_match") : t("library.none");
  settleSelection();
  clearTimeout(timer);
  if (!document.hidden && [...scans.values()].some(isOpen)) timer = setTimeout(readAll, LOOK_MS);
  document.body.dataset.ready = "yes";
}

function chosen() {
  return [...rows].filter(([, { box }]) => box.checked).map(([id]) => scans.get(id));
}

function settleSelection() {
  const count = chosen().length;
  selectAll.checked = count > 0 && count === rows.size;
  selectAll.indeterminate = count > 0 && count < rows.size;
  showBatch();
}

// One stream for all scans, while the page is seen: it holds one of the six connections that a browser opens to a server.
function follow() {
  if (document.hidden) {
    endStream?.();
    endStream = null;
    clearTimeout(timer);
  } else endStream ??= allEvents(onEvent);
}

function onEvent({ kind, data }) {
  const scan = scans.get(data.scan);
  if (kind === "progress" && scan) {
    const { position_s: at, starts_s: start, duration_s: length, samples, finds } = data;
    const progress = { ...scan.progress };
    if (at !== undefined) progress.position_s = at;
    if (start !== undefined) progress.starts_s = start;
    if (length !== undefined) progress.duration_s = length;
    if (samples !== undefined) progress.samples = samples;
    if (finds !== undefined) progress.appearances = finds;
    put({ ...scan, state: isOpen(scan) ? "running" : scan.state, progress });
  } else if (kind === "gone") {
    remove(data.scan);
    settle();
  } else if (kind !== "progress") soon();
}

function soon() {
  news ||= setTimeout(readAll, Math.max(NEWS_MS, lastRead + LEAST_MS - performance.now()));
}

function tell(words) {
  if (problemLine.textContent !== words) problemLine.textContent = words;
}

function uploadOptions() {
  const options = { plan: find("plan").value };
  if (!find("every").disabled && find("every").value) options.every_s = find("every").value;
  return options;
}

// Not every plan has a cadence.
function showCadence() {
  const { cadence } = find("plan").selectedOptions[0].dataset;
  find("every").disabled = cadence === undefined;
  find("every").placeholder = cadence ?? "";
}

async function begin() {
  showBatch = startBatch(document, {
    chosen,
    done: (name, words, isProblem) => {
      for (const { box } of rows.values()) box.checked = false;
      if (isProblem) tell(words);
      voice.textContent = words;
      readAll().then(() => isProblem && tell(words));
    },
  });
  selectAll.addEventListener("change", () => {
    for (const { box } of rows.values()) box.checked = selectAll.checked;
    settleSelection();
  });
  more.addEventListener("click", () => inLine(readMore));
  find("plan").addEventListener("change", showCadence);
  showCadence();
  startUploads(document, { options: uploadOptions, done: soon });
  try {
    classes = await taxonomy();
    await fillClasses(find("f-class"));
  } catch (problem) {
    tell(problem.detail);
  }
  query = startFilters(find("filters"), () => {
    narrowings += 1;
    readAll();
  });
  document.addEventListener("visibilitychange", follow);
  keepPlace(list);
  await readAll();
  focusOpened(list);
  follow();
}

begin();
