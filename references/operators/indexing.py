"""Elements by their indices, and what is found by comparing."""

import torch

from .case import Case, Constant, distinct, eighths

ROWS = [[0, 3, -1, 1], [2, 2, 0, -4], [1, -3, 1, 1]]


def counted(indices, extent):
    """PyTorch takes no negative indices."""
    return torch.tensor(indices) % extent


def elements():
    along_rows = counted(ROWS, 4)
    x = eighths(3, 4)
    yield Case("GatherElements", "rows", [x, Constant(ROWS)], lambda x: x.gather(1, along_rows), {"axis": 1})
    columns = [[0, -1, 2], [1, 1, 1]]
    yield Case("GatherElements", "fewer-columns", [x, Constant(columns)], lambda x: x.gather(0, counted(columns, 3)), {"axis": 0})

    apart = [[0, 3, -2], [2, 1, -4], [-1, 1, 2]]
    at = counted(apart, 4)
    updates = eighths(3, 3, seed=1)
    put = {
        "none": lambda x, u: x.scatter(1, at, u),
        "add": lambda x, u: x.scatter_add(1, at, u),
        "mul": lambda x, u: x.scatter_reduce(1, at, u, "prod"),
    }
    opsets = {"none": 13, "add": 16, "mul": 16}
    for reduction, function in put.items():
        attributes = {"axis": -1} if reduction == "none" else {"axis": -1, "reduction": reduction}
        inputs = [x, Constant(apart), updates]
        yield Case("ScatterElements", reduction, inputs, function, attributes, opset=opsets[reduction])
    yield Case("ScatterElements", "add-twice", [x, Constant(ROWS), eighths(3, 4, seed=2)], lambda x, u: x.scatter_add(1, along_rows, u), {"axis": 1, "reduction": "add"}, opset=16)
    greatest = lambda x, u: x.scatter_reduce(1, along_rows, u, "amax")
    least = lambda x, u: x.scatter_reduce(1, along_rows, u, "amin")
    low = distinct(3, 8)
    yield Case("ScatterElements", "max", [low[:, :4], Constant(ROWS), low[:, 4:]], greatest, {"axis": 1, "reduction": "max"}, opset=18)
    yield Case("ScatterElements", "min", [low[:, :4], Constant(ROWS), low[:, 4:]], least, {"axis": 1, "reduction": "min"}, opset=18)
    part = [[3, 0], [-1, 1]]
    yield Case("ScatterElements", "fewer-rows", [x, Constant(part), eighths(2, 2, seed=3)], lambda x, u: x.scatter(1, counted(part, 4), u), {"axis": 1})
    yield Case("Scatter", "opset9", [x, Constant(part), eighths(2, 2, seed=3)], lambda x, u: x.scatter(1, counted(part, 4), u), {"axis": 1}, opset=9)


def slices():
    x = eighths(3, 4, 2)
    pairs = [[[0, -1], [2, 1]], [[2, 1], [-3, 0]]]
    first, second = counted(pairs, torch.tensor([3, 4])).unbind(-1)
    yield Case("GatherND", "pairs", [x, Constant(pairs)], lambda x: x[first, second])
    yield Case("GatherND", "rows", [x, Constant([[2], [0], [2]])], lambda x: x[[2, 0, 2]])
    batched = [[[1], [0]], [[-1], [-1]], [[2], [3]]]
    rows = torch.tensor(batched)[..., 0] % 4
    yield Case("GatherND", "batch", [x, Constant(batched)], lambda x: x[torch.arange(3)[:, None], rows], {"batch_dims": 1})

    apart = [[0, -1], [2, 1], [-2, 0]]
    at = counted(apart, torch.tensor([3, 4])).unbind(-1)
    updates = eighths(3, 2, seed=4)
    yield Case("ScatterND", "pairs", [x, Constant(apart), updates], lambda x, u: x.index_put(at, u))
    twice = (torch.tensor([1, 1, 0]),)
    yield Case("ScatterND", "add-twice", [x, Constant([[1], [-2], [0]]), eighths(3, 4, 2, seed=5)], lambda x, u: x.index_put(twice, u, accumulate=True), {"reduction": "add"}, opset=16)


def found():
    x = distinct(2, 5, 3)
    def best(x, k, axis, largest):
        order = x.argsort(axis, descending=largest).narrow(axis, 0, k)
        return x.gather(axis, order)

    yield Case("TopK", "greatest", [x, Constant([2])], lambda x: best(x, 2, 2, True), unread=1)
    yield Case("TopK", "least", [x, Constant([3])], lambda x: best(x, 3, 1, False), {"axis": 1, "largest": 0}, unread=1)
    yield Case("TopK", "opset9", [x], lambda x: best(x, 4, 1, True), {"axis": 1, "k": 4}, opset=9, unread=1)
    y = eighths(2, 4, 3)
    yield Case("CumSum", "plain", [y, Constant(1)], lambda x: x.cumsum(1))
    yield Case("CumSum", "exclusive", [y, Constant(-1)], lambda x: x.cumsum(2) - x, {"exclusive": 1})
    yield Case("CumSum", "reverse", [y, Constant(1)], lambda x: x.flip(1).cumsum(1).flip(1), {"reverse": 1})


CASES = [*elements(), *slices(), *found()]
