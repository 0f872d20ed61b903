// What this browser keeps for the pages. One that keeps nothing, as some do in private windows, gives null.

export function recall(name) {
  try {
    return localStorage.getItem(name);
  } catch {
    return null;
  }
}

export function keep(name, text) {
  try {
    if (text === null) localStorage.removeItem(name);
    else localStorage.setItem(name, text);
  } catch {
    // The page works all the same, until it is left.
  }
}
