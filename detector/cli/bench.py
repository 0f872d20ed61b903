"""`ordnance bench`: measures this version beside other tools; the suites lie in the package `benchmarks`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from detector.errors import BadOption

bench_app = typer.Typer(help="Measure speed and exactness, beside other tools in the same run.")


def _out(words: str) -> Any:
    """The option --out, tried before the suite runs and not after."""
    return typer.Option(callback=_writable, help=words)


def _writable(out: Path) -> Path:
    """Raises BadOption."""
    from detector.report import check_out

    check_out(out)
    return out


@bench_app.callback(invoke_without_command=True)
def _group(
    context: typer.Context,
    check: Annotated[
        bool, typer.Option("--check", help="Count pictures, bytes and processor time; exit with 1 above a limit.")
    ] = False,
    record: Annotated[bool, typer.Option("--record", help="With --check: write the limits anew.")] = False,
) -> None:
    if context.invoked_subcommand is not None:
        if check or record:
            raise BadOption("--check and --record stand alone; leave the suite out.")
        return
    if not check:
        typer.echo(context.get_help())
        raise typer.Exit(2 if record else 0)
    from benchmarks.check.command import bench_check

    if not bench_check(record=record):
        raise typer.Exit(1)


@bench_app.command("compare")
def compare_command(
    first: Annotated[Path, typer.Argument(help="A .json file that a suite wrote.")],
    second: Annotated[Path, typer.Argument(help="Another of the same suite.")],
    everything: Annotated[bool, typer.Option("--all", help="List the figures too that did not change.")] = False,
) -> None:
    """Tell what changed between two results of one suite."""
    from benchmarks.compare import compare_files

    typer.echo(compare_files(first, second, everything=everything))


@bench_app.command("time")
def time_command(
    out: Annotated[Path, _out("Folder for time.json, time.txt and time.png.")] = Path("bench-time"),
    quick: Annotated[bool, typer.Option("--quick", help="Few and short clips, one round: some minutes.")] = False,
    data: Annotated[Path | None, typer.Option(envvar="ORDNANCE_DATA", help="Folder with photos/.")] = None,
    renders: Annotated[
        Path | None, typer.Option(help="Film a folder of `ordnance dataset render` instead of photographs.")
    ] = None,
    only: Annotated[
        list[str] | None, typer.Option(help="Measure this contender (and every-frame) alone; may be given again.")
    ] = None,
    clip: Annotated[list[str] | None, typer.Option(help="Use this clip alone; may be given again.")] = None,
    repetitions: Annotated[
        int | None, typer.Option(min=1, help="Rounds over the speed clips; 3, or 1 with --quick.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Equal seeds and pictures give equal clips.")] = 1,
    model: Annotated[str, typer.Option(help="A model of `ordnance models`, or the path of an .onnx file.")] = "default",
    device: Annotated[str, typer.Option(help="auto, cpu or cuda:N.")] = "auto",
    cache: Annotated[Path | None, typer.Option(help="Where built clips are kept; the cache folder by default.")] = None,
) -> None:
    """Measure what each sampling plan finds, how exactly in time, and at what cost."""
    from benchmarks.time.command import bench_time

    bench_time(
        out=out,
        data=data,
        renders=renders,
        quick=quick,
        seed=seed,
        repetitions=repetitions,
        only=only or [],
        clips=clip or [],
        cache=cache,
        model=model,
        device=device,
    )


@bench_app.command("decode")
def decode_command(
    out: Annotated[Path, _out("Folder for decode.json, .txt and .png.")] = Path("bench-decode"),
    quick: Annotated[bool, typer.Option("--quick", help="Ten seconds of video, one round: a minute.")] = False,
    rounds: Annotated[
        int | None, typer.Option(min=1, help="How often each clip is read; 5, or 1 with --quick.")
    ] = None,
    model: Annotated[
        str, typer.Option(help="A model of `ordnance models`, whose input size is scaled to.")
    ] = "default",
) -> None:
    """Measure reading pictures out of clips, beside PyAV, OpenCV, decord and torchcodec."""
    from benchmarks.decode.command import run

    run(out=out, quick=quick, rounds=rounds, model=model)


@bench_app.command("infer")
def infer_command(
    out: Annotated[Path, _out("Folder for infer.json, .txt and .png.")] = Path("bench-infer"),
    quick: Annotated[bool, typer.Option("--quick", help="Few pictures, two rounds: a minute.")] = False,
    rounds: Annotated[int | None, typer.Option(min=1, help="Rounds; 7, or 2 with --quick.")] = None,
    model: Annotated[str, typer.Option(help="A model of `ordnance models`.")] = "default",
) -> None:
    """Measure the model alone on the CPU, beside ultralytics and a loop by hand; all boxes are compared."""
    from benchmarks.infer.command import run

    run(out=out, quick=quick, rounds=rounds, model=model)


@bench_app.command("scan")
def scan_command(
    out: Annotated[Path, _out("Folder for scan.json, .txt and .png.")] = Path("bench-scan"),
    quick: Annotated[bool, typer.Option("--quick", help="Twenty seconds of video, one round: some minutes.")] = False,
    rounds: Annotated[int | None, typer.Option(min=1, help="Rounds; 5, or 1 with --quick.")] = None,
    model: Annotated[str, typer.Option(help="A model of `ordnance models`.")] = "default",
) -> None:
    """Measure whole scans beside ultralytics `predict`, a loop by hand and what limits a scan."""
    from benchmarks.scan.command import run

    run(out=out, quick=quick, rounds=rounds, model=model)


@bench_app.command("all")
def all_command(
    out: Annotated[Path, _out("Folder for all.json and a folder for each suite.")] = Path("bench-all"),
    quick: Annotated[bool, typer.Option("--quick", help="Each suite in its quick form: about ten minutes.")] = False,
) -> None:
    """Run decode, infer, scan, service, search, growth and cuda one after the other."""
    from benchmarks.suites import run_all

    run_all(out=out, quick=quick)


@bench_app.command("service")
def service_command(
    out: Annotated[Path, _out("Folder for service.json and service.txt.")] = Path("bench-service"),
    quick: Annotated[bool, typer.Option("--quick", help="Few uploads, one round: a minute or two.")] = False,
    uploads: Annotated[int | None, typer.Option(min=2, help="Uploads at once; 200, or 10 with --quick.")] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Worker processes, one thread each; one for each processor.")
    ] = None,
    model: Annotated[str, typer.Option(help="A model of `ordnance models`.")] = "default",
    device: Annotated[str, typer.Option(help="auto, cpu or cuda:N.")] = "auto",
) -> None:
    """Measure the service under many uploads at once, and what it adds to `ordnance scan`."""
    from benchmarks.service.command import run

    run(out=out, quick=quick, uploads=uploads, workers=workers, model=model, device=device)


@bench_app.command("page")
def page_command(
    out: Annotated[Path, _out("Folder for page.json.")] = Path("bench-page"),
    appearances: Annotated[int, typer.Option(min=1, max=100_000, help="Appearances of the scan.")] = 2000,
    rounds: Annotated[int, typer.Option(min=1, help="Visits, each with an empty cache.")] = 3,
) -> None:
    """Measure the scan page in Chromium: first paint, bytes, scrolling, threshold."""
    from benchmarks.page.command import bench_page

    bench_page(out=out, appearances=appearances, rounds=rounds)


@bench_app.command("search")
def search_command(
    out: Annotated[Path, _out("Folder for search.json and search.txt.")] = Path("bench-search"),
    quick: Annotated[bool, typer.Option("--quick", help="Up to 100 scans and three rounds: about a minute.")] = False,
    rounds: Annotated[int | None, typer.Option(min=1, help="How often each query is asked.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Equal seeds give equal archives.")] = 1,
    model: Annotated[str, typer.Option(help="A model of `ordnance models`.")] = "default",
) -> None:
    """Measure finding something in an archive of many scans, beside report files and SQL by hand."""
    from benchmarks.search.command import run

    run(out=out, quick=quick, rounds=rounds, seed=seed, model=model)


@bench_app.command("growth")
def growth_command(
    out: Annotated[Path, _out("Folder for growth.json, .txt and .png.")] = Path("bench-growth"),
    quick: Annotated[bool, typer.Option("--quick", help="Short clips and few of them: about a minute.")] = False,
) -> None:
    """Measure how time and memory of a scan grow with length, resolution, finds and the number of clips."""
    from benchmarks.growth.command import run

    run(out=out, quick=quick)


@bench_app.command("cuda")
def cuda_command(
    out: Annotated[Path, _out("Folder for cuda.json and cuda.txt.")] = Path("bench-cuda"),
    quick: Annotated[bool, typer.Option("--quick", help="Three batch sizes, one round, a short clip.")] = False,
    model: Annotated[str, typer.Option(help="A model of `ordnance models`.")] = "default",
    device: Annotated[str, typer.Option(help="cuda:N.")] = "cuda:0",
    clip: Annotated[Path | None, typer.Option(help="Decode this clip; one of 1080p is built by default.")] = None,
    gpu_price_per_hour: Annotated[
        float | None, typer.Option(min=0, help="What an hour of this GPU costs, for the price of an hour of video.")
    ] = None,
) -> None:
    """Measure model, decoding and both on a CUDA device; says so where there is none."""
    from benchmarks.cuda.command import run

    run(out=out, quick=quick, model=model, device=device, clip=clip, gpu_price_per_hour=gpu_price_per_hour)
