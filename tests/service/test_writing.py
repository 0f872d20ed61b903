"""Bytes from the network into a file."""

import asyncio
import hashlib
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from service.api.writing import BUFFER_BYTES, FileWriter


def test_what_was_written_is_in_the_file_and_in_the_digests(tmp_path):
    content = [bytes([number]) * (BUFFER_BYTES // 3) for number in range(8)]
    path = tmp_path / "bytes"
    path.write_bytes(b"before")
    digest = hashlib.sha256()

    async def write():
        writer = FileWriter(path, digest)
        for each in content:
            await writer.write(each)
        await writer.settle()

    asyncio.run(write())
    assert path.read_bytes() == b"before" + b"".join(content)
    assert digest.digest() == hashlib.sha256(b"".join(content)).digest()


@pytest.mark.parametrize("abandoned", [True, False])
def test_a_file_that_was_removed_does_not_come_back(tmp_path, abandoned):
    """Even where the thread that writes comes late: the pool is busy with other requests."""
    path = tmp_path / "bytes"
    path.touch()
    is_free = threading.Event()

    async def write():
        pool = ThreadPoolExecutor(1)
        asyncio.get_running_loop().set_default_executor(pool)
        pool.submit(is_free.wait)
        writer = FileWriter(path)
        await writer.write(bytes(BUFFER_BYTES))
        path.unlink()
        if abandoned:
            writer.abandon()
            is_free.set()
        else:
            is_free.set()
            with pytest.raises(FileNotFoundError):
                await writer.settle()

    asyncio.run(write())
    assert not path.exists()
