"""Spans reach a collector on loopback where one is set, and nothing of OpenTelemetry is loaded where none is."""

import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from service_server import upload, wait_for

SENT_WITHIN_SECONDS = 20.0


@pytest.fixture
def collector():
    """Yields its address and the spans that it was sent: (service, name, attributes)."""
    spans = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            assert self.path == "/v1/traces"
            sent = ExportTraceServiceRequest.FromString(self.rfile.read(int(self.headers["Content-Length"])))
            for group in sent.resource_spans:
                facts = {each.key: each.value.string_value for each in group.resource.attributes}
                for scope in group.scope_spans:
                    for each in scope.spans:
                        values = {one.key: one.value.string_value or one.value.int_value for one in each.attributes}
                        spans.append((facts["service.name"], each.name, values))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", spans
    server.shutdown()
    server.server_close()


def test_requests_scans_and_segments_are_spans_without_names_of_files(start, collector, bands, monkeypatch):
    address, spans = collector
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "200")
    server = start(OTEL_ENDPOINT=address)
    with server.client() as client:
        scan = wait_for(client, upload(client, bands)["id"])
    whole = ("ordnance-worker", "scan", {"scan.id": scan["id"]})
    # A scan is done a moment before the span that it is.
    deadline = time.monotonic() + SENT_WITHIN_SECONDS
    while whole not in spans and time.monotonic() < deadline:
        time.sleep(0.05)
    server.stop()
    assert whole in spans
    assert ("ordnance-worker", "segment", {"scan.id": scan["id"], "segment.number": 0}) in spans
    made = {"http.request.method": "POST", "http.route": "/v1/scans", "http.response.status_code": 202}
    assert ("ordnance-api", "POST /v1/scans", made) in spans
    assert "bands.mp4" not in repr(spans)


def test_nothing_of_it_is_loaded_where_it_is_off(tmp_path):
    script = """
        import sys
        from service.api.app import create_app
        from service.jobs import worker
        from service.settings import load_settings
        from service.store.database import migrate
        settings = load_settings(store=sys.argv[1])
        migrate(settings)
        create_app(settings)
        print([name for name in sys.modules if name.startswith(("opentelemetry.sdk", "opentelemetry.exporter"))])
    """
    code = "\n".join(line.strip() for line in script.splitlines())
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "store")], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr
