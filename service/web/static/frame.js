// What every page has: signing out, and pictures without colour but for who wants them so.

import { prefs, send } from "./api.js";
import { forgetUploads } from "./kept_uploads.js";

const button = document.getElementById("sign-out");

button?.addEventListener("click", async () => {
  button.disabled = true;
  await send("DELETE", "/v1/session").catch(() => null);
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
