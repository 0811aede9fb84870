"""Whether onnxcam explains the networks that people use: torchvision's and timm's, by both of PyTorch's exporters.

    python references/survey_networks.py --program PATH --build COMMIT [--only PART ...] [--failed | --again NAME ...]
    python references/survey_networks.py --page

The first writes records into references/survey.jsonl (survey_records.py says what is in it), as each network is done;
the second makes docs/networks.md from these. PATH is onnxcam's, COMMIT what it was built from. What has a record is not
run again, except by `--failed` and `--again`, which takes whole names such as torchvision.resnet18; `--only` takes parts
of names. Each network is a process of its own, `--jobs` of them run at a time. One survey at a time.
"""

import argparse
import json
import multiprocessing
import os
import resource
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import survey_records
from onnx_files import EXPORTERS
from survey_members import members

PAGE = Path(__file__).parents[1] / "docs" / "networks.md"

# Seconds for a network, and for one call of the program; address space in GiB.
NETWORK_S, CALL_S, MEMORY_GIB = 1500, 300, 40

# Processes that begin with everything imported.
CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["survey_check", "timm", "onnxscript"])


def main():
    arguments = parse()
    if arguments.program:
        survey(arguments)
    if arguments.page:
        from survey_page import page

        PAGE.write_text(page(survey_records.read()), encoding="utf-8")


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", type=Path)
    parser.add_argument("--build", metavar="COMMIT")
    parser.add_argument("--only", nargs="+", default=[], metavar="PART")
    parser.add_argument("--again", nargs="+", default=[], metavar="NAME")
    parser.add_argument("--failed", action="store_true")
    parser.add_argument("--exporters", nargs="+", choices=EXPORTERS, default=EXPORTERS)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--page", action="store_true")
    arguments = parser.parse_args()
    if bool(arguments.program) != bool(arguments.build):
        parser.error("--program and --build go together: a record says what it was made with")
    return arguments


def survey(arguments):
    """Runs every network that has something to do."""
    known = members()
    unknown = set(arguments.again) - {member.name for member in known}
    if unknown:
        sys.exit(f"no such network: {', '.join(sorted(unknown))}")
    records = survey_records.read()
    to_do = [(member, due(arguments, member, records)) for member in known]
    with ThreadPoolExecutor(arguments.jobs) as pool:
        for _ in pool.map(lambda one: visit(arguments, *one), [one for one in to_do if one[1]]):
            pass


def due(arguments, member, records):
    """The exporters by which a network is to be run."""
    if arguments.again and member.name not in arguments.again:
        return []
    if arguments.only and not any(part in member.name for part in arguments.only):
        return []
    exporters = [exporter for exporter in member.exporters if exporter in arguments.exporters]
    if arguments.again:
        return exporters
    if arguments.failed:
        return [exporter for exporter in exporters if "failure" in records.get((member.name, exporter), {})]
    return [exporter for exporter in exporters if (member.name, exporter) not in records]


def visit(arguments, member, exporters):
    start = time.monotonic()
    records = run(arguments, member, exporters)
    survey_records.replace(records)
    for record in records:
        print(f"{time.monotonic() - start:6.0f} s  {member.name} {record['exporter']}: {verdict(record)}", flush=True)


def verdict(record):
    if "failure" in record:
        return "{stage}: {reason}".format(**record["failure"])
    rten = record["rten"].get("error", record["rten"].get("refusal"))
    return f"{record['layer']['tensor']}  ort {record['errors']['grad-cam++']}  rten {rten}  x{record['cost']}"


def run(arguments, member, exporters):
    """Records of a network from a process of its own; where that ends early, they say so."""
    with tempfile.TemporaryDirectory(prefix="onnxcam-survey-") as folder:
        folder = Path(folder)
        process = CONTEXT.Process(target=one, args=(arguments, member, exporters, folder))
        process.start()
        process.join(NETWORK_S)
        reason = f"the network's process ended with status {process.exitcode}"
        if process.exitcode is None:
            process.kill()
            process.join()
            reason = f"stopped after {NETWORK_S} s"
        if (folder / "records.json").exists():
            return json.loads((folder / "records.json").read_text(encoding="utf-8"))
        log = folder / "log"
        said = log.read_text(encoding="utf-8", errors="replace").splitlines() if log.exists() else []
        reason = ": ".join([reason, *[line for line in said if line.strip()][-1:]])
    of = {"network": member.name, "build": arguments.build, "failure": {"stage": "process", "reason": reason}}
    return [of | {"exporter": exporter} for exporter in exporters]


def one(arguments, member, exporters, folder):
    """What `run` starts: what it says goes into a file, its memory has a limit."""
    import torch

    import survey_check

    log = os.open(folder / "log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(log, 1)
    os.dup2(log, 2)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_GIB * 2**30,) * 2)
    torch.set_num_threads(max(1, 2 // arguments.jobs))
    torch.backends.mha.set_fastpath_enabled(False)  # A fused operator of its own, which the older exporter does not take.
    records = survey_check.check(member, exporters, folder, arguments.program, CALL_S)
    of = {"network": member.name, "build": arguments.build}
    text = json.dumps([of | record for record in records])
    part = folder / "records.part"
    part.write_text(text, encoding="utf-8")
    part.replace(folder / "records.json")


if __name__ == "__main__":
    main()
