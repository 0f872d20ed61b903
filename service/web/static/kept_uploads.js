// Uploads under way, kept by the browser so that they go on after a reload or a crash. Names and addresses only.

import { keep, recall } from "./kept.js";

const PLACE = "ordnance.uploads";
const MOST = 1000;

function read() {
  try {
    const list = JSON.parse(recall(PLACE) ?? "[]");
    return Array.isArray(list) ? list : [];
  } catch {
    return [];
  }
}

function write(list) {
  keep(PLACE, list.length ? JSON.stringify(list.slice(-MOST)) : null);
}

// {name, size, modified, address, options} of every upload that has not ended.
export function keptUploads() {
  return read();
}

export function keptFor(file) {
  return read().find((each) => each.name === file.name && each.size === file.size && each.modified === file.lastModified);
}

export function keepUpload(file, address, options) {
  write([...read().filter((each) => each.address !== address), { name: file.name, size: file.size, modified: file.lastModified, address, options }]);
}

export function dropUpload(address) {
  write(read().filter((each) => each.address !== address));
}

export function forgetUploads() {
  write([]);
}
