// The picture in the middle: the weapon alone, made on the server; the clip while it plays; a frame that was revealed.

import { timecode } from "../api.js";
import { t } from "../labels.js";
import { boxesAt, drawBoxes, drawCuts } from "./boxes.js";
import { clock } from "./clock.js";
import { tell } from "./notices.js";
import * as player from "./player.js";
import { api, classOf, duration, on, setTime, state } from "./state.js";
import { checkGone, forgetStills, still } from "./stills.js";
import { nextTime, timeOnShow } from "./times.js";

const LEAST_LOOP_SECONDS = 1;
const STILL_PAUSE_MS = 60;
const LATE_MS = 150;

let parts;
let stillsOnly = false;
let revealed = null;
let showing = 0;
let reveals = 0;
let slides = null;
let late = 0;
let moving = Promise.resolve();

export function startStage(root) {
  const find = (id) => root.querySelector(`#${id}`);
  parts = {
    stage: find("stage"), picture: find("picture"), video: find("video"), cuts: find("cuts"), boxes: find("boxes"),
    caption: find("caption"), clock: find("clock"), fallback: find("fallback"), playing: find("play"), looping: find("loop"),
  };
  player.startPlayer(parts.video, { frame: onVideoFrame, fail: onVideoFails, lost: onVideoLost });
  parts.picture.addEventListener("load", () => {
    arrived();
    redrawBoxes();
  });
  // A frame may be told of while the browser still seeks, when its pixels cannot be had.
  for (const kind of ["loadeddata", "seeked"]) parts.video.addEventListener(kind, () => redrawBoxes());
  parts.picture.addEventListener("error", () => parts.picture.hasAttribute("src") && onPictureFails());
  new ResizeObserver(() => redrawBoxes()).observe(parts.stage);
  on("selected", ({ seek }) => seek && onSelected());
  on("shown", () => redrawBoxes());
  on("scan", onScan);
  on("gone", clear);
  document.addEventListener("visibilitychange", () => document.hidden && hide());
}

// Blur and sound as the person wants them; every page sees to the colours.
export function applyPrefs() {
  const { blur, sound } = state.prefs;
  parts.stage.style.setProperty("--blur", `${blur}px`);
  parts.video.muted = !sound;
}

function onScan() {
  const { clip } = state.scan;
  if (clip.width && clip.height) {
    parts.stage.style.aspectRatio = `${clip.width} / ${clip.height}`;
    parts.stage.style.setProperty("--ratio", clip.width / clip.height);
  }
  if (!stillsOnly && player.cannotPlay(clip)) fallBack();
}

function fallBack() {
  stillsOnly = true;
  const { codec, container } = state.scan.clip;
  parts.fallback.textContent = t("scan.fallback", { codec: codec ?? "?", container: container ?? "?" });
  parts.fallback.hidden = false;
}

function onVideoFails() {
  fallBack();
  showStill(state.time);
}

// Playing is tried anew when somebody wants it.
function onVideoLost(problem) {
  stop();
  tell("player", problem.detail, "danger");
  showStill(state.time);
}

function onSelected() {
  stop();
  hide();
  const { selected } = state;
  expectPicture();
  if (player.isLoaded()) showInPlayer(selected.best);
  else if (selected.pictured) showPicture(`${api}/frames/${selected.number}/review`, "review", selected.best);
  else showStill(selected.best);
}

// A browser shows the picture before until the next one has come; where that takes long, it would pass for what is chosen.
function expectPicture() {
  clearTimeout(late);
  late = setTimeout(() => parts.stage.classList.add("late"), LATE_MS);
}

function arrived() {
  clearTimeout(late);
  parts.stage.classList.remove("late");
}

// `mode` says where the picture is from: review, still or revealed.
function showPicture(url, mode, seconds) {
  showing += 1;
  parts.stage.dataset.mode = mode;
  parts.stage.dataset.pts = seconds;
  parts.picture.hidden = false;
  parts.video.hidden = true;
  parts.cuts.hidden = true;
  expectPicture();
  parts.picture.src = url;
  parts.picture.alt = altOf(mode);
  redrawBoxes();
  say();
}

function altOf(mode) {
  const name = state.selected ? classOf(state.selected.cls).name : t("scan.frame");
  return t(`scan.alt.${mode}`, { class: name, time: timecode(state.time) });
}

// Pixels that the stage has room for, in steps so that a window drawn wider does not ask for everything anew.
function side() {
  const pixels = Math.max(parts.stage.clientWidth, parts.stage.clientHeight) * (window.devicePixelRatio || 1);
  return Math.min(1920, Math.max(320, Math.ceil(pixels / 320) * 320));
}

async function showStill(seconds) {
  const mine = (showing += 1);
  const wait = setTimeout(() => parts.stage.classList.add("waiting"), STILL_PAUSE_MS);
  try {
    const found = await still(seconds, { threshold: state.threshold, side: side() });
    if (found === null || mine !== showing) return false;
    setTime(found.pts);
    showPicture(found.url, "still", found.pts);
    return true;
  } catch (error) {
    if (mine === showing) fail(error.message);
    return false;
  } finally {
    clearTimeout(wait);
    parts.stage.classList.remove("waiting");
  }
}

function noPicture() {
  arrived();
  parts.picture.removeAttribute("src");
  parts.picture.hidden = true;
  parts.stage.dataset.mode = "none";
}

function fail(message) {
  noPicture();
  parts.caption.textContent = t("scan.no_picture", { why: message });
}

function onPictureFails() {
  if (parts.stage.dataset.mode === "review") showStill(state.time);
  checkGone();
}

async function showInPlayer(seconds) {
  const mine = (showing += 1);
  const end = duration();
  const pts = await timeOnShow(seconds, end).catch(() => seconds);
  const next = await nextTime(pts, 1, end).catch(() => null);
  if (mine !== showing || !player.isLoaded()) return;
  setTime(pts);
  showVideo();
  const exact = await player.showFrame(pts, next);
  if (mine !== showing) return;
  if (exact) arrived();
  else if (!stillsOnly) await showStill(pts);
}

function showVideo() {
  parts.stage.dataset.mode = "video";
  parts.picture.hidden = true;
  parts.picture.removeAttribute("src");
  parts.video.hidden = false;
  parts.cuts.hidden = false;
  say();
}

function onVideoFrame(mediaTime, isPlaying) {
  if (parts.stage.dataset.mode !== "video") return;
  parts.stage.dataset.pts = mediaTime;
  if (isPlaying) setTime(mediaTime);
  redrawBoxes();
  say();
}

function redrawBoxes() {
  const { mode } = parts.stage.dataset;
  const clip = state.scan?.clip;
  if (!clip?.width) return;
  // The picture of a best frame has its box drawn already.
  const boxes = ["still", "video", "revealed"].includes(mode) ? boxesAt(state.time, redrawBoxes) : [];
  drawBoxes(parts.boxes, clip, boxes);
  if (mode === "video" && parts.video.readyState >= 2) drawCuts(parts.cuts, clip, parts.video, player.size(), boxes);
}

function say() {
  parts.clock.textContent = clock(state.time);
  parts.clock.dateTime = `PT${Math.max(0, state.time).toFixed(3)}S`;
  const { mode } = parts.stage.dataset;
  if (mode && mode !== "none") parts.caption.textContent = t(`scan.mode.${mode}`);
  const playing = player.isPlaying() || slides !== null;
  parts.playing.setAttribute("aria-pressed", playing);
  parts.looping.setAttribute("aria-pressed", parts.stage.dataset.loop !== undefined);
}

// The frame at a time, wherever it comes from; any move hides what was revealed.
export function goTo(seconds) {
  stop();
  hide();
  setTime(Math.min(Math.max(0, seconds), duration()));
  return player.isLoaded() ? showInPlayer(state.time) : showStill(state.time);
}

// One frame on (1) or back (-1) by the clip's own presentation times; steps asked for quickly follow one another.
export function step(direction) {
  stop();
  hide();
  moving = moving.then(async () => {
    const pts = await nextTime(state.time, direction, duration()).catch((error) => (fail(error.message), null));
    if (pts === null) return;
    setTime(pts);
    await (player.isLoaded() ? showInPlayer(pts) : showStill(pts));
  });
  return moving;
}

export function togglePlay() {
  if (player.isPlaying() || slides) stop();
  else start(state.time >= duration() - 0.05 ? 0 : state.time, null);
}

export function toggleLoop() {
  const { selected } = state;
  if (!selected) return;
  if (parts.stage.dataset.loop) {
    stop();
    return;
  }
  const spare = Math.max(0, LEAST_LOOP_SECONDS - (selected.last - selected.first)) / 2;
  const window = { from: Math.max(0, selected.first - spare), to: Math.min(duration(), selected.last + spare) };
  parts.stage.dataset.loop = selected.key;
  start(window.from, window);
}

function start(from, window) {
  hide();
  if (!window) delete parts.stage.dataset.loop;
  if (stillsOnly) {
    slide(from, window);
    return;
  }
  showing += 1;
  arrived();
  player.load();
  showVideo();
  player.play(from, window).then(() => {
    if (stillsOnly) slide(from, window);
    else say();
  });
  say();
}

// Where the browser cannot play the clip: still after still, as fast as they come, never ahead of the clock.
async function slide(from, window) {
  const mine = (slides = {});
  const end = window?.to ?? duration();
  let began = performance.now();
  let origin = from;
  let at = from;
  while (slides === mine) {
    if (!(await showStill(at))) break;
    if (slides !== mine) return;
    const due = origin + (performance.now() - began) / 1000;
    const next = await nextTime(Math.max(state.time, due - 1e-3), 1, duration()).catch(() => null);
    if (slides !== mine) return;
    if (next === null || next > end + 1e-3) {
      if (!window) break;
      at = origin = window.from;
      began = performance.now();
      await pause(40);
      continue;
    }
    await pause(Math.max(0, (next - origin) * 1000 - (performance.now() - began)));
    at = next;
  }
  if (slides === mine) stop();
}

function pause(milliseconds) {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

export function stop() {
  slides = null;
  delete parts.stage.dataset.loop;
  if (player.isLoaded()) player.pause();
  say();
}

export function isRevealed() {
  return revealed !== null;
}

// The whole frame, sharp, until anything moves.
export async function reveal() {
  stop();
  const mine = (reveals += 1);
  const before = showing;
  const seconds = state.time;
  parts.stage.classList.add("waiting");
  try {
    const found = await still(seconds, { reveal: true, side: side() });
    if (found === null) return;
    if (mine !== reveals || before !== showing) {
      URL.revokeObjectURL(found.url);
      return;
    }
    revealed = { url: found.url, mode: parts.stage.dataset.mode, shown: parts.picture.src };
    state.time = found.pts;
    showPicture(found.url, "revealed", found.pts);
  } catch (error) {
    if (mine === reveals) parts.caption.textContent = t("scan.no_picture", { why: error.message });
  } finally {
    parts.stage.classList.remove("waiting");
  }
}

// Puts back what was shown before; the sharp picture is let go of.
export function hide() {
  reveals += 1;
  if (!revealed) return;
  const { url, mode, shown } = revealed;
  revealed = null;
  URL.revokeObjectURL(url);
  if (mode === "video") showVideo();
  else if (shown) showPicture(shown, mode, state.time);
  else noPicture();
  redrawBoxes();
}

function clear() {
  stop();
  showing += 1;
  revealed = null;
  player.unload();
  forgetStills();
  noPicture();
}
