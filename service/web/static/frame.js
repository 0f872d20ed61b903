// What every page has: signing out, and pictures without colour but for who wants them so.

import { prefs, send } from "./api.js";
import { forgetUploads } from "./kept_uploads.js";
import { t } from "./labels.js";

const button = document.getElementById("sign-out");
const notSignedOut = document.getElementById("not-signed-out");

button?.addEventListener("click", async () => {
  button.disabled = true;
  notSignedOut.textContent = "";
  try {
    await send("DELETE", "/v1/session", undefined, { stays: true });
  } catch (problem) {
    // 401: the session is over already.
    if (problem.status !== 401) {
      notSignedOut.textContent = t("base.not_signed_out", { why: problem.detail ?? problem.message });
      button.disabled = false;
      return;
    }
  }
  forgetUploads();
  location.assign("/sign-in");
});

if (!["sign_in", "error"].includes(document.body.dataset.page)) {
  prefs().then(
    ({ grey, thumbnail_px: pixels }) => {
      document.body.classList.toggle("grey", grey);
      document.documentElement.style.setProperty("--thumbnail", `${pixels}px`);
    },
    () => null,
  );
}
