"""One network of the survey: exported, explained by the program, compared with PyTorch. Prints a JSON object.

    python references/survey_one.py SUITE NAME PROGRAM SCRATCH
"""

import json
import os
import subprocess
import sys
import traceback
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.overrides import TorchFunctionMode

import equations
import networks
import onnx_files
import pictures

EXPORTERS = {"torchvision": ("old", "new"), "timm": ("new",), "timm-attention": ("new",)}
LARGEST_SIDE = 299  # Larger pictures say nothing more about a network, and cost.


def build(suite, name):
    """A network with random weights, and the picture size that it is made for."""
    torch.manual_seed(0)
    if suite == "torchvision":
        from torchvision import models

        single = {"aux_logits": False, "init_weights": False} if name in ("googlenet", "inception_v3") else {}
        model = models.get_model(name, weights=None, **single)
        weights = models.get_model_weights(name).DEFAULT
        side = weights.transforms().crop_size[0]
    else:
        import timm

        model = timm.create_model(name, pretrained=False)
        side = timm.data.resolve_model_data_config(model)["input_size"][-1]
    fixed = name.startswith(("vit_", "swin_", "maxvit_")) or suite == "timm-attention"
    return model.eval(), side if fixed else min(side, LARGEST_SIDE)


@torch.no_grad()
def bring_to_life(name, model, side):
    """`networks.warm_up`, after factors that training begins at zero, or nearly there, are set to what they grow to."""
    for module in model.modules():
        if hasattr(module, "inplace"):
            module.inplace = False
    for key, parameter in model.named_parameters():
        if parameter.numel() and parameter.abs().max() < 1e-2 and not key.endswith(("bias", "beta")):
            parameter.uniform_(0.2, 0.6) if parameter.dim() <= 1 or parameter.numel() == max(parameter.shape) else parameter.normal_(0, 0.02)
    network = networks.Network(name, model, model, lambda logits: logits, None, input_size=(side, side))
    networks.warm_up(network)


def run(command):
    """Standard output, the last lines of standard error, exit status, peak memory in MiB."""
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    output, errors = child.stdout.read(), child.stderr.read()
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    return output, errors.strip(), child.returncode, usage.ru_maxrss // 1024


class Recorder(TorchFunctionMode):
    """Keeps the last tensor of a forward pass that holds these values, [N, K, h, w] or with its channels last."""

    def __init__(self, wanted):
        super().__init__()
        self.wanted = torch.from_numpy(wanted)
        self.limit = 1e-3 * max(float(self.wanted.abs().max()), 1e-6)
        self.found, self.channels_last, self.off = None, False, None

    def __torch_function__(self, function, types, arguments=(), keywords=None):
        made = function(*arguments, **(keywords or {}))
        if isinstance(made, torch.Tensor) and made.requires_grad and made.dim() == self.wanted.dim():
            self.look_at(made)
        return made

    def look_at(self, made):
        for channels_last in (False, True):
            if channels_last and made.dim() != 4:
                continue
            values = made.detach().permute(0, 3, 1, 2) if channels_last else made.detach()
            if values.shape != self.wanted.shape:
                continue
            off = float((values - self.wanted).abs().max())
            if off <= self.limit:
                self.found, self.channels_last, self.off = made, channels_last, off
                return


def reference(model, x, chosen, activation):
    """Raw Grad-CAM and Grad-CAM++ maps of the class at the tensor with these values, in float64, and their scales."""
    recorder = Recorder(activation.astype(np.float64))
    with recorder:
        logits = model(x.double().requires_grad_())
    if recorder.found is None:
        raise LookupError("no tensor of PyTorch's forward pass is the chosen layer")
    (g,) = torch.autograd.grad(logits[:, chosen].sum(), recorder.found)
    a = recorder.found.detach()
    if recorder.channels_last:
        a, g = a.permute(0, 3, 1, 2), g.permute(0, 3, 1, 2)
    maps = {}
    for method, weights in (("grad-cam", equations.grad_cam_weights), ("grad-cam++", equations.grad_cam_pp_weights)):
        signed, scale = equations.weighted_sum(weights(a, g), a)
        maps[method] = signed.clamp(min=0)[0].numpy(), float(scale[0])
    return maps


def activation_of(path, layer, x):
    """The value of a tensor inside a file, by ONNX Runtime."""
    import onnx

    model = onnx.load(path)
    if layer not in {output.name for output in model.graph.output}:
        model.graph.output.append(onnx.ValueInfoProto(name=layer))
    s = onnx_files.session(model.SerializeToString(), optimise=False)
    return s.run([layer], {s.get_inputs()[0].name: x})[0]


def explained(program, path, feed, chosen, engine, scratch):
    """What the program says and writes on an engine, or its error."""
    folder = scratch / engine
    command = [program, "explain", str(feed), "--model", str(path), "--method", "grad-cam,grad-cam++", "--class", str(chosen)]
    command += ["--save", "map", "--json", "--engine", engine, "--threads", "2", "-o", str(folder)]
    output, errors, status, memory = run(command)
    if status != 0:
        return {"error": " / ".join(errors.splitlines()[-2:]) or f"exit status {status}"}, None
    answer = json.loads(output.splitlines()[-1])
    if "error" in answer:
        return {"error": answer["error"]}, None
    maps = {e["method"]: np.load(e["files"][0] if isinstance(e["files"], list) else e["files"]["map"]) for e in answer["explanations"]}
    first = answer["explanations"][0]
    notes = sorted({n for e in answer["explanations"] for n in e["notes"]})
    return {"layer": first["layer"], "notes": notes, "memory_mib": memory}, (answer["top"], maps)


def compare(program, path, feed, x, model, logits, scratch, bench_rounds):
    """One export on both engines."""
    chosen, found = int(logits.argmax()), {"engines": {}}
    wanted = None
    for engine in ("ort", "rten"):
        said, made = explained(program, path, feed, chosen, engine, scratch)
        found["engines"][engine] = said
        if made is None:
            continue
        top, maps = made
        if wanted is None:
            activation = activation_of(path, said["layer"], x.numpy())
            found["shape"] = list(activation.shape)
            wanted = reference(model, x, chosen, activation)
        spread = float(np.abs(logits).max())
        said["forward"] = max(abs(t["score"] - logits[t["class"]]) for t in top) / spread
        for method, (reference_map, scale) in wanted.items():
            ours = maps[method]
            said[method] = float(np.abs(ours - reference_map).max()) / scale if ours.shape == reference_map.shape else "another shape"
    if bench_rounds and "error" not in found["engines"]["ort"]:
        command = [program, "bench", str(path), "--engine", "ort", "--threads", "2", "--rounds", str(bench_rounds), "--json"]
        output, errors, status, _ = run(command)
        if status == 0:
            measured = json.loads(output)
            found["plain_ms"], found["ratio"] = measured["plain_ms"], measured["explained"][0]["ratio"]
        else:
            found["bench_error"] = errors.splitlines()[-1:]
    return found


def survey(suite, name, program, scratch):
    model, side = build(suite, name)
    bring_to_life(name, model, side)
    x = pictures.input_batch(side, side)[:1]
    feed = scratch / "picture.npy"
    np.save(feed, x.numpy())
    parameters = sum(p.numel() for p in model.parameters())
    result = {"size": side, "parameters": parameters, "exports": {}}
    exports = {}
    for exporter in EXPORTERS[suite]:
        path = scratch / f"{exporter}.onnx"
        try:
            export(model, x, path, exporter, parameters)
            exports[exporter] = path
        except Exception as error:
            result["exports"][exporter] = {"exporter_error": f"{type(error).__name__}: {str(error).splitlines()[0][:200] if str(error) else ''}"}
    model.double()
    with torch.no_grad():
        logits = model(x.double())[0].numpy()
    rounds = 8 if parameters < 60e6 else 4
    for exporter, path in exports.items():
        folder = scratch / f"out-{exporter}"
        folder.mkdir()
        try:
            result["exports"][exporter] = compare(program, path, feed, x, model, logits, folder, rounds)
        except Exception as error:
            traceback.print_exc()
            result["exports"][exporter] = {"error": f"{type(error).__name__}: {error}"}
        path.unlink()
    return result


def export(model, x, path, exporter, parameters):
    """With a dynamic batch; where that fails, or above protobuf's limit, the reason stays in the exception."""
    external = parameters * 4 > 1.8e9
    example = torch.cat([x, x.flip(3)])  # The newer exporter takes a batch of 1 for a constant.
    onnx_files.export(model, example, str(path), exporter, external_data=external and exporter == "new")


def main(suite, name, program, scratch):
    stdout = os.dup(1)
    os.dup2(2, 1)  # Exporters talk.
    torch.set_num_threads(2)
    found = survey(suite, name, program, Path(scratch))
    os.write(stdout, json.dumps(found).encode())


if __name__ == "__main__":
    main(*sys.argv[1:])
