"""What a caller leaves of the standard streams, and a Ctrl-C before there is a command."""

import json
import os
import shlex
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(os.name == "nt", reason="a shell of Unix closes the streams")


def in_shell(folder, arguments, redirections="", **environment):
    command = shlex.join([sys.executable, "-m", "service", *arguments])
    return subprocess.run(
        ["/bin/sh", "-c", f"{command} {redirections}"],
        cwd=folder,
        capture_output=True,
        env={**os.environ, **environment},
        timeout=300,
        check=False,
    )


def test_a_closed_stderr_takes_nothing_away_and_stdout_holds_the_report_alone(clip, tmp_path):
    done = in_shell(tmp_path, ["scan", clip.name, "--json"], "2>&-")
    assert done.returncode == 0
    assert json.loads(done.stdout)["clip"]["name"] == clip.name
    failed = in_shell(tmp_path, ["scan", "missing.mp4"], "2>&-")
    assert (failed.returncode, failed.stdout) == (3, b"")


def test_a_closed_stdout_is_output_that_cannot_be_written(clip, tmp_path):
    done = in_shell(tmp_path, ["scan", clip.name, "--json", "--quiet"], ">&-")
    assert done.returncode == 1
    assert done.stderr.decode().startswith("ordnance: the output cannot be written")
    assert len(done.stderr.splitlines()) == 1


def test_no_file_of_ours_gets_the_number_of_a_closed_stream(tmp_path):
    said = tmp_path / "said"
    program = (
        "import os, sys; from detector.cli import run; code = run(['--version']); "
        "file = open('opened', 'w'); "
        f"open({str(said)!r}, 'w').write(str([file.fileno() > 2, os.get_inheritable(2)]))"
    )
    subprocess.run(
        ["/bin/sh", "-c", f"{shlex.join([sys.executable, '-c', program])} <&- >&- 2>&-"], cwd=tmp_path, check=False
    )
    assert said.read_text() == "[True, True]"


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_an_encoding_that_lacks_a_character_ends_no_command(tmp_path, encoding):
    program = """
from detector.cli import app, run

@app.command("say")
def say():
    print("00:35.0 \u2192 00:43.0")

raise SystemExit(run(["say"]))
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONIOENCODING": encoding},
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"00:35.0 \\u2192 00:43.0\n", b"")


def test_json_is_utf_8_in_any_encoding(clip, tmp_path):
    clip.rename(tmp_path / "zürich→.mp4")
    done = in_shell(tmp_path, ["scan", "zürich→.mp4", "--json", "--quiet"], PYTHONIOENCODING="latin-1")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.decode("utf-8"))["clip"]["name"] == "zürich→.mp4"


def test_ctrl_c_while_the_program_is_imported_is_answered_like_any_other(tmp_path):
    program = """
import sys

class Interrupting:
    def find_spec(self, name, path=None, target=None):
        if name == "typer":
            raise KeyboardInterrupt

sys.meta_path.insert(0, Interrupting())
from service.cli import main
main()
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=tmp_path, timeout=60, check=False
    )
    assert done.returncode == 130
    assert done.stderr == "ordnance: interrupted; nothing was begun.\n"
