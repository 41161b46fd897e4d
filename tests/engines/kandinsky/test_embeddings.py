"""What was computed once is kept, and by nothing less than all that decides it."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import torch

from inpaint.engines.kandinsky.embeddings import EmbeddingFile
from inpaint.engines.runtime.lru import Recent
from inpaint.engines.runtime.weights_identity import weights_identity


def test_the_one_not_used_for_longest_goes_first() -> None:
    recent: Recent[int, str] = Recent(capacity=2)
    recent.keep(1, "one")
    recent.keep(2, "two")
    recent.get(1)
    recent.keep(3, "three")
    assert [recent.get(key) for key in (1, 2, 3)] == ["one", None, "three"]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_an_embedding_comes_back_from_disk_bit_for_bit(tmp_path, dtype) -> None:
    embedding = torch.randn(1, 8).to(dtype)
    EmbeddingFile(tmp_path, "this").write(embedding)
    stored = EmbeddingFile(tmp_path, "this").read()
    assert stored is not None and stored.dtype is dtype and torch.equal(stored, embedding)
    assert EmbeddingFile(tmp_path, "that").read() is None
    assert [file.suffix for file in tmp_path.iterdir()] == [".safetensors"]


class TestWeightsIdentity:
    @pytest.fixture
    def folder(self, tmp_path) -> Path:
        (tmp_path / "model.safetensors").write_bytes(bytes(range(256)) * 20_000)
        (tmp_path / "config.json").write_text("{}")
        return tmp_path

    def test_it_stays_while_nothing_changes(self, folder) -> None:
        assert weights_identity(folder) == weights_identity(folder)

    @pytest.mark.parametrize(("place", "written_ns"), [(0, 1), (2_500_000, 2), (-1, 1)], ids=["beginning", "middle", "end"])
    def test_a_written_byte_changes_it(self, folder, place, written_ns) -> None:
        """At either end even where a copy keeps the old time; in the middle by the time."""
        file = folder / "model.safetensors"
        os.utime(file, ns=(1, 1))
        before, content = weights_identity(folder), bytearray(file.read_bytes())
        content[place] ^= 1
        file.write_bytes(content)
        os.utime(file, ns=(1, written_ns))
        assert weights_identity(folder) != before

    def test_a_configuration_changes_it(self, folder) -> None:
        before = weights_identity(folder)
        (folder / "config.json").write_text('{"hidden_act": "gelu"}')
        assert weights_identity(folder) != before

    def test_another_shard_changes_it(self, folder) -> None:
        before = weights_identity(folder)
        (folder / "model-2.safetensors").write_bytes(b"more")
        assert weights_identity(folder) != before

    def test_in_the_hubs_cache_the_content_hash_decides(self, tmp_path) -> None:
        """Not the folder, nor who saved the configuration: two repositories may hold the same part."""
        identities = []
        for name, blob in (("one", "aa"), ("two", "aa"), ("three", "bb")):
            blobs, snapshot = tmp_path / name / "blobs", tmp_path / name / "snapshots" / "c0ffee"
            blobs.mkdir(parents=True)
            snapshot.mkdir(parents=True)
            for target, link in ((blob, "model.safetensors"), ("cc", "config.json")):
                (blobs / target).write_text(json.dumps({"_name_or_path": name}))
                (snapshot / link).symlink_to(blobs / target)
            identities.append(weights_identity(snapshot))
        assert identities[0] == identities[1] != identities[2]
