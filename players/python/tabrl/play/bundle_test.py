"""Bundles: honest ones are read as they were written, malicious ones are refused before anything is done with them."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from tabrl.play import forging, malicious_corpus
from tabrl.play.bundle import BundleError, Contents, read_bundle, write_bundle
from tabrl.play.malicious import Malicious
from tabrl.play.sample import sample_contents

_CORPUS = list(malicious_corpus.bundles())


def test_what_was_written_is_read_again_and_the_same_contents_give_the_same_bytes(tmp_path: Path) -> None:
    # Given a bundle in a file
    contents = sample_contents()
    content = write_bundle(contents)
    path = tmp_path / "pole.tabrl"
    path.write_bytes(content)

    # when it is read from there, and from memory
    bundle = read_bundle(path)
    assert read_bundle(content) == bundle

    # then all is as it was written
    assert (bundle.policy_id, bundle.environment_id, bundle.title) == ("psample", "SamplePole", "stand")
    assert bundle.files == contents.files
    assert bundle.scene_assets == {"pole.obj": contents.files["scene/pole.obj"]}
    assert write_bundle(contents) == content
    # and the order in which the files were given does not matter
    backwards = dict(reversed(contents.files.items()))
    assert write_bundle(Contents("psample", "SamplePole", "stand", backwards)) == content


def test_pictures_and_videos_are_optional_entries() -> None:
    contents = sample_contents()
    webp = b"RIFF\x04\0\0\0WEBPVP8 "
    files = {**contents.files, "thumbnail.webp": webp, "video.webp": webp, "policy.json": b"{}"}
    bundle = read_bundle(write_bundle(Contents("p", "SamplePole", "", files)))
    assert bundle.files["video.webp"] == webp


def test_what_could_not_be_read_is_not_written() -> None:
    contents = sample_contents()
    with pytest.raises(BundleError) as caught:
        write_bundle(Contents("p", "Other", "", contents.files))
    assert (caught.value.rule, caught.value.file) == ("MANIFEST_FILES", "manifest.json")


@pytest.mark.parametrize("malicious", _CORPUS, ids=[each.what for each in _CORPUS])
def test_a_malicious_bundle_is_refused_by_the_rule_that_it_breaks(
    malicious: Malicious, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a folder with nothing in it but the bundle, and a temporary folder with nothing in it
    folder, temporary = tmp_path / "here", tmp_path / "temporary"
    folder.mkdir()
    temporary.mkdir()
    (folder / "evil.tabrl").write_bytes(malicious.content)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("TMPDIR", str(temporary))

    # when it is read, then it is refused by name
    with pytest.raises(BundleError) as caught:
        read_bundle(folder / "evil.tabrl")
    assert caught.value.rule == malicious.rule, caught.value

    # and nothing was written anywhere near
    assert sorted(os.listdir(tmp_path)) == ["here", "temporary"]
    assert os.listdir(folder) == ["evil.tabrl"]
    assert os.listdir(temporary) == []


@pytest.mark.parametrize("file", ["bundle.json", "manifest.json"])
def test_a_refusal_that_quotes_half_a_character_can_be_told(file: str) -> None:
    files = dict(sample_contents().files)
    manifest = {**json.loads(files["manifest.json"]), "specification": "\ud800"}
    bundles = {
        "bundle.json": lambda: forging.forged(files, index=lambda index: index.update(format="\ud800")),
        "manifest.json": lambda: forging.forged({**files, "manifest.json": json.dumps(manifest).encode()}),
    }

    with pytest.raises(BundleError, match=r"\\ud800") as caught:
        read_bundle(bundles[file]())

    assert caught.value.file == file
    assert str(caught.value).encode()


def test_the_corpus_is_broad() -> None:
    assert len({each.what for each in _CORPUS}) == len(_CORPUS) >= 100
    assert len({each.rule for each in _CORPUS}) >= 30


def test_a_file_that_is_too_long_is_not_read_to_the_end(tmp_path: Path) -> None:
    path = tmp_path / "long.tabrl"
    with path.open("wb") as file:
        file.truncate(10 << 30)
    with pytest.raises(BundleError) as caught:
        read_bundle(path)
    assert caught.value.rule == "FILE_TOO_LARGE"
