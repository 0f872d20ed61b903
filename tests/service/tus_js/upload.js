// Uploads a file with tus-js-client: node upload.js ENDPOINT FILE URLS SHARE
// URLS is the file in which the client remembers uploads. Below 1, SHARE of the bytes are sent, then nothing more comes,
// as from a connection that hangs, and the upload is cut off in the middle of its request.
import { createReadStream, statSync } from 'node:fs'
import process from 'node:process'
import { Readable } from 'node:stream'
import { setTimeout } from 'node:timers/promises'
import { FileUrlStorage, Upload } from 'tus-js-client'

const [endpoint, path, urls, share] = process.argv.slice(2)
const size = statSync(path).size
const end = Math.floor(size * Number(share))
const HANGS_MS = 300
let first = null

const upload = new Upload(createReadStream(path), {
  endpoint,
  uploadSize: size,
  urlStorage: new FileUrlStorage(urls),
  metadata: { filename: 'from javascript.mp4', plan: 'interval' },
  retryDelays: [500, 1000, 2000, 4000],
  ...(end < size ? { fileReader: { openFile: async () => ({ size, slice, close() {} }) } } : {}),
  onProgress(sent) {
    first ??= sent
  },
  onError(error) {
    console.error(String(error))
    process.exit(1)
  },
  onSuccess() {
    finish({ url: upload.url })
  },
})

async function slice(start) {
  return { value: Object.assign(Readable.from(hanging(start)), { size: size - start }), done: false }
}

async function* hanging(start) {
  yield* createReadStream(path, { start, end: end - 1 })
  await setTimeout(HANGS_MS)
  await upload.abort()
  finish({ cut: end })
}

function finish(result) {
  console.log(JSON.stringify({ ...result, resumed, first }))
  process.exit(0)
}

const earlier = await upload.findPreviousUploads()
const resumed = earlier.length > 0
if (resumed) upload.resumeFromPreviousUpload(earlier[0])
upload.start()
