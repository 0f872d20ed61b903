// The clip in the browser's own player: asked for when somebody plays it, muted and blurred, weapons alone sharp.

import { fetched, Problem } from "../api.js";
import { t } from "../labels.js";
import { isSameWayRound } from "./orientation.js";
import { api, state } from "./state.js";

const SLACK_SECONDS = 2e-3;
const SEEK_TIMEOUT_MS = 8000;
const UNPLAYABLE_CONTAINERS = ["avi", "mpegts", "mpeg", "flv", "asf", "wmv", "mxf", "image2", "gif", "apng", "h264", "hevc"];
const UNPLAYABLE_CODECS = [
  "mpeg4", "msmpeg4v1", "msmpeg4v2", "msmpeg4v3", "mpeg1video", "mpeg2video", "h263", "flv1", "wmv1", "wmv2", "wmv3",
  "vc1", "prores", "dnxhd", "mjpeg", "rawvideo", "ffv1", "dvvideo", "cinepak", "svq1", "svq3", "rv30", "rv40",
];
const ASKED = { hevc: 'video/mp4; codecs="hvc1.1.6.L93.B0"', av1: 'video/mp4; codecs="av01.0.04M.08"' };

let video, onFrame, onFail, onLost, loop = null, failed = false, compared = false;
let asked = 0, stumbling = null;

// `fail` is called where the browser cannot play the clip, `lost` with the Problem where it cannot be had just now.
export function startPlayer(element, { frame, fail, lost }) {
  video = element;
  onFrame = frame;
  onFail = fail;
  onLost = lost;
  video.preload = "none";
  video.muted = true;
  video.addEventListener("error", () => video.hasAttribute("src") && stumble());
  video.addEventListener("loadedmetadata", checkPicture);
  video.addEventListener("ended", () => loop && play(loop.from + 1e-3, loop));
}

// Whether it is known before a byte of the clip was sent that the browser cannot play it.
export function cannotPlay(clip) {
  const names = (clip.container ?? "").split(",");
  if (names.some((name) => UNPLAYABLE_CONTAINERS.includes(name))) return true;
  if (UNPLAYABLE_CODECS.includes(clip.codec ?? "")) return true;
  const asked = ASKED[clip.codec];
  return asked !== undefined && document.createElement("video").canPlayType(asked) === "";
}

export function isLoaded() {
  return video.hasAttribute("src") && !failed;
}

export function isPlaying() {
  return isLoaded() && !video.paused;
}

export function load() {
  if (video.hasAttribute("src")) return;
  video.src = `${api}/clip`;
  video.muted = !state.prefs.sound;
  asked = video.requestVideoFrameCallback(each);
}

export function unload() {
  video.pause();
  if (!video.hasAttribute("src")) return;
  video.cancelVideoFrameCallback(asked);
  video.removeAttribute("src");
  video.load();
}

export async function play(from, window = null) {
  load();
  loop = window;
  if (Math.abs(video.currentTime - from) > 0.05) video.currentTime = from;
  try {
    await video.play();
  } catch (error) {
    if (error.name !== "AbortError") await stumble();
  }
}

export function pause() {
  loop = null;
  video.pause();
}

export function size() {
  return { width: video.videoWidth, height: video.videoHeight };
}

// Shows the frame of time `pts`, whose successor comes at `next`; resolves to whether the player shows that very frame.
// The first frame after a seek began can still be one of the playing before it.
export async function showFrame(pts, next) {
  load();
  loop = null;
  video.pause();
  const middle = next === null ? pts + 1e-3 : (pts + next) / 2;
  return new Promise((resolve) => {
    const timeout = setTimeout(() => resolve(false), SEEK_TIMEOUT_MS);
    const done = (isExact) => {
      clearTimeout(timeout);
      resolve(isExact);
    };
    const look = (_, { mediaTime }) => {
      if (Math.abs(mediaTime - pts) < SLACK_SECONDS) done(true);
      else if (video.seeking) video.requestVideoFrameCallback(look);
      else done(false);
    };
    video.requestVideoFrameCallback(look);
    video.currentTime = middle;
  });
}

function each(_, { mediaTime }) {
  if (failed || !video.hasAttribute("src")) return;
  compare(mediaTime);
  onFrame(mediaTime, !video.paused);
  if (loop && mediaTime >= loop.to - 1e-3 && !video.paused) video.currentTime = loop.from + 1e-3;
  asked = video.requestVideoFrameCallback(each);
}

// A clip whose picture the browser leaves out or turns otherwise than we do is not shown in its player.
function checkPicture() {
  const { width, height } = size();
  const clip = state.scan.clip;
  if (!width || !height) giveUp();
  else if (clip.width && clip.height) {
    const ratio = (width / height) / (clip.width / clip.height);
    if (ratio < 0.97 || ratio > 1.03) giveUp();
  }
}

function compare(mediaTime) {
  if (compared) return;
  compared = true;
  isSameWayRound(video, mediaTime).then((isSame) => isSame || giveUp(), () => null);
}

function stumble() {
  stumbling ??= whyStumbled().then((problem) => {
    stumbling = null;
    if (problem === null) giveUp();
    else {
      unload();
      onLost(problem);
    }
  });
  return stumbling;
}

// A browser calls a clip that it got nothing of one of a kind that it cannot play. Resolves to null where it has it.
async function whyStumbled() {
  const { code } = video.error ?? {};
  if (code === MediaError.MEDIA_ERR_NETWORK) return new Problem("unreachable", t("base.unreachable"), 0);
  if (code !== MediaError.MEDIA_ERR_SRC_NOT_SUPPORTED) return null;
  return fetched(`${api}/clip`, { method: "HEAD" }).then(() => null, (problem) => problem);
}

function giveUp() {
  if (failed) return;
  failed = true;
  unload();
  onFail();
}
