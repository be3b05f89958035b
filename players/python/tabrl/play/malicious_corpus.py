"""Bundles that must be refused, each made from the honest sample by one change, with the rule that it breaks.

Read by the tests of every reader of bundles; `bundles()` is in the order written here.
"""

from __future__ import annotations

import functools
import io
import json
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from tabrl.play import forging, malicious_graphs
from tabrl.play.bundle import write_bundle
from tabrl.play.malicious import Malicious
from tabrl.play.sample import sample_contents

__all__ = ["Malicious", "bundles"]

Json = dict[str, Any]


def bundles() -> Iterator[Malicious]:
    """Yields every bundle of the corpus."""
    kinds = (_damaged, _zips, _names, _indexes, _manifests, malicious_graphs.tensors, malicious_graphs.graphs, _scenes)
    for of_one_kind in kinds:
        yield from of_one_kind()


def _damaged() -> Iterator[Malicious]:
    honest = write_bundle(sample_contents())
    for part, rule in ((0, "NOT_A_ZIP"), (10, "NOT_A_ZIP"), (len(honest) // 2, "NOT_A_ZIP"), (-1, "NOT_A_ZIP")):
        yield Malicious(f"cut after {part} bytes", rule, honest[:part])
    yield Malicious("cut within the last record", "NOT_A_ZIP", honest[:-10])
    yield Malicious("something behind it", "NOT_A_ZIP", honest + b"\0")
    yield Malicious("something before it", "NOT_A_ZIP", b"#!/bin/sh\n" + honest)
    yield Malicious("no zip at all", "NOT_A_ZIP", b"<html>" * 100)
    yield Malicious(
        "a byte of an entry turned round", "DAMAGED", forging.changed_within(honest, b"scene/scene.xml", 40)
    )
    yield Malicious("another CRC in both halves", "DAMAGED", forging.patched(honest, "parity.json", crc=1))
    yield Malicious(
        "a size in the directory that is none", "ZIP_LAYOUT", forging.patched(honest, "parity.json", size=5, halves=1)
    )


def _zips() -> Iterator[Malicious]:
    files = forging.sample_files()
    zeros = b"\0" * (64 << 20)
    yield Malicious("64 MiB of zeros", "RATIO", forging.forged({**files, "scene/pole.obj": zeros}))
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(16):
            archive.writestr(f"{number}.bin", zeros[: 8 << 20])
    yield Malicious("a zip bomb in the zip", "ENTRY_UNKNOWN", forging.forged({**files, "more.zip": inner.getvalue()}))
    yield Malicious("entries over each other", "ZIP_LAYOUT", forging.overlapping())
    yield Malicious("sizes that come to terabytes", "UNPACKED_TOO_LARGE", forging.said_to_be_huge())
    many = {**files, **{f"scene/{number}.obj": b"" for number in range(1001)}}
    yield Malicious("a thousand entries too many", "TOO_MANY_ENTRIES", forging.forged(many))
    honest = write_bundle(sample_contents())
    for what, change in (
        ("of two disks", {4: struct.pack("<H", 1)}),
        ("whose directory lies elsewhere", {16: struct.pack("<L", 4)}),
        ("whose directory is said to be shorter", {12: struct.pack("<L", 46)}),
    ):
        end = bytearray(honest[-22:])
        for at, value in change.items():
            end[at : at + len(value)] = value
        yield Malicious(f"a zip {what}", "ZIP_LAYOUT", honest[:-22] + bytes(end))
    yield Malicious("a zip64", "ZIP_LAYOUT", forging.zip64(honest))
    yield Malicious("bytes between entries", "ZIP_LAYOUT", forging.gap(honest))
    other = forging.patched(honest, "parity.json", name=b"policy.json", halves=1)
    yield Malicious("names that differ in the two halves", "ZIP_LAYOUT", other)
    yield Malicious("an encrypted entry", "ENTRY_ENCRYPTED", forging.patched(honest, "parity.json", flags=1))
    strange = forging.patched(honest, "parity.json", method=99)
    yield Malicious("a packing that nobody knows", "ENTRY_COMPRESSION", strange)
    yield Malicious("bzip2", "ENTRY_COMPRESSION", forging.forged(files, method=zipfile.ZIP_BZIP2))
    for what, mode in (("a symlink", stat.S_IFLNK), ("a device", stat.S_IFBLK), ("a pipe", stat.S_IFIFO)):
        yield Malicious(what, "ENTRY_KIND", forging.forged(files, modes={"scene/pole.obj": mode | 0o777}))


def _names() -> Iterator[Malicious]:
    files = forging.sample_files()
    for name in (
        "../outside.obj",
        "scene/../../outside.obj",
        "/etc/cron.d/outside",
        "scene//pole2.obj",
        "scene/./pole2.obj",
        "C:/outside.obj",
        "scene/nul.obj",
        "scene/con .obj",
        "scene/conin$",
        "scene/com\u00b9.obj",
        "scene/pole2.obj ",
        "scene/pole\u202e2.obj",
        "scene/" + "x" * 300,
    ):
        yield Malicious(f"an entry called {name[:30]!r}", "ENTRY_NAME", forging.forged({**files, name: b"x"}))
    honest = write_bundle(sample_contents())
    backslash = forging.patched(honest, "scene/pole.obj", name=b"scene\\pole.obj")
    yield Malicious("a backslash", "ENTRY_NAME", backslash)
    yield Malicious("a NUL in a name", "ENTRY_NAME", forging.patched(honest, "parity.json", name=b"parity\0json"))
    cut = forging.patched(honest, "parity.json", name=b"par\xff\xfey.json", flags=0x800)
    yield Malicious("a name that is no UTF-8", "ENTRY_NAME", cut)
    cp437 = forging.patched(honest, "parity.json", name=b"par\x82ty.json")
    yield Malicious("a name of another alphabet", "ENTRY_NAME", cp437)
    yield Malicious("a folder", "ENTRY_NAME", forging.forged({**files, "scene/more/": b""}))
    twice = forging.patched(forging.forged({**files, "parity.jsom": b"{}"}), "parity.jsom", name=b"parity.json")
    yield Malicious("two entries of one name", "ENTRY_DUPLICATE", twice)
    yield Malicious("names that differ in case", "ENTRY_DUPLICATE", forging.forged({**files, "Parity.json": b"{}"}))
    yield Malicious("a file that is a folder too", "ENTRY_DUPLICATE", forging.forged({**files, "parity.json/x": b""}))


def _indexes() -> Iterator[Malicious]:
    files = forging.sample_files()

    def indexed(change: Callable[[Json], None]) -> bytes:
        return forging.forged(files, index=change)

    def entry(index: Json, path: str) -> Json:
        return next(each for each in index["files"] if each["path"] == path)

    yield Malicious("an entry that is not listed", "ENTRY_UNLISTED", indexed(lambda i: i["files"].pop()))
    absent = {"path": "scene/more.obj", "sha256": "0" * 64, "size_bytes": 1, "media_type": "application/octet-stream"}
    yield Malicious("a listed entry that is not there", "ENTRY_MISSING", indexed(lambda i: i["files"].append(absent)))
    for path in ("controller.onnx", "manifest.json", "MODEL_CARD.md", "scene/scene.xml"):
        yield Malicious(f"no {path}", "ENTRY_MISSING", forging.forged({k: v for k, v in files.items() if k != path}))
    yield Malicious("no bundle.json", "ENTRY_MISSING", forging.zipped(files))
    yield Malicious("a wrong digest", "DIGEST", indexed(lambda i: entry(i, "controller.onnx").update(sha256="0" * 64)))
    yield Malicious("a digest that is none", "INDEX", indexed(lambda i: entry(i, "parity.json").update(sha256="../x")))
    yield Malicious("a negative size", "INDEX", indexed(lambda i: entry(i, "parity.json").update(size_bytes=-1)))
    yield Malicious("a size of 1e30", "INDEX", indexed(lambda i: entry(i, "parity.json").update(size_bytes=10**30)))
    yield Malicious("a wrong size", "ENTRY_SIZE", indexed(lambda i: entry(i, "parity.json").update(size_bytes=3)))
    script = indexed(lambda i: entry(i, "MODEL_CARD.md").update(media_type="text/html; <script>"))
    yield Malicious("a media type that runs", "MEDIA_TYPE", script)
    yield Malicious("a listed path that leads out", "INDEX", indexed(lambda i: i["files"][0].update(path="../x")))
    yield Malicious("a path that is listed twice", "INDEX", indexed(lambda i: i["files"].append(i["files"][0])))
    yield Malicious("another format", "FORMAT", indexed(lambda i: i.update(format=2)))
    yield Malicious("a title that is no text", "INDEX", indexed(lambda i: i.update(title=["x"])))
    yield Malicious("a list for an index", "INDEX", forging.zipped({**files, "bundle.json": b"[]"}))
    deep = b'{"format":1,"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    yield Malicious("JSON 100,000 deep", "JSON_LIMITS", forging.zipped({**files, "bundle.json": deep}))
    yield Malicious("no JSON", "JSON", forging.zipped({**files, "bundle.json": b"\xff{"}))
    yield Malicious(
        "a name twice in an object", "JSON", forging.zipped({**files, "bundle.json": b'{"format":1,"format":1}'})
    )
    long = b'{"x":"' + bytes(range(97, 123)) * (100 << 10) + b'"}'
    stored = forging.zipped({**files, "bundle.json": long}, method=zipfile.ZIP_STORED)
    yield Malicious("an index of megabytes", "JSON_LIMITS", stored)
    yield Malicious("a web page for a picture", "CONTENT_KIND", forging.forged({**files, "thumbnail.webp": b"<html>"}))
    yield Malicious("a record that is a list", "JSON", forging.forged({**files, "parity.json": b"[]"}))
    long_record = b'{"x":"' + bytes(range(97, 123)) * (2 << 10) + b'"}'
    yield Malicious("a record of 50 KB", "JSON_LIMITS", forging.forged({**files, "policy.json": long_record}))
    yield Malicious("a title that UTF-8 cannot say", "INDEX", indexed(lambda i: i.update(title="\ud800")))
    yield Malicious(
        "a model card that is no text", "CONTENT_KIND", forging.forged({**files, "MODEL_CARD.md": b"\xff\xfe"})
    )
    yield Malicious("a file of no known kind", "ENTRY_UNKNOWN", forging.forged({**files, "run.sh": b"#!/bin/sh"}))


def _manifests() -> Iterator[Malicious]:
    def changed(change: Callable[[Json], Any]) -> bytes:
        files = forging.sample_files()
        manifest = json.loads(files["manifest.json"])
        change(manifest)
        return forging.forged({**files, "manifest.json": json.dumps(manifest).encode()})

    def tensor(manifest: Json, which: str, number: int, **fields: Any) -> None:
        manifest[which][number]["tensor"].update(fields)

    yield Malicious(
        "a manifest of another graph", "MANIFEST_FILES", changed(lambda m: m.update(controllerSha256="0" * 64))
    )
    other = changed(lambda m: m["sceneAssets"][0]["artifact"].update(sha256="0" * 64))
    yield Malicious("a manifest of other meshes", "MANIFEST_FILES", other)
    yield Malicious("a manifest without the mesh", "MANIFEST_FILES", changed(lambda m: m["sceneAssets"].clear()))
    yield Malicious("a manifest of another robot", "MANIFEST_FILES", changed(lambda m: m.update(environmentId="Other")))
    yield Malicious("a manifest of another version", "MANIFEST", changed(lambda m: m.update(specification=2)))
    yield Malicious("a manifest without inputs' types", "MANIFEST", changed(lambda m: m["inputs"][0].pop("source")))
    yield Malicious(
        "a manifest that is a list", "MANIFEST", forging.forged({**forging.sample_files(), "manifest.json": b"[]"})
    )
    for what, fields in (
        ("a period of no time", {"controlPeriodSecs": 0}),
        ("a period that goes back", {"controlPeriodSecs": -0.02}),
        ("a year in one period", {"controlPeriodSecs": 3e7}),
        ("a billion physics steps", {"physicsStepsPerControl": 10**9}),
        ("half a physics step", {"physicsStepsPerControl": 0.5}),
        ("an endless episode", {"episodeLength": 10**12}),
        ("a text for a number", {"episodeLength": "200"}),
    ):
        yield Malicious(what, "MANIFEST_RANGE", changed(functools.partial(_update, fields)))
    yield Malicious("a period that is not finite", "JSON", changed(lambda m: m.update(controlPeriodSecs=float("inf"))))
    yield Malicious("no output ctrl", "MANIFEST_RANGE", changed(lambda m: m["outputs"].pop(0)))
    yield Malicious(
        "an array that Python calls its own",
        "MANIFEST_RANGE",
        changed(lambda m: m["inputs"][0].update(field="__class__")),
    )
    reset = changed(lambda m: m["resets"][0]["data"].update(timer={"shape": [1], "values": [1]}))
    yield Malicious("a reset that writes elsewhere", "MANIFEST_RANGE", reset)
    yield Malicious(
        "a reset that is not finite",
        "MANIFEST_RANGE",
        changed(lambda m: m["resets"][0]["data"]["qpos"].update(values=["NaN"])),
    )
    yield Malicious("a reset without the carry", "MANIFEST_RANGE", changed(lambda m: m["resets"][0]["carry"].clear()))
    yield Malicious(
        "a reset of a shape that is not its own",
        "MANIFEST",
        changed(lambda m: m["resets"][0]["data"]["qpos"].update(shape=[10**9])),
    )
    yield Malicious(
        "an input of a terabyte", "MANIFEST_RANGE", changed(lambda m: tensor(m, "inputs", 0, shape=[10**6, 10**6]))
    )
    yield Malicious(
        "an input of less than nothing", "MANIFEST_RANGE", changed(lambda m: tensor(m, "inputs", 0, shape=[-1]))
    )
    yield Malicious("an input of another shape", "ONNX_SIGNATURE", changed(lambda m: tensor(m, "inputs", 0, shape=[2])))
    yield Malicious(
        "an input of another type", "ONNX_SIGNATURE", changed(lambda m: tensor(m, "inputs", 0, dtype="DATA_TYPE_INT32"))
    )
    yield Malicious(
        "an output that is not there", "ONNX_SIGNATURE", changed(lambda m: tensor(m, "outputs", 1, name="else"))
    )
    yield Malicious("another opset", "ONNX_VERSION", changed(lambda m: m.update(onnxOpset=20)))
    yield Malicious(
        "types as NumPy lists them", "MANIFEST", changed(lambda m: tensor(m, "inputs", 0, dtype="DATA_TYPE_F4,,F4"))
    )
    yield Malicious("a mesh that is listed twice", "MANIFEST", changed(_mesh_twice))
    other_scene = changed(lambda m: m.update(scene_xml={**m["sceneXml"], "sha256": "0" * 64}))
    yield Malicious("another scene by the field's other name", "MANIFEST_RANGE", other_scene)
    yield Malicious(
        "a reset's other name within",
        "MANIFEST_RANGE",
        changed(lambda m: m["inputs"][0]["tensor"].update(data_type="DATA_TYPE_BOOL")),
    )
    yield from _origins(changed)


def _mesh_twice(manifest: Json) -> None:
    mesh = manifest["sceneAssets"][0]
    manifest["sceneAssets"].insert(0, {**mesh, "artifact": {**mesh["artifact"], "sha256": "0" * 64}})


def _origins(changed: Callable[[Callable[[Json], Any]], bytes]) -> Iterator[Malicious]:
    """Yields bundles that say of themselves what nobody should have to keep, or show."""
    for what, fields in (
        ("a prompt of 180 KB", {"prompt": "stand up " * 20_000}),
        ("a prompt with a NUL", {"prompt": "stand\0up"}),
        ("a checkpoint that is no digest", {"parentCheckpointSha256": "../../etc/passwd"}),
        ("a run with a long name", {"runId": "r" * 201}),
        ("a reward with a long name", {"rewardId": "r" * 201}),
        ("steps below none", {"envSteps": "-1"}),
    ):
        yield Malicious(what, "MANIFEST_RANGE", changed(functools.partial(_update_within, "lineage", fields)))
    licence = {"covers": "robot", "spdxId": "MIT", "text": ""}
    command = {"field": "nowhere", "elements": []}
    for what, entries in (
        ("a licence of 100 KB", {"licences": [{**licence, "text": "x " * 50_000}]}),
        ("a thousand licences", {"licences": [licence] * 1_000}),
        ("ten thousand actuators", {"actuators": [{"name": "a"}] * 10_000}),
        ("an actuator with limits that are texts", {"actuators": [{"ctrlLow": "low"}]}),
        ("a command that is nowhere", {"commands": [command]}),
        ("a version with a long name", {"onnxruntimeVersion": "1" * 201}),
        ("versions with long names", {"mujocoVersions": {"minimum": "3" * 201}}),
        ("a model of less than nothing", {"model": {"nq": -1}}),
        ("an environment with an odd name", {"environmentId": "../<b>Pole"}),
    ):
        yield Malicious(what, "MANIFEST_RANGE", changed(functools.partial(_update, entries)))


def _update_within(name: str, fields: Json, manifest: Json) -> None:
    manifest[name].update(fields)


def _update(fields: Json, manifest: Json) -> None:
    manifest.update(fields)


def _scenes() -> Iterator[Malicious]:
    def scene(*changes: tuple[str, str], assets: Mapping[str, bytes] | None = None) -> bytes:
        xml = forging.sample_files()["scene/scene.xml"].decode()
        for before, after in changes:
            assert before in xml
            xml = xml.replace(before, after)
        return forging.with_scene(xml.encode(), assets or {})

    end = "</mujoco>"
    entities = '<!DOCTYPE mujoco [<!ENTITY x SYSTEM "file:///etc/passwd">]>\n<mujoco model'
    yield Malicious("a document type that reads files", "MJCF_DOCTYPE", scene(("<mujoco model", entities)))
    laughs = "".join(f'<!ENTITY l{i} "{f"&l{i - 1};" * 10 if i else "ha"}">' for i in range(12))
    billion = f"<!DOCTYPE mujoco [{laughs}]>\n<mujoco model"
    yield Malicious("a billion laughs", "MJCF_DOCTYPE", scene(("<mujoco model", billion)))
    yield Malicious("an include", "MJCF_ELEMENT", scene((end, '<include file="pole.obj"/></mujoco>')))
    plugin = '<extension><plugin plugin="mujoco.elasticity.cable"/></extension></mujoco>'
    yield Malicious("an extension", "MJCF_ELEMENT", scene((end, plugin)))
    sensor = '<sensor><plugin name="x" plugin="y"/></sensor></mujoco>'
    yield Malicious("a plugin", "MJCF_ELEMENT", scene((end, sensor)))
    many = '<worldbody><replicate count="1000000000"><geom size="1"/></replicate></worldbody></mujoco>'
    yield Malicious("a billion bodies", "MJCF_ELEMENT", scene((end, many)))
    yield Malicious(
        "a model in the model", "MJCF_ELEMENT", scene(("<asset>", '<asset><model name="m" file="pole.obj"/>'))
    )
    for path in ("/etc/passwd", "../../etc/passwd", "other.obj"):
        yield Malicious(f"a mesh from {path}", "MJCF_FILE", scene(('file="pole.obj"', f'file="{path}"')))
    texture = '<asset><texture type="cube" fileright="/etc/x.png"/>'
    yield Malicious("a texture's side from elsewhere", "MJCF_FILE", scene(("<asset>", texture)))
    yield Malicious("another folder for meshes", "MJCF_FILE", scene(("<asset>", '<compiler meshdir="/etc"/><asset>')))
    typed = scene(('file="pole.obj"', 'file="pole.obj" content_type="text/usd"'))
    yield Malicious("a mesh that is read as a scene", "MJCF_FILE", typed)
    yield Malicious(
        "a height field of 10^12 numbers",
        "MJCF_LIMITS",
        scene(("<asset>", '<asset><hfield name="h" nrow="1000000" ncol="1000000" size="1 1 1 1"/>')),
    )
    yield Malicious(
        "a texture of 10^12 pixels",
        "MJCF_LIMITS",
        scene(("<asset>", '<asset><texture builtin="flat" width="1000000" height="1000000"/>')),
    )
    fields = "".join(f'<hfield name="h{n}" nrow="8192" ncol="8192" size="1 1 1 1"/>' for n in range(3))
    yield Malicious("many height fields", "MJCF_LIMITS", scene(("<asset>", f"<asset>{fields}")))
    numbers = '<custom><numeric name="n" size="1000000000"/></custom></mujoco>'
    yield Malicious("a billion numbers of one's own", "MJCF_LIMITS", scene((end, numbers)))
    less = '<custom><numeric name="n" size="-1000000000"/></custom></mujoco>'
    yield Malicious("numbers of one's own that are less than none", "MJCF_LIMITS", scene((end, less)))
    measured = '<sensor><user name="u" dim="1000000000"/></sensor></mujoco>'
    yield Malicious("a sensor of a billion numbers", "MJCF_LIMITS", scene((end, measured)))
    yield Malicious("an arena of terabytes", "MJCF_LIMITS", scene(("<asset>", '<size memory="4T"/><asset>')))
    yield Malicious(
        "a billion user numbers", "MJCF_LIMITS", scene(("<asset>", '<size nuserdata="1000000000"/><asset>'))
    )
    deep = "<body>" * 300 + "</body>" * 300
    yield Malicious("bodies 300 deep", "MJCF_LIMITS", scene(("</worldbody>", deep + "</worldbody>")))
    yield Malicious("a million elements", "MJCF_LIMITS", scene(("</worldbody>", _noisy_bodies() + "</worldbody>")))
    yield Malicious("XML that ends early", "MJCF_UNREADABLE", scene((end, "")))
    yield Malicious("another root", "MJCF_UNREADABLE", forging.with_scene(b"<robot/>", {}))
    yield Malicious("UTF-16", "MJCF_UNREADABLE", forging.with_scene("<mujoco/>".encode("utf-16"), {}))
    picture = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + struct.pack(">II", 1 << 20, 1 << 20) + b"\x08\x06\0\0\0"
    yield Malicious("a picture of 10^12 pixels", "ASSET_KIND", scene(assets={"sky.png": picture}))
    large = picture[:16] + struct.pack(">II", 8192, 8192) + picture[24:]
    sky = {f"sky{number}.png": large for number in range(3)}
    yield Malicious("many large pictures", "MJCF_LIMITS", scene(assets=sky))
    yield Malicious("a picture that is none", "ASSET_KIND", scene(assets={"sky.png": b"<svg/>" * 10}))
    yield Malicious("a program among the meshes", "ASSET_KIND", scene(assets={"pole.so": b"\x7fELF"}))
    yield Malicious("a scene among the meshes", "ASSET_KIND", scene(assets={"more.xml": b"<mujoco/>"}))


def _noisy_bodies() -> str:
    # Names that do not repeat, so that the zip's ratio is no reason to refuse it.
    return "".join(f'<body name="{zlib.crc32(number.to_bytes(4)):08x}"/>' for number in range(200_001))
