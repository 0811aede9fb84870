"""Array files that come out the same, byte for byte, on every run."""

import io
import zipfile

import numpy as np


def save_npz(path, **arrays):
    """Writes an uncompressed .npz: members in the order given, C order, no time stamps, no zip64 records."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, array in arrays.items():
            buffer = io.BytesIO()
            np.lib.format.write_array(buffer, c_order(array), allow_pickle=False)
            entry = zipfile.ZipInfo(f"{name}.npy")
            entry.create_system = 3
            archive.writestr(entry, buffer.getvalue())


def save_npy(path, array):
    """Writes one .npy file in C order."""
    np.save(path, c_order(array), allow_pickle=False)


def c_order(array):
    """A C-contiguous copy; unlike np.ascontiguousarray it keeps rank 0."""
    return np.array(array, order="C")
