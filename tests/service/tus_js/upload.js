// Uploads a file with tus-js-client: node upload.js ENDPOINT FILE URLS SHARE
// URLS is the file in which the client remembers uploads; at SHARE of the bytes, if that is below 1, it is cut off.
import { createReadStream, statSync } from 'node:fs'
import process from 'node:process'
import { FileUrlStorage, Upload } from 'tus-js-client'

const [endpoint, path, urls, share] = process.argv.slice(2)
const size = statSync(path).size
let first = null

const upload = new Upload(createReadStream(path), {
  endpoint,
  uploadSize: size,
  urlStorage: new FileUrlStorage(urls),
  metadata: { filename: 'from javascript.mp4', plan: 'interval' },
  retryDelays: [500, 1000, 2000, 4000],
  onProgress(sent) {
    first ??= sent
    if (sent >= size * Number(share) && Number(share) < 1) {
      upload.abort().then(() => finish({ cut: sent }))
    }
  },
  onError(error) {
    console.error(String(error))
    process.exit(1)
  },
  onSuccess() {
    finish({ url: upload.url })
  },
})

function finish(result) {
  console.log(JSON.stringify({ ...result, resumed, first }))
  process.exit(0)
}

const earlier = await upload.findPreviousUploads()
const resumed = earlier.length > 0
if (resumed) upload.resumeFromPreviousUpload(earlier[0])
upload.start()
