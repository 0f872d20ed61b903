"""The report and what is made from it: JSON, HTML, CSV and pictures."""

from detector.report.coverage_info import CoverageInfo, GapInfo, LeftOutInfo, SampledInfo, UndecodedInfo
from detector.report.detections_csv import detections_csv
from detector.report.html import class_colour, class_label, render_html, summary
from detector.report.schema import (
    SCHEMA_VERSION,
    AppearanceInfo,
    BestInfo,
    ClipInfo,
    DetectionInfo,
    ErrorInfo,
    ModelInfo,
    PlanInfo,
    Report,
    ScanInfo,
    WeightsInfo,
    crop_name,
    report_json_schema,
    thumbnail_name,
)
from detector.report.thumbnails import encode_crop, encode_thumbnail
from detector.report.timecode import hms, short
from detector.report.write import (
    FORMATS,
    OWN_PREFIX,
    add_formats,
    check_out,
    folder_name,
    foreign_in,
    remove_unfinished,
    write_fetched,
    write_report,
)

__all__ = [
    "FORMATS",
    "OWN_PREFIX",
    "SCHEMA_VERSION",
    "AppearanceInfo",
    "BestInfo",
    "ClipInfo",
    "CoverageInfo",
    "DetectionInfo",
    "ErrorInfo",
    "GapInfo",
    "LeftOutInfo",
    "ModelInfo",
    "PlanInfo",
    "Report",
    "SampledInfo",
    "ScanInfo",
    "UndecodedInfo",
    "WeightsInfo",
    "add_formats",
    "check_out",
    "class_colour",
    "class_label",
    "crop_name",
    "detections_csv",
    "encode_crop",
    "encode_thumbnail",
    "folder_name",
    "foreign_in",
    "hms",
    "remove_unfinished",
    "render_html",
    "report_json_schema",
    "short",
    "summary",
    "thumbnail_name",
    "write_fetched",
    "write_report",
]
