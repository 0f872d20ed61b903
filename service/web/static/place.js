// Where somebody was in a long list when they opened something of it: kept in the history of the browser, for when they
// come back. Another choice of filters forgets it.

export function keepPlace(list) {
  list.addEventListener("click", ({ target }) => {
    if (!target.closest("a")) return;
    history.replaceState({ count: list.children.length, at: [...list.children].indexOf(target.closest("li")) }, "");
  });
}

// How much of the list was shown; 0 where nobody comes back.
export function shownBefore() {
  return history.state?.count ?? 0;
}

export function focusOpened(list) {
  list.children[history.state?.at]?.querySelector("a").focus();
}
