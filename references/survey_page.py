"""docs/networks.md from the survey's results, and what counts as passed."""

import importlib.metadata

# A map's largest difference from PyTorch in float64, relative to the largest sum of |w_k A_k|; a score's, relative to the
# largest |logit|. Float32 noise is far below either.
MAP_LIMIT = 1e-3
FORWARD_LIMIT = 1e-3

HEAD = """# Networks

Written by `python references/survey_networks.py`; do not edit. What `onnxcam explain` does with every convolutional classifier
of torchvision, exported by both of PyTorch's exporters, and with {timm_count} networks of timm. Weights are random and brought to
life (`references/networks.py`, `warm_up`), the picture is a photograph, the class the predicted one, the layer the automatic one.
torch {torch}, torchvision {torchvision}, timm {timm}, onnxscript {onnxscript}, ONNX Runtime {onnxruntime}; 2 cores.

- *forward*: largest difference of a top-5 score from PyTorch's in float64, relative to the largest |logit|.
- *map*: largest difference of the raw Grad-CAM++ map from autograd in float64 at that tensor (the equations of
  `references/equations.py`), relative to max_ij Σ_k |w_k A^k_ij|; ONNX Runtime, then rten.
- *cost*: `onnxcam bench`, Grad-CAM++ against the plain file, ONNX Runtime, ratio of medians of a few rounds beside other work: ±0.1.
- *old* is the exporter by TorchScript, *new* the one by torch.export. Passed: forward and map below {limit:g} on both engines.

"""


def passed(result):
    """Whether every export of a network passed; an exporter that itself fails is not ours, unless both do."""
    exports = result.get("exports", {}).values()
    ours = [export for export in exports if "exporter_error" not in export]
    return bool(ours) and all(not reason_of(export) for export in ours)


def reason_of(export):
    """Why an export did not pass; empty where it did."""
    if "exporter_error" in export:
        return f"exporter: {export['exporter_error']}"
    if "error" in export:
        return export["error"]
    reasons = []
    for engine, said in export["engines"].items():
        if "error" in said:
            reasons.append(f"{engine}: {said['error']}")
            continue
        for key, limit in (("forward", FORWARD_LIMIT), ("grad-cam", MAP_LIMIT), ("grad-cam++", MAP_LIMIT)):
            value = said.get(key, "not measured")
            if not isinstance(value, float) or not value <= limit:
                reasons.append(f"{engine}: {key} {value if isinstance(value, str) else format(value, '.1e')}")
    return "; ".join(reasons)


def one_line(result):
    """A network on a terminal."""
    if "exports" not in result:
        return f"{result['suite']} {result['name']}: FAILED {result.get('error')}"
    parts = [f"{exporter} {reason_of(export) or 'passed'}" for exporter, export in result["exports"].items()]
    return f"{result['suite']} {result['name']}: " + " | ".join(parts)


def number(value):
    return f"{value:.0e}" if isinstance(value, float) else "–"


def rows(result):
    """A line of the table for each export that passed or failed by us."""
    for exporter, export in result.get("exports", {}).items():
        if "exporter_error" in export:
            continue
        engines = export.get("engines", {})
        ort, rten = engines.get("ort", {}), engines.get("rten", {})
        layer = ort.get("layer") or rten.get("layer") or "–"
        shape = "×".join(str(n) for n in export.get("shape", [])[1:])
        forward = max((e["forward"] for e in (ort, rten) if "forward" in e), default=None)
        maps = f"{number(ort.get('grad-cam++'))}, {number(rten.get('grad-cam++'))}"
        ratio = f"{export['ratio']:.2f}" if "ratio" in export else "–"
        yield f"| {result['name']} | {result['size']} | {exporter} | `{layer}` | {shape} | {number(forward)} | {maps} | {ratio} |"


def table(results):
    lines = ["| network | picture | exporter | layer | K×h×w | forward | map | cost |", "|---|---|---|---|---|---|---|---|"]
    return "\n".join(lines + [line for result in results for line in rows(result)]) + "\n"


def failures(results):
    """Every export that did not pass, and why."""
    lines = []
    for result in results:
        if "error" in result:
            lines.append(f"- {result['name']}: {result['error']}")
        for exporter, export in result.get("exports", {}).items():
            reason = reason_of(export)
            if reason:
                lines.append(f"- {result['name']}, {exporter}: {' '.join(reason.split())}")
    return "\n".join(lines) + "\n" if lines else "None.\n"


def section(title, results):
    good = sum(passed(result) for result in results)
    text = f"## {title}\n\n{good} of {len(results)} passed.\n\n{table(results)}\n"
    return text + f"Not passed, or not exported:\n\n{failures(results)}\n"


def peak_memory(result):
    peaks = [e["memory_mib"] for x in result.get("exports", {}).values() for e in x.get("engines", {}).values() if "memory_mib" in e]
    return f"{max(peaks)} MiB" if peaks else "–"


def attention(results):
    """Networks with attention: what is said of each."""
    lines = ["| network | exporter | what happens | peak memory |", "|---|---|---|---|"]
    for result in results:
        for exporter, export in result.get("exports", {}).items():
            what = " ".join((reason_of(export) or "explained at `{}`, agrees".format(export["engines"]["ort"]["layer"])).split())
            lines.append(f"| {result['name']} | {exporter} | {what.replace('|', '/')} | {peak_memory(result)} |")
        if "error" in result:
            lines.append(f"| {result['name']} | | {result['error']} | – |")
    return "\n".join(lines) + "\n"


def page(results):
    """The whole page."""
    transformers = ("vit_", "swin_", "maxvit_")
    torchvision = [r for r in results if r["suite"] == "torchvision" and not r["name"].startswith(transformers)]
    timm = [r for r in results if r["suite"] == "timm"]
    other = [r for r in results if r["suite"] == "timm-attention" or r["suite"] == "torchvision" and r not in torchvision]
    versions = {name: importlib.metadata.version(name) for name in ("torch", "torchvision", "timm", "onnxscript", "onnxruntime")}
    text = HEAD.format(timm_count=len(timm), limit=MAP_LIMIT, **versions)
    text += section("torchvision", torchvision) + section("timm", timm)
    text += "## With attention\n\nWhere tokens make the score, a map of the last feature map would mislead, and is refused.\n\n"
    return text + attention(other)
