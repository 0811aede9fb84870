"""A batch server for explained models: python examples/batch_server.py explained.onnx 8000

POST one input as little-endian float32; the answer is JSON: class and map. Requests that come while the engine runs go into
its next run together.
"""

import json
import queue
import sys
import threading
from concurrent.futures import Future
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import onnxruntime

BATCH = 8  # The most pictures of one run.


def load(path):
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return session, json.loads(session.get_modelmeta().custom_metadata_map["onnxcam"])


def run(session, document, requests):
    """Takes what waits, at most a batch, and runs it."""
    outputs = [document["class"]["name"], document["maps"][0]["output"]]
    while True:
        waiting = [requests.get()]
        while len(waiting) < BATCH and not requests.empty():
            waiting.append(requests.get())
        x = np.stack([picture for picture, _ in waiting])
        given = {document["input"]["name"]: x}
        if document["target"]:  # None where the file explains every class.
            given[document["target"]["name"]] = np.full(len(waiting), -1, np.int64)
        try:
            found = session.run(outputs, given)
            for (_, answer), label, heat in zip(waiting, *found):
                answer.set_result({"class": int(label), "map": heat.tolist()})
        except Exception as error:
            for _, answer in waiting:
                answer.set_exception(error)


def serve(path, port):
    session, document = load(path)
    shape = document["input"]["shape"][1:]
    requests = queue.Queue()
    threading.Thread(target=run, args=(session, document, requests), daemon=True).start()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            status, text = 200, None
            if len(body) != 4 * np.prod(shape):
                status, text = 400, {"error": f"the input is {shape} in float32"}
            else:
                answer = Future()
                requests.put((np.frombuffer(body, "<f4").reshape(shape), answer))
                text = answer.result()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(json.dumps(text).encode())

        def log_message(self, *_):
            pass

    return ThreadingHTTPServer(("127.0.0.1", port), Handler)


if __name__ == "__main__":
    serve(sys.argv[1], int(sys.argv[2])).serve_forever()
