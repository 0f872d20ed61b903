import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
from service_server import upload, wait_for

from service.client.events import EventReader

CONFIG = Path(__file__).parent / "schemathesis.toml"


@pytest.fixture(scope="module")
def guarded(tmp_path_factory):
    from service_server import Server

    server = Server(tmp_path_factory.mktemp("openapi") / "store", ALLOW_ANONYMOUS="false", REQUESTS_PER_MINUTE=10**6)
    server.start()
    server.wait_ready()
    yield server
    server.stop()


def test_schemathesis_finds_nothing(guarded, tmp_path):
    done = subprocess.run(
        [
            *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(CONFIG), "run"),
            *(f"{guarded.url}/openapi.json", "-H", f"Authorization: Bearer {guarded.key('root', '--scopes', 'admin')}"),
            *("--phases", "examples,coverage,fuzzing,stateful", "--max-examples", "10", "--no-color"),
            *("--suppress-health-check", "all", "--seed", "6", "--request-timeout", "30"),
        ],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-20000:]


def test_documents_of_a_scan_follow_their_published_form(server, humvee):
    server.wait_ready()
    with server.client() as client:
        scan = wait_for(client, upload(client, humvee)["id"])
        schema = client.get("/openapi.json").json()
        client.put(f"/v1/scans/{scan['id']}/appearances/1/verdict", json={"verdict": "confirmed"}).raise_for_status()
        for path, name in (
            (scan["links"]["self"], "ScanOut"),
            (scan["links"]["appearances"], "AppearancePage"),
            (scan["links"]["detections"], "DetectionPage"),
            (scan["links"]["report.json"], "Report"),
            (f"{scan['links']['report.json']}?verdicts=1", "Report"),
            (scan["links"]["verdicts"], "VerdictsOut"),
            (scan["links"]["verdicts.json"], "VerdictsDocument"),
            (scan["links"]["times"], "TimesOut"),
            ("/v1/scans", "ScanPage"),
            ("/v1/search", "FoundPage"),
            ("/v1/preferences", "Preferences"),
            ("/v1/session", "SessionOut"),
        ):
            document = {"$ref": f"#/components/schemas/{name}", "components": schema["components"]}
            jsonschema.validate(client.get(path).json(), document)


def test_the_examples_of_the_description_follow_it(server):
    with server.client() as client:
        described = client.get("/openapi.json").json()
    schemas = described["components"]["schemas"]
    shown = {name: schema["examples"] for name, schema in schemas.items() if "examples" in schema}
    assert {"ScanOut", "AppearanceOut", "DetectionOut", "RescanIn", "Problem"} <= set(shown)
    for name, examples in shown.items():
        for each in examples:
            jsonschema.validate(each, {"$ref": f"#/components/schemas/{name}", "components": described["components"]})
    stream = described["paths"]["/v1/scans/{scan_id}/events"]["get"]["responses"]["200"]["content"]
    reader = EventReader()
    lines = stream["text/event-stream"]["example"].split("\n")
    told = [event for line in lines if (event := reader.take(line))]
    assert [(event.number, event.kind) for event in told] == [(1, "state"), (2, "state"), (3, "progress")]
