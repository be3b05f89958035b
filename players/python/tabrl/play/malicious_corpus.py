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
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from tabrl.play import forging
from tabrl.play.bundle import write_bundle
from tabrl.play.sample import sample_contents, sample_controller

__all__ = ["Malicious", "bundles"]

Json = dict[str, Any]


@dataclass(frozen=True)
class Malicious:
    """A bundle with what it does, and the rule by which it must be refused."""

    what: str
    rule: str
    content: bytes = field(repr=False)


def bundles() -> Iterator[Malicious]:
    """Yields every bundle of the corpus."""
    for of_one_kind in (_damaged, _zips, _names, _indexes, _manifests, _tensors, _graphs, _scenes):
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


def _update(fields: Json, manifest: Json) -> None:
    manifest.update(fields)


def _tensors() -> Iterator[Malicious]:
    import onnx
    from onnx import TensorProto

    yield Malicious("no ONNX", "ONNX_UNREADABLE", forging.with_controller(b"\xff" * 100))
    honest = sample_controller().SerializeToString()
    yield Malicious("an ONNX that is cut", "ONNX_UNREADABLE", forging.with_controller(honest[: len(honest) // 2]))
    yield Malicious(
        "a graph of onnxruntime's own format within", "ONNX_UNREADABLE", forging.with_controller(forging.two_formats())
    )
    location = onnx.StringStringEntryProto(key="location", value="/etc/passwd")
    external = {"data_type": 1, "dims": [4], "data_location": TensorProto.EXTERNAL, "external_data": [location]}
    yield Malicious("numbers in another file", "ONNX_EXTERNAL_DATA", _with_graph(lambda m: _put(m, "x", **external)))
    half = {"data_type": 1, "dims": [1], "raw_data": b"\0" * 4, "external_data": [location]}
    yield Malicious("numbers in both", "ONNX_EXTERNAL_DATA", _with_graph(lambda m: _put(m, "x", **half)))
    giant = {"data_type": 1, "dims": [1 << 31, 1 << 31, 4]}
    yield Malicious("a tensor of 2^64 numbers", "ONNX_TOO_LARGE", _with_graph(lambda m: _put(m, "x", **giant)))
    negative = {"data_type": 1, "dims": [-1, -4], "raw_data": b"\0" * 16}
    yield Malicious("a tensor of negative size", "ONNX_TENSOR", _with_graph(lambda m: _put(m, "x", **negative)))
    short = {"data_type": 1, "dims": [1 << 20], "raw_data": b"\0" * 4}
    yield Malicious(
        "a tensor that says more than it holds", "ONNX_TENSOR", _with_graph(lambda m: _put(m, "x", **short))
    )
    text = {"data_type": TensorProto.STRING, "dims": [1], "string_data": [b"x"]}
    yield Malicious("texts", "ONNX_TENSOR", _with_graph(lambda m: _put(m, "x", **text)))

    def poison(value: float) -> Callable[[Any], None]:
        numbers = np.array([[value], [-1.0]], np.float32).tobytes()
        return lambda model: setattr(model.graph.initializer[0], "raw_data", numbers)

    yield Malicious("a weight that is NaN", "ONNX_NOT_FINITE", _with_graph(poison(float("nan"))))
    yield Malicious("a weight without end", "ONNX_NOT_FINITE", _with_graph(poison(float("inf"))))


def _graphs() -> Iterator[Malicious]:
    from onnx import helper

    alpha = _node("LeakyRelu", ["qpos"], ["y"], alpha=float("nan"))
    yield Malicious("an attribute that is NaN", "ONNX_NOT_FINITE", _with_graph(alpha))
    yield Malicious(
        "an operator of another domain", "ONNX_DOMAIN", _with_graph(_node("Run", ["qpos"], ["y"], domain="evil"))
    )
    domain = helper.make_opsetid("com.microsoft", 1)
    yield Malicious("another domain", "ONNX_DOMAIN", _with_graph(lambda m: m.opset_import.append(domain)))
    yield Malicious("a random operator", "ONNX_OPERATOR", _with_graph(_node("RandomNormal", [], ["y"], shape=[1])))
    yield Malicious("a sequence", "ONNX_OPERATOR", _with_graph(_node("SequenceEmpty", [], ["y"])))
    body = helper.make_graph([], "body", [], [])
    yield Malicious("a loop", "ONNX_OPERATOR", _with_graph(_node("Loop", ["", ""], ["y"], body=body)))
    yield Malicious("a graph in the graph", "ONNX_SUBGRAPH", _with_graph(_node("Identity", ["qpos"], ["y"], body=body)))
    function = helper.make_function("", "Abs", ["x"], ["y"], [], [helper.make_opsetid("", 21)])
    yield Malicious("a function", "ONNX_FUNCTIONS", _with_graph(lambda m: m.functions.append(function)))
    yield Malicious("a training procedure", "ONNX_FUNCTIONS", _with_graph(lambda m: m.training_info.add()))
    yield Malicious("an IR of the future", "ONNX_VERSION", _with_graph(lambda m: setattr(m, "ir_version", 99)))
    yield Malicious(
        "an opset of the future", "ONNX_VERSION", _with_graph(lambda m: setattr(m.opset_import[0], "version", 99))
    )

    def unfold(model: Any) -> None:
        sizes = np.array([1 << 20, 1 << 20], np.int64)
        _put(model, "sizes", data_type=7, dims=[2], raw_data=sizes.tobytes())
        model.graph.node.append(helper.make_node("Expand", ["qpos", "sizes"], ["y"]))

    yield Malicious("few bytes that unfold to a terabyte", "ONNX_TOO_LARGE", _with_graph(unfold))
    yield Malicious("much that is found, each beside each", "ONNX_TOO_LARGE", _with_graph(_squared))
    for what, change in _sized_by_numbers():
        yield Malicious(what, "ONNX_SHAPE", _with_graph(change))
    yield Malicious("a value from nowhere", "ONNX_INVALID", _with_graph(_node("Abs", ["nowhere"], ["y"])))
    many = [helper.make_node("Abs", ["qpos"], [f"y{number}"]) for number in range(20_001)]
    yield Malicious("too many nodes", "ONNX_TOO_LARGE", _with_graph(lambda m: m.graph.node.extend(many)))

    def widened(model: Any) -> None:
        model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 3

    yield Malicious("a graph of another shape", "ONNX_SIGNATURE", _with_graph(widened))
    opened = _with_graph(lambda m: m.graph.input[0].type.tensor_type.shape.dim[0].ClearField("dim_value"))
    yield Malicious("a graph of open shape", "ONNX_SIGNATURE", opened)
    extra = helper.make_tensor_value_info("more", 1, [1])
    yield Malicious("an input that nobody feeds", "ONNX_SIGNATURE", _with_graph(lambda m: m.graph.input.append(extra)))
    yield Malicious(
        "an input with a value of its own",
        "ONNX_SIGNATURE",
        _with_graph(lambda m: _put(m, "qpos", data_type=1, dims=[1], raw_data=b"\0" * 4)),
    )


def _sized_by_numbers() -> Iterator[tuple[str, Callable[[Any], Any]]]:
    """Yields graphs whose values are small at first and grow without end when the carry `count` has come to 100."""
    from onnx import helper

    def graph(*last: Any, shape: tuple[int, ...] | None = None) -> Callable[[Any], None]:
        def change(model: Any) -> None:
            _put(model, "hundred", data_type=6, dims=[], raw_data=np.int32(100).tobytes())
            _put(model, "huge", data_type=7, dims=[1], raw_data=np.int64(1 << 33).tobytes())
            _put(model, "number", data_type=7, dims=[], raw_data=np.int64(0).tobytes())
            _put(model, "step", data_type=7, dims=[], raw_data=np.int64(1).tobytes())
            late = (
                helper.make_node("Greater", ["count", "hundred"], ["is_late"]),
                helper.make_node("Cast", ["is_late"], ["late"], to=7),
                helper.make_node("Mul", ["late", "huge"], ["size"]),
                helper.make_node("Squeeze", ["size"], ["end"]),
            )
            model.graph.node.extend((*late, *last))
            if shape is not None:
                model.graph.value_info.append(helper.make_tensor_value_info("y", 1, shape))

        return change

    filled = helper.make_node("ConstantOfShape", ["size"], ["y"])
    yield "34 GB after a hundred ticks", graph(filled)
    yield "34 GB that are said to be one number", graph(filled, shape=(1,))
    yield "a range without end", graph(helper.make_node("Range", ["number", "end", "step"], ["y"]))
    yield "a value that is repeated without end", graph(helper.make_node("Tile", ["qpos", "size"], ["y"]))
    yield "a value that is widened without end", graph(helper.make_node("Expand", ["qpos", "size"], ["y"]))
    pads = helper.make_node("Concat", ["size", "size"], ["pads"], axis=0)
    yield "a border without end", graph(pads, helper.make_node("Pad", ["qpos", "pads"], ["y"]))
    found = (helper.make_node("NonZero", ["qpos"], ["found"]), helper.make_node("Shape", ["found"], ["few"], start=1))
    less = (helper.make_node("Sub", ["huge", "few"], ["more"]), helper.make_node("Expand", ["qpos", "more"], ["y"]))
    yield "a value that is large where little is found", graph(*found, *less)


def _squared(model: Any) -> None:
    from onnx import helper

    _put(model, "many", data_type=7, dims=[1], raw_data=np.int64(1 << 12).tobytes())
    model.graph.node.extend(
        (
            helper.make_node("Expand", ["qpos", "many"], ["wide"]),
            helper.make_node("NonZero", ["wide"], ["row"]),
            helper.make_node("Transpose", ["row"], ["column"]),
            helper.make_node("Mul", ["row", "column"], ["pairs"]),
        )
    )


def _with_graph(change: Callable[[Any], Any]) -> bytes:
    model = sample_controller()
    change(model)
    return forging.with_controller(model.SerializeToString(deterministic=True))


def _put(model: Any, name: str, **fields: Any) -> None:
    import onnx

    model.graph.initializer.append(onnx.TensorProto(name=name, **fields))


def _node(*arguments: Any, **fields: Any) -> Callable[[Any], Any]:
    from onnx import helper

    return lambda model: model.graph.node.append(helper.make_node(*arguments, **fields))


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
    yield Malicious("a picture that is none", "ASSET_KIND", scene(assets={"sky.png": b"<svg/>" * 10}))
    yield Malicious("a program among the meshes", "ASSET_KIND", scene(assets={"pole.so": b"\x7fELF"}))
    yield Malicious("a scene among the meshes", "ASSET_KIND", scene(assets={"more.xml": b"<mujoco/>"}))


def _noisy_bodies() -> str:
    # Names that do not repeat, so that the zip's ratio is no reason to refuse it.
    return "".join(f'<body name="{zlib.crc32(number.to_bytes(4)):08x}"/>' for number in range(200_001))
