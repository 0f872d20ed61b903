import asyncio
import json
import os
import subprocess
import sys

import pytest

from service.client import AsyncClient, Client, ServerError


def test_submit_uploads_follows_and_fetches(server, humvee, tmp_path):
    server.wait_ready()
    done = subprocess.run(
        [sys.executable, "-m", "service", "submit", str(humvee), "--server", server.url, "--format", "json,vtt"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "ORDNANCE_KEY": server.key("frank")},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    folder = tmp_path / "ordnance-report" / "humvee"
    assert "humvee" in {each["class"] for each in json.loads((folder / "report.json").read_text())["appearances"]}
    assert (folder / "report.vtt").read_text().startswith("WEBVTT")
    assert "appearance" in done.stdout


def test_submit_says_in_a_sentence_what_went_wrong(server, humvee, tmp_path):
    (tmp_path / "text.mp4").write_text("no film\n" * 30)
    for arguments, word in (
        ((str(humvee), "--server", server.url, "--plan", "hourly"), "interval"),
        (("missing.mp4", "--server", server.url), "missing.mp4"),
        (("text.mp4", "--server", server.url), "text file"),
    ):
        done = subprocess.run(
            [sys.executable, "-m", "service", "submit", *arguments],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            check=False,
        )
        assert done.returncode == 3
        assert word in done.stderr
        assert "Traceback" not in done.stderr


def test_both_clients_do_the_same(server, bands):
    sent = []
    with Client(server.url, server.key("grace")) as client:
        scan = client.submit(bands, lambda done, size: sent.append((done, size)), plan="interval", classes=["tank"])
        ended = client.wait(scan.id)
        assert ended.state == "done"
        assert sent[-1] == (bands.stat().st_size, bands.stat().st_size)
        assert client.report(scan.id).scan.classes == ("tank",)
        assert client.appearances(scan.id) == []
        assert [each.id for each in client.scans(state="done")] == [scan.id]
        with pytest.raises(ServerError) as refused:
            client.scan("0" * 32)
        assert (refused.value.code, refused.value.status) == ("not_found", 404)
        client.delete(scan.id)

    async def the_same():
        async with AsyncClient(server.url, server.key("heidi")) as client:
            scan = await client.submit(bands)
            kinds = [event.kind async for event in client.events(scan.id)]
            assert kinds[0] == kinds[-1] == "state"
            assert (await client.wait(scan.id)).state == "done"
            assert (await client.report(scan.id)).clip.name == "bands.mp4"

    asyncio.run(the_same())
