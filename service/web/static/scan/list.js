// The appearances as a list of which only the rows in view exist.

import { timecode } from "../api.js";
import { t } from "../labels.js";
import { proposalOf } from "./proposals.js";
import { api, classOf, on, select, state } from "./state.js";

const SPARE_ROWS = 4;
const PICTURE_PAUSE_MS = 90;

let box, spacer, rows = [], rowHeight = 96, thumbWidth = 200, pictureTimer = 0, waiting = false;

export function startList(root) {
  box = root.querySelector("#list");
  spacer = box.querySelector("#list-rows");
  box.addEventListener("scroll", schedule, { passive: true });
  box.addEventListener("click", (event) => {
    const row = event.target.closest("[role=option]");
    if (row) select(itemOf(row));
  });
  box.addEventListener("keydown", (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    move(step);
  });
  new ResizeObserver(measure).observe(box);
  on("shown", refill);
  on("verdicts", refill);
  on("selected", () => {
    reveal();
    refill();
  });
}

// Thumbnails are as wide as the person asked for, as far as the list has room for them.
export function measure() {
  const clip = state.scan?.clip;
  const aspect = clip?.width && clip?.height ? clip.width / clip.height : 16 / 9;
  const widest = Math.max(64, box.clientWidth * 0.42);
  const wide = Math.round(Math.min(state.prefs?.thumbnail_px ?? 200, widest));
  const high = Math.round(Math.min(wide / aspect, wide));
  thumbWidth = wide;
  rowHeight = Math.max(68, high + 12);
  box.style.setProperty("--row", `${rowHeight}px`);
  box.style.setProperty("--thumb", `${thumbWidth}px`);
  refill();
}

function itemOf(row) {
  return state.shown[Number(row.dataset.at)];
}

function refill() {
  spacer.style.height = `${state.shown.length * rowHeight}px`;
  for (const row of rows) row.dataset.key = "";
  fill();
}

function schedule() {
  if (waiting) return;
  waiting = true;
  requestAnimationFrame(() => {
    waiting = false;
    fill();
  });
}

function fill() {
  const first = Math.max(0, Math.floor(box.scrollTop / rowHeight) - SPARE_ROWS);
  const count = Math.ceil(box.clientHeight / rowHeight) + 2 * SPARE_ROWS;
  while (rows.length < count) rows.push(newRow());
  while (rows.length > count) rows.pop().remove();
  let active = "";
  for (let at = first; at < first + count; at += 1) {
    const row = rows[at % count];
    const item = state.shown[at];
    if (item) {
      write(row, item, at);
      if (item.key === state.selected?.key) active = row.id;
    } else {
      row.hidden = true;
      row.dataset.key = "";
      row.removeAttribute("id");
      row.setAttribute("aria-selected", "false");
    }
  }
  if (active) box.setAttribute("aria-activedescendant", active);
  else box.removeAttribute("aria-activedescendant");
  clearTimeout(pictureTimer);
  pictureTimer = setTimeout(loadPictures, PICTURE_PAUSE_MS);
}

function newRow() {
  const row = document.getElementById("row").content.firstElementChild.cloneNode(true);
  row.parts = Object.fromEntries([...row.querySelectorAll("[data-part]")].map((part) => [part.dataset.part, part]));
  row.parts.picture.addEventListener("load", () => row.parts.picture.classList.remove("empty"));
  row.parts.picture.addEventListener("error", () => row.parts.picture.removeAttribute("src"));
  spacer.append(row);
  return row;
}

function write(row, item, at) {
  if (row.dataset.key === item.key && row.dataset.at === String(at)) return;
  const { name, colour } = classOf(item.cls);
  const { picture, swatch, name: label, when, meter, confidence, badge } = row.parts;
  row.hidden = false;
  row.id = `row-${item.key}`;
  row.dataset.key = item.key;
  row.dataset.at = at;
  row.style.transform = `translateY(${at * rowHeight}px)`;
  row.setAttribute("aria-setsize", state.shown.length);
  row.setAttribute("aria-posinset", at + 1);
  row.setAttribute("aria-selected", item.key === state.selected?.key);
  swatch.style.background = colour;
  label.textContent = item.weak ? t("scan.weak_name", { class: name }) : name;
  when.textContent = `${timecode(item.first)} → ${timecode(item.last)}`;
  meter.style.width = `${(item.confidence * 100).toFixed(0)}%`;
  meter.style.background = colour;
  confidence.textContent = item.confidence.toFixed(2);
  writeBadge(badge, item);
  const source = item.pictured ? `${api}/frames/${item.number}/review` : "";
  if (picture.dataset.source !== source) {
    picture.dataset.source = source;
    picture.removeAttribute("src");
    picture.classList.add("empty");
  }
}

function writeBadge(badge, item) {
  const found = item.number === null ? undefined : state.verdicts.get(item.number);
  const mine = found?.mine;
  const what = found?.state === "disagreed" ? "disagreed" : (mine?.verdict ?? (found ? "others" : ""));
  const earlier = what ? null : proposalOf(item);
  badge.className = `badge ${what || (earlier ? "earlier" : "")}`;
  if (what) badge.textContent = t(`scan.badge.${what}`, { class: classOf(mine?.class ?? "").name });
  else if (earlier) badge.textContent = t("scan.badge.earlier");
  else badge.textContent = item.overlay ? t("scan.overlay") : "";
}

// Only when scrolling has come to rest, so that rows flown past ask for nothing.
function loadPictures() {
  if (state.gone) return;
  for (const row of rows) {
    const { picture } = row.parts;
    if (!row.hidden && picture.dataset.source && !picture.hasAttribute("src")) picture.src = picture.dataset.source;
  }
}

function reveal() {
  const at = state.shown.findIndex((each) => each.key === state.selected?.key);
  if (at < 0) return;
  const top = at * rowHeight;
  if (top < box.scrollTop) box.scrollTop = top;
  else if (top + rowHeight > box.scrollTop + box.clientHeight) box.scrollTop = top + rowHeight - box.clientHeight;
}

// `step` rows further in the list, from the selected one, also where that is no longer in it, or from the time where none
// is selected.
export function move(step) {
  const { shown } = state;
  if (!shown.length) return;
  const now = shown.findIndex((each) => each.key === state.selected?.key);
  let next = now + step;
  if (now < 0) {
    const after = shown.findIndex(state.selected ? isAfterSelected : (each) => each.last >= state.time);
    next = (after < 0 ? shown.length : after) + (state.selected ? Math.min(0, step) : 0);
  }
  select(shown[Math.min(Math.max(0, next), shown.length - 1)]);
}

function isAfterSelected(item) {
  const { first, number } = state.selected;
  return item.first > first || (item.first === first && item.number > number);
}

export function moveToEnd(end) {
  select(end < 0 ? state.shown[0] : state.shown.at(-1));
}
