"""The plugin's state directory, and how things are put there so that they last."""

import os

from .errors import PluginError


def state_directory(below: str) -> str:
    """The directory `below` in that of the plugin's state, which is made when it is missing."""
    # systemd separates several by colons.
    path = os.environ.get("STATE_DIRECTORY", "").split(":")[0]
    if not path:
        raise PluginError("no-state", "there is no STATE_DIRECTORY: the declaration needs 'state'")
    directory = os.path.join(path, below)
    try:
        os.mkdir(directory, 0o700)
    except FileExistsError:
        return directory
    sync_directory(path)
    return directory


def sync_directory(path: str):
    """Names in a directory are durable only when it was synced itself."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_all(descriptor: int, data):
    """write(2) until all of it is written."""
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]
