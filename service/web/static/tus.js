// Resumable upload of one file by tus 1.0 (https://tus.io/protocols/resumable-upload).

import { forgetProof, proof, Problem } from "./api.js";
import { dropUpload, keepUpload } from "./kept_uploads.js";
import { t } from "./labels.js";

const PART_BYTES = 16 * 1024 * 1024;
const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 15_000;
const STALL_MS = 60_000;
const GIVE_UP_TRIES = 10;
// A refusal that lasts longer, such as that of a day's quota, ends the upload until somebody tries it again.
const LONGEST_REFUSAL_SECONDS = 300;
const VERSION = { "Tus-Resumable": "1.0.0" };
// Worth another try by itself: no answer, the upload is held by the request that was cut off, too fast, the server starts.
const PASSING = new Set([0, 409, 423, 429, 500, 502, 503, 504]);
// Of these the server's own words say why the upload waits.
const REFUSED = new Set([429, 503]);
const LOST = new Set([404, 410]);

function base64(text) {
  return btoa(String.fromCodePoint(...new TextEncoder().encode(text)));
}

// An upload of `file`. `options` are those of a scan; of one that an earlier page began, `kept`, the server has them
// already (`begunWith`). `changed` is called whenever state, sent or why has changed.
// States: waiting, sending, lost (goes on by itself), paused, failed, done.
export class Upload {
  constructor(file, options, changed, kept = null) {
    this.file = file;
    this.options = options;
    this.changed = changed;
    this.state = "waiting";
    this.sent = 0;
    this.why = "";
    this.scan = null;
    this.isGivenUp = false;
    this.creation = null;
    this.address = kept?.address ?? null;
    this.begunWith = kept?.options ?? null;
    this.turn = { isOver: true, request: null, wake: null };
  }

  get percent() {
    return this.file.size ? Math.floor((100 * this.sent) / this.file.size) : 0;
  }

  get isActive() {
    return this.state === "sending" || this.state === "lost";
  }

  // Resolves when the upload is done, paused or failed.
  async run() {
    const turn = { isOver: false, request: null, wake: null };
    this.turn = turn;
    this.#become("sending");
    let wait = FIRST_WAIT_MS;
    while (!turn.isOver) {
      const before = this.sent;
      try {
        await this.#go(turn);
      } catch (problem) {
        if (turn.isOver) return;
        if (problem.status === 403 && wait === FIRST_WAIT_MS) forgetProof();
        else if (!PASSING.has(problem.status) || problem.wait > LONGEST_REFUSAL_SECONDS) {
          this.#become("failed", problem.detail);
          return;
        }
        if (this.sent > before) wait = FIRST_WAIT_MS;
        this.#become("lost", REFUSED.has(problem.status) ? problem.detail : "");
        await sleep(turn, wait);
        wait = Math.min(wait * 2, LONGEST_WAIT_MS);
      }
    }
  }

  pause() {
    if (this.state === "done" || this.state === "failed") return;
    this.turn.isOver = true;
    this.#become("paused");
    this.turn.request?.abort();
    this.turn.wake?.();
  }

  // Try at once where the upload waits for the connection.
  hurry() {
    if (this.state === "lost") this.turn.wake?.();
  }

  // What the server has of it is removed as well.
  async giveUp() {
    this.isGivenUp = true;
    this.pause();
    if (this.address && this.state !== "done") await giveUp(this.address);
  }

  async #go(turn) {
    const isKnown = this.address !== null && (await this.#ask(turn));
    if (!isKnown) {
      this.creation ??= this.#create().finally(() => (this.creation = null));
      await this.creation;
    }
    while (!turn.isOver) await this.#sendPart(turn);
  }

  // Goes on where the turn is over: one that was broken off might exist, and nobody would know its address.
  async #create() {
    this.sent = 0;
    this.begunWith = null;
    const pairs = Object.entries({ filename: this.file.name, ...this.options }).map(([name, value]) => `${name} ${base64(String(value))}`);
    const answer = await this.#call({ isOver: false }, "POST", "/v1/uploads", {
      "Upload-Length": String(this.file.size),
      "Upload-Metadata": pairs.join(","),
    });
    // Only the path: behind a proxy the server may not know its own scheme.
    this.address = new URL(answer.getResponseHeader("Location"), location.href).pathname;
    if (this.isGivenUp) await giveUp(this.address);
    else keepUpload(this.file, this.address, this.options);
  }

  // Where the server is; false where it knows nothing of this upload any more.
  async #ask(turn) {
    try {
      this.#heard(turn, await this.#call(turn, "HEAD", this.address));
      return true;
    } catch (problem) {
      if (!LOST.has(problem.status)) throw problem;
      dropUpload(this.address);
      this.address = null;
      return false;
    }
  }

  async #sendPart(turn) {
    const from = this.sent;
    const headers = { "Upload-Offset": String(from), "Content-Type": "application/offset+octet-stream" };
    const part = this.file.slice(from, from + PART_BYTES);
    const progress = (count) => turn.isOver || this.#sentIs(from + count);
    try {
      this.#heard(turn, await this.#call(turn, "PATCH", this.address, headers, part, progress));
    } catch (problem) {
      // A file that went away or changed ends the request as a connection that breaks does.
      if (problem.status === 0 && !turn.isOver && !(await isReadable(this.file))) {
        throw new Problem("unreadable", t("library.file_unreadable"), null);
      }
      throw problem;
    }
  }

  #heard(turn, answer) {
    this.#sentIs(Number(answer.getResponseHeader("Upload-Offset")));
    const scan = answer.getResponseHeader("Ordnance-Scan");
    if (!scan) return;
    turn.isOver = true;
    this.scan = scan.split("/").pop();
    dropUpload(this.address);
    this.#become("done");
  }

  #sentIs(count) {
    this.sent = Math.min(count, this.file.size);
    if (this.state === "lost") this.state = "sending";
    this.changed(this);
  }

  #become(state, why = "") {
    this.state = state;
    this.why = why;
    this.changed(this);
  }

  async #call(turn, method, address, headers = {}, body = null, progress = null) {
    const all = { ...VERSION, ...headers, ...(method === "HEAD" ? {} : await proof()) };
    if (turn.isOver) throw new Problem("stopped", "", 0);
    turn.request = new XMLHttpRequest();
    return ask(turn.request, method, address, all, body, progress);
  }
}

function isReadable(file) {
  return file.slice(0, 1).arrayBuffer().then(() => true, () => false);
}

function sleep(turn, milliseconds) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, milliseconds);
    turn.wake = () => {
      clearTimeout(timer);
      resolve();
    };
  });
}

// Remove what the server has of an upload. A server that does not answer removes it when it expires.
export async function giveUp(address) {
  dropUpload(address);
  const headers = { ...VERSION, ...(await proof().catch(() => ({}))) };
  for (let left = GIVE_UP_TRIES; left > 0; left -= 1) {
    try {
      await ask(new XMLHttpRequest(), "DELETE", address, headers, null, null);
      return;
    } catch (problem) {
      // The request that was cut off may still hold it.
      if (problem.status !== 409) return;
      await new Promise((resolve) => setTimeout(resolve, FIRST_WAIT_MS));
    }
  }
}

// {sent, size} of an upload that an earlier page began; null where it is gone, undefined where nobody answers.
export async function lookUp(address) {
  try {
    const answer = await ask(new XMLHttpRequest(), "HEAD", address, VERSION, null, null);
    if (answer.getResponseHeader("Ordnance-Scan")) return null;
    return { sent: Number(answer.getResponseHeader("Upload-Offset")), size: Number(answer.getResponseHeader("Upload-Length")) };
  } catch (problem) {
    return LOST.has(problem.status) ? null : undefined;
  }
}

// XMLHttpRequest, because fetch does not tell how much of a body was sent.
function ask(request, method, address, headers, body, progress) {
  return new Promise((resolve, reject) => {
    let stall = 0;
    const alive = () => {
      clearTimeout(stall);
      stall = setTimeout(() => request.abort(), STALL_MS);
    };
    const end = (settle, value) => {
      clearTimeout(stall);
      settle(value);
    };
    request.open(method, address);
    for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
    request.upload.addEventListener("progress", (event) => {
      alive();
      progress?.(event.loaded);
    });
    const lost = () => end(reject, new Problem("unreachable", t("base.unreachable"), 0));
    request.addEventListener("error", lost);
    request.addEventListener("abort", lost);
    request.addEventListener("load", () => {
      if (request.status >= 200 && request.status < 300) end(resolve, request);
      else end(reject, problemOf(request));
    });
    alive();
    request.send(body);
  });
}

function problemOf(request) {
  let told = {};
  try {
    told = JSON.parse(request.responseText);
  } catch {
    // HEAD has no body, and a proxy's error page is no JSON.
  }
  const problem = new Problem(told.code ?? "error", told.detail ?? t("base.failed", { status: request.status }), request.status);
  problem.wait = Number(request.getResponseHeader("Retry-After") ?? 0);
  return problem;
}
