"""Whether onnxcam explains the networks that people use: torchvision's and timm's, by both of PyTorch's exporters.

    python references/survey_networks.py OUT --program PATH/TO/onnxcam [--build TEXT] [--only PART ...] [--exporters new]
    python references/survey_networks.py OUT --program PATH/TO/onnxcam --failed | --again NAME ...
    python references/survey_networks.py OUT --page docs/networks.md

OUT gets one JSON for each network and exporter (survey_check.py says what is in it); what is there is not run again.
Each network is a process of its own. `--build` says which onnxcam it is, a commit for instance. `--only` takes parts of
names such as torchvision.resnet; `--again` whole names. `--jobs` networks run at a time.
"""

import argparse
import json
import multiprocessing
import os
import resource
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from onnx_files import EXPORTERS
from survey_members import members

# Seconds for a network, and for one call of the program; address space in GiB.
NETWORK_S, CALL_S, MEMORY_GIB = 1500, 300, 40

# Processes that begin with everything imported.
CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["survey_check", "timm", "onnxscript"])


def main():
    arguments = parse()
    arguments.out.mkdir(parents=True, exist_ok=True)
    if arguments.program:
        survey(arguments)
    if arguments.page:
        from survey_page import page

        arguments.page.write_text(page(arguments.out), encoding="utf-8")


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--program", type=Path)
    parser.add_argument("--build", default="")
    parser.add_argument("--only", nargs="+", default=[])
    parser.add_argument("--again", nargs="+", default=[])
    parser.add_argument("--failed", action="store_true")
    parser.add_argument("--exporters", nargs="+", choices=EXPORTERS, default=EXPORTERS)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--page", type=Path)
    return parser.parse_args()


def survey(arguments):
    """Runs every network that has something to do."""
    known = members()
    unknown = set(arguments.again) - {member.name for member in known}
    if unknown:
        sys.exit(f"no such network: {', '.join(sorted(unknown))}")
    wanted = [m for m in known if not arguments.only or any(part in m.name for part in arguments.only)]
    with ThreadPoolExecutor(arguments.jobs) as pool:
        for _ in pool.map(lambda member: visit(arguments, member), wanted):
            pass


def visit(arguments, member):
    exporters = [exporter for exporter in arguments.exporters if to_do(arguments, member, exporter)]
    if not exporters:
        return
    start = time.monotonic()
    run(arguments, member, exporters)
    for exporter in exporters:
        print(f"{time.monotonic() - start:6.0f} s  {member.name} {exporter}: {verdict(arguments, member, exporter)}", flush=True)


def path_of(arguments, member, exporter):
    return arguments.out / f"{member.name}.{exporter}.json"


def to_do(arguments, member, exporter):
    path = path_of(arguments, member, exporter)
    if arguments.again:
        return member.name in arguments.again
    if not path.exists():
        return not arguments.failed
    return arguments.failed and "failure" in json.loads(path.read_text(encoding="utf-8"))


def verdict(arguments, member, exporter):
    record = json.loads(path_of(arguments, member, exporter).read_text(encoding="utf-8"))
    if "failure" in record:
        return "{stage}: {reason}".format(**record["failure"])
    rten = record["engines"]["rten"]
    maps = record["engines"]["ort"]["maps"]["grad-cam++"]
    of_rten = f"{rten['maps']['grad-cam++']:.0e}" if "maps" in rten else rten["refusal"]
    return f"{record['layer']['tensor']}  ort {maps:.0e}  rten {of_rten}  x{record['cost']['ratio']}"


def run(arguments, member, exporters):
    """One network in a process of its own; where that ends early, the records say so."""
    for exporter in exporters:
        path_of(arguments, member, exporter).unlink(missing_ok=True)
    process = CONTEXT.Process(target=one, args=(arguments, member, exporters))
    process.start()
    process.join(NETWORK_S)
    reason = f"the network's process ended with status {process.exitcode}"
    if process.exitcode is None:
        process.kill()
        process.join()
        reason = f"stopped after {NETWORK_S} s"
    for exporter in exporters:
        path = path_of(arguments, member, exporter)
        if not path.exists():
            record = {"network": member.name, "exporter": exporter, "group": member.group, "build": arguments.build}
            record["failure"] = {"stage": "process", "reason": reason}
            path.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


def one(arguments, member, exporters):
    """What `run` starts: what it says goes into a file, its memory has a limit."""
    import torch

    import survey_check

    log = os.open(arguments.out / f"{member.name}.log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(log, 1)
    os.dup2(log, 2)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_GIB * 2**30,) * 2)
    torch.set_num_threads(max(1, 2 // arguments.jobs))
    survey_check.check(member, exporters, arguments.out, arguments.program, arguments.build, CALL_S)


if __name__ == "__main__":
    main()
