import hashlib
import hmac
import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from service_server import upload, wait_for

SECRET = "between-us"


@pytest.fixture
def receiver():
    """A server that refuses the first note and takes those after it; yields (address, notes)."""
    notes, arrived = [], threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            notes.append((self.headers["Ordnance-Signature"], body))
            self.send_response(500 if len(notes) == 1 else 204)
            self.end_headers()
            if len(notes) == 2:
                arrived.set()

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port, notes, arrived
    server.shutdown()
    server.server_close()


def test_a_webhook_is_signed_and_sent_again_until_it_is_taken(start, receiver, bands):
    port, notes, arrived = receiver
    server = start(WEBHOOK_HOSTS=f"127.0.0.1:{port}", WEBHOOK_SECRET=SECRET)
    with server.client() as client:
        refused = client.post("/v1/scans", content=b"x", params={"webhook": "http://127.0.0.1:1/"})
        assert refused.json()["code"] == "bad_option"
        scan = upload(client, bands, webhook=f"http://127.0.0.1:{port}/told?x=1")
        wait_for(client, scan["id"])
    assert arrived.wait(120)
    (_, first), (signature, second) = notes
    assert first == second
    note = json.loads(second)
    assert (note["scan"], note["state"], note["name"]) == (scan["id"], "done", "bands.mp4")
    at, mac = (part.split("=")[1] for part in signature.split(","))
    assert hmac.compare_digest(mac, hmac.new(SECRET.encode(), f"{at}.".encode() + second, hashlib.sha256).hexdigest())
    assert SECRET not in server.log.read_text()
