"""The result of `ordnance bench cuda` as text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def result_table(result: Mapping[str, Any]) -> str:
    """Ceilings of decoding and model, then both together; or that nothing was measured, and why."""
    if not result["measured"]:
        return f"Nothing was measured: {result['reason']}"
    gpu, clip = result["gpu"], result["clip"]
    lines = [
        f"{gpu['name']}, {gpu['memory_gib']} GiB, driver {gpu['driver']}, CUDA {gpu['cuda']}; "
        f"clip {clip['name']}, {clip['frames_a_second']:.3g} frames a second; medians of {result['rounds']}",
        "",
        "decoding alone, frames a second",
    ]
    lines += [f"  {row['decode']:<42}{_rate(row)}{_busy(row)}" for row in result["decoding"]]
    lines += ["", "model alone, pictures on the device, frames a second"]
    lines += [f"  {_form(row):<42}{_rate(row)}{_busy(row)}" for row in result["model"]]
    lines += ["", f"decoding, letterbox, model, NMS; frames a second {'':>20} of ceiling   GPU h per h of video   cost"]
    for row in result["together"]:
        cost = "-" if row["cost_an_hour_of_video"] is None else f"{row['cost_an_hour_of_video']:.4f}"
        judged = f"{row['of_ceiling']:>8.2f} {'' if row['reached'] else 'MISSED':<7}"
        lines.append(
            f"  {_form(row):<42}{row['decode']:<22}{_rate(row)}{judged}"
            f"{row['gpu_hours_an_hour_of_video']:>10.5f}{cost:>10}{_busy(row)}"
        )
    for each in result["not_measured"]:
        lines.append(f"not measured: {each['what']}: {each['reason']}")
    return "\n".join(lines)


def _form(row: Mapping[str, Any]) -> str:
    return f"{row['form']}, {row['precision']}, batch {row['batch']}"


def _rate(row: Mapping[str, Any]) -> str:
    least, most = row["spread"]
    return f"{row['frames_per_second']:>10.1f} {f'({least:.0f} to {most:.0f})':>18}"


def _busy(row: Mapping[str, Any]) -> str:
    if "gpu_percent" not in row:
        return ""
    return f"   GPU {row['gpu_percent']:.0f} %, decoder {row['decoder_percent']:.0f} %, {row['memory_mb']:.0f} MB"
