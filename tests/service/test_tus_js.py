"""The JavaScript client of tus, cut off in the middle of a request, its server killed and started again."""

import hashlib
import json
import shutil
import subprocess
from pathlib import Path

import pytest
from service_server import wait_for

from benchmarks.service.clips import pad_clip

SCRIPT = Path(__file__).parent / "tus_js" / "upload.js"
SIZE = 24 * 1024 * 1024
TUS = {"Tus-Resumable": "1.0.0"}


@pytest.fixture
def node():
    program = shutil.which("node")
    if program is None:
        pytest.skip("Node.js is not installed here")
    if not (SCRIPT.parent / "node_modules" / "tus-js-client").is_dir():
        pytest.skip("tus-js-client is not installed: npm ci --prefix tests/service/tus_js")
    return program


def test_an_upload_cut_off_goes_on_after_the_server_was_killed(node, start, bands, tmp_path):
    clip = pad_clip(bands, tmp_path / "large.mp4", SIZE)
    server = start()

    def send(share):
        done = subprocess.run(
            [node, SCRIPT, f"{server.url}/v1/uploads", clip, tmp_path / "urls.json", str(share)],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    cut = send(0.4)
    assert not cut["resumed"]
    assert cut["cut"] < SIZE
    server.kill()
    server.start()
    rest = send(1)
    assert rest["resumed"]
    assert 0 < rest["first"] < SIZE
    with server.client() as client:
        state = client.head(rest["url"], headers=TUS)
        assert int(state.headers["Upload-Offset"]) == SIZE
        scan = wait_for(client, state.headers["Ordnance-Scan"].rsplit("/", 1)[-1])
    assert scan["state"] == "done"
    assert (scan["clip"]["name"], scan["options"]["plan"]) == ("from javascript.mp4", "interval")
    assert scan["clip"]["sha256"] == hashlib.sha256(clip.read_bytes()).hexdigest()
