// The strip: a lane for each class with a bar for each appearance, as high as it is sure; shots; what was not seen.

import { timecode } from "../api.js";
import { t } from "../labels.js";
import { classOf, duration, emit, isOpen, on, select, state } from "./state.js";
import { showing, ticks, zoomed } from "./timescale.js";

const LANE = 40;
const NAME = 15;
const SHOTS = 12;
const LOOKED = 16;
const AXIS = 18;
const NARROWEST = 2;
const NEAR_PX = 6;

let strip, canvas, head, lanes = [], colours, patterns, waiting = false;

export function startTimeline(root) {
  strip = root.querySelector("#strip");
  canvas = strip.querySelector("canvas");
  head = strip.querySelector("#playhead");
  readColours();
  strip.addEventListener("click", onClick);
  strip.addEventListener("pointermove", onHover);
  for (const [id, factor] of [["zoom-in", 0.5], ["zoom-out", 2]]) {
    root.querySelector(`#${id}`).addEventListener("click", () => zoom(factor));
  }
  root.querySelector("#zoom-all").addEventListener("click", () => setView(null));
  new ResizeObserver(schedule).observe(strip);
  for (const topic of ["shown", "scan", "selected", "verdicts"]) on(topic, schedule);
  on("time", moveHead);
  // On paper the colours are others.
  matchMedia("print").addEventListener("change", () => {
    readColours();
    draw();
  });
}

export function zoom(factor) {
  const end = duration();
  setView(zoomed(view(), factor, state.time, end));
}

function view() {
  return state.view ?? { from: 0, to: Math.max(duration(), 0.1) };
}

function setView(next) {
  state.view = next && next.to - next.from < duration() ? next : null;
  schedule();
}

function schedule() {
  if (waiting) return;
  waiting = true;
  requestAnimationFrame(() => {
    waiting = false;
    draw();
  });
}

function readColours() {
  const style = getComputedStyle(document.documentElement);
  const read = (name) => style.getPropertyValue(name).trim();
  colours = {
    text: read("--text"),
    muted: read("--muted"),
    line: read("--line"),
    danger: read("--danger"),
    seen: read("--seen"),
    shot: [read("--shot"), read("--next-shot")],
    unlooked: read("--unlooked"),
  };
  patterns = { unseen: hatch(read("--warn"), 1), lost: hatch(colours.danger, -1), ahead: hatch(read("--ahead"), 1) };
}

function hatch(colour, slope) {
  const tile = document.createElement("canvas");
  tile.width = tile.height = 8;
  const context = tile.getContext("2d");
  context.strokeStyle = colour;
  context.lineWidth = 1.5;
  for (const shift of [-8, 0, 8]) {
    context.moveTo(shift, slope > 0 ? 8 : 0);
    context.lineTo(shift + 8, slope > 0 ? 0 : 8);
  }
  context.stroke();
  return tile;
}

function draw() {
  const width = strip.clientWidth;
  if (!width) return;
  lanes = lanesOf(state.shown);
  const height = lanes.length * LANE + SHOTS + LOOKED + AXIS + 8;
  const ratio = window.devicePixelRatio || 1;
  if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
    canvas.style.height = `${height}px`;
  }
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  context.font = "12px system-ui, sans-serif";
  const shownView = view();
  const scale = width / (shownView.to - shownView.from);
  const x = (seconds) => (seconds - shownView.from) * scale;
  const span = (from, to) => {
    if (to < shownView.from || from > shownView.to) return null;
    const left = Math.max(-1, x(from));
    return [left, Math.max(NARROWEST, Math.min(width + 1, x(to)) - left)];
  };
  drawTicks(context, shownView, x, width, height);
  lanes.forEach((lane, at) => drawLane(context, lane, at * LANE, span, width));
  drawCoverage(context, lanes.length * LANE + 4, span);
  moveHead();
  describe();
}

function lanesOf(items) {
  const found = new Map();
  for (const item of items) {
    if (!found.has(item.cls)) found.set(item.cls, { cls: item.cls, items: [] });
    found.get(item.cls).items.push(item);
  }
  return [...found.values()];
}

function drawLane(context, lane, top, span, width) {
  const { name, colour } = classOf(lane.cls);
  context.fillStyle = colours.line;
  context.fillRect(0, top + LANE - 2, width, 1);
  for (const item of lane.items) {
    const place = span(item.first, item.last);
    if (!place) continue;
    const [left, wide] = place;
    const high = 3 + item.confidence * (LANE - NAME - 5);
    context.globalAlpha = item.weak ? 0.45 : item.overlay ? 0.3 : verdictOf(item) === "wrong" ? 0.4 : 0.95;
    context.fillStyle = colour;
    context.fillRect(left, top + LANE - 2 - high, wide, high);
    context.globalAlpha = 1;
    if (state.selected?.key === item.key) {
      context.strokeStyle = "#fff";
      context.lineWidth = 2;
      context.strokeRect(left - 1.5, top + LANE - 3.5 - high, wide + 3, high + 3);
    }
  }
  context.fillStyle = colour;
  context.fillRect(0, top + 4, 8, 8);
  context.fillStyle = colours.text;
  context.fillText(`${name}  ${lane.items.length}`, 13, top + 12);
}

function verdictOf(item) {
  return state.verdicts.get(item.number)?.mine?.verdict;
}

function drawTicks(context, shownView, x, width, height) {
  const { step, at } = ticks(shownView, Math.max(2, Math.floor(width / 110)));
  context.fillStyle = colours.line;
  for (const each of at) context.fillRect(x(each), 0, 1, height - AXIS + 4);
  context.fillStyle = colours.muted;
  for (const each of at) {
    const left = x(each);
    context.textAlign = left < 20 ? "left" : left > width - 30 ? "right" : "center";
    context.fillText(step < 1 ? timecode(each) : timecode(each).replace(/\.\d$/, ""), left, height - 4);
  }
  context.textAlign = "left";
}

function drawCoverage(context, top, span) {
  const coverage = state.scan?.coverage;
  const end = duration();
  const starts = coverage?.shot_starts_s ?? [];
  starts.forEach((start, number) => {
    const place = span(start, starts[number + 1] ?? end);
    filled(context, colours.shot[number % 2], place, top, SHOTS - 3);
    if (place) filled(context, colours.muted, [place[0], 1], top, SHOTS - 3);
  });
  const row = top + SHOTS;
  const reached = coverage ? end : (state.scan?.progress.position_s ?? 0);
  filled(context, colours.seen, span(0, reached), row, LOOKED - 6);
  if (!coverage && reached < end) hatched(context, patterns.ahead, span(reached, end), row, LOOKED - 6);
  for (const gap of coverage?.unseen ?? []) {
    const place = span(gap.from_s, gap.to_s);
    filled(context, colours.unlooked, place, row, LOOKED - 6);
    hatched(context, patterns.unseen, place, row, LOOKED - 6);
  }
  for (const gap of coverage?.undecoded ?? []) {
    const place = span(gap.from_s, gap.to_s);
    filled(context, colours.unlooked, place, row, LOOKED - 6);
    hatched(context, patterns.lost, place, row, LOOKED - 6);
    context.globalAlpha = 0.35;
    hatched(context, patterns.lost, place, 0, lanes.length * LANE);
    context.globalAlpha = 1;
  }
}

// `place` is null where nothing of it is in view.
function filled(context, style, place, top, high) {
  if (!place) return;
  context.fillStyle = style;
  context.fillRect(place[0], top, place[1], high);
}

function hatched(context, tile, place, top, high) {
  filled(context, context.createPattern(tile, "repeat"), place, top, high);
}

function moveHead() {
  const end = duration();
  if (state.view) {
    const moved = showing(state.view, state.time, end);
    if (moved !== state.view) setView(moved);
  }
  const shownView = view();
  const left = ((state.time - shownView.from) / (shownView.to - shownView.from)) * strip.clientWidth;
  head.style.transform = `translateX(${left.toFixed(1)}px)`;
  strip.setAttribute("aria-valuemax", end.toFixed(1));
  strip.setAttribute("aria-valuenow", Math.min(state.time, end).toFixed(3));
  strip.setAttribute("aria-valuetext", timecode(state.time));
}

function describe() {
  const words = lanes.map((lane) => `${classOf(lane.cls).name} ${lane.items.length}`).join(", ");
  canvas.setAttribute("aria-label", t("scan.timeline_says", { what: words || t("scan.nothing"), length: timecode(duration()) }));
}

function at(event) {
  const edge = canvas.getBoundingClientRect();
  const shownView = view();
  const scale = (shownView.to - shownView.from) / edge.width;
  return { seconds: shownView.from + (event.clientX - edge.left) * scale, y: event.clientY - edge.top, scale };
}

function hit(event) {
  const { seconds, y, scale } = at(event);
  const lane = lanes[Math.floor(y / LANE)];
  if (!lane || y < 0) return null;
  let best = null;
  let least = NEAR_PX * scale;
  for (const item of lane.items) {
    const away = Math.max(item.first - seconds, seconds - item.last, 0);
    if (away < least || (away === least && best && item.confidence > best.confidence)) {
      best = item;
      least = away;
    }
  }
  return best;
}

function onClick(event) {
  const item = hit(event);
  if (item) select(item);
  else emit("timeline", at(event).seconds);
}

function onHover(event) {
  const item = hit(event);
  strip.title = item
    ? t("scan.bar", {
        class: classOf(item.cls).name,
        from: timecode(item.first),
        to: timecode(item.last),
        confidence: item.confidence.toFixed(2),
      })
    : timecode(Math.max(0, at(event).seconds));
}

export function legendOf() {
  const coverage = state.scan?.coverage;
  return {
    shots: (coverage?.shot_starts_s ?? []).length > 0,
    unseen: (coverage?.unseen ?? []).length > 0,
    lost: (coverage?.undecoded ?? []).length > 0,
    ahead: isOpen(),
  };
}
