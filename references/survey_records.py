"""The survey's records, `survey.jsonl`: a line of JSON for each network and exporter, sorted by these.

    network, exporter   what it is: `timm.resnet18d`, `new`
    build, versions     the commit of onnxcam, and the packages, that it was made with
    layer               {tensor, module, operator, shape [K, h, w]}: what onnxcam chose
    errors              {score, grad-cam, grad-cam++} on ONNX Runtime; without maps where PyTorch has no equal tensor
    rten                {error: the larger of the two maps'} or {refusal}
    notes               what onnxcam said about its results
    cost, peak_mib      the fastest explained run over the fastest plain run; memory of `onnxcam explain`
    failure             {stage, reason}; absent where everything holds
"""

import json
import threading
from pathlib import Path

PATH = Path(__file__).with_name("survey.jsonl")

FIELDS = ("network", "exporter", "build", "layer", "errors", "rten", "notes", "cost", "peak_mib", "failure", "versions")

# Networks are surveyed by several threads of one process.
LOCK = threading.Lock()


def key(record):
    return record["network"], record["exporter"]


def read():
    """All records by (network, exporter)."""
    lines = PATH.read_text(encoding="utf-8").splitlines() if PATH.exists() else []
    return {key(record): record for record in map(json.loads, lines)}


def replace(records):
    """Puts records in the place of those of the same networks and exporters."""
    with LOCK:
        known = read() | {key(record): record for record in records}
        lines = [line(known[which]) for which in sorted(known)]
        part = PATH.with_suffix(".part")
        part.write_text("".join(lines), encoding="utf-8")
        part.replace(PATH)


def line(record):
    ordered = {field: record[field] for field in FIELDS if field in record}
    return json.dumps(ordered, ensure_ascii=False, separators=(",", ":")) + "\n"


def rounded(value):
    """Two significant digits: figures beyond that are another machine's noise."""
    return float(f"{value:.1e}")
