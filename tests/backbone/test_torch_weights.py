"""PyTorch's legacy files: every tensor is read right, and nothing but tensors is ever built."""

import pickle
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest

from tasks.backbone.torch_weights import read_torch_weights
from tasks.backbone.weights import packaged_weights
from tasks.catalog import find_backbone
from tasks.errors import BackboneError
from tests.backbone.torch_files import (
    MACHINE,
    MAGIC_NUMBER,
    REBUILD,
    START,
    STOP,
    Window,
    code,
    pickles,
    small_parts,
    state_dict,
    storage_of,
    write,
)


@pytest.fixture
def small() -> bytes:
    """A whole file of two tensors that share no storage."""
    return b"".join(small_parts())


def test_packaged_weights_have_torch_s_names_shapes_and_dtypes() -> None:
    weights = read_torch_weights(packaged_weights(find_backbone("efficientnet_lite0")))
    assert len(weights) == 296
    assert {name: weights[name].shape for name in ("_conv_stem.weight", "_blocks.1._depthwise_conv.weight")} == {
        "_conv_stem.weight": (32, 3, 3, 3),
        "_blocks.1._depthwise_conv.weight": (96, 1, 3, 3),
    }
    assert weights["_fc.bias"].shape == (1000,)
    assert weights["_bn0.num_batches_tracked"].shape == ()
    assert {array.dtype for name, array in weights.items() if "num_batches" in name} == {np.dtype(np.int64)}
    assert {array.dtype for name, array in weights.items() if "num_batches" not in name} == {np.dtype(np.float32)}


def test_packaged_classifier_is_read_as_it_lies_in_the_raw_file() -> None:
    path = packaged_weights(find_backbone("efficientnet_lite0"))
    raw = path.read_bytes()
    length = struct.pack("<q", 1000 * 1280)  # no other tensor has as many values
    assert raw.count(length) == 1
    values = struct.unpack_from(f"<{1000 * 1280}f", raw, raw.index(length) + 8)
    # The file keeps TensorFlow's order, [in, out]; torch's strides turn it round.
    assert read_torch_weights(path)["_fc.weight"].tolist() == np.reshape(values, (1280, 1000)).T.tolist()


def test_tensors_are_windows_of_any_offset_and_strides_onto_shared_storages(tmp_path: Path) -> None:
    windows = {
        "transposed": Window("s", 7, (3, 2), (1, 3)),
        "shifted": Window("s", 7, (2,), (2,), offset=4),
        "repeated": Window("s", 7, (2, 2), (0, 1)),
        "scalar": Window("s", 7, (), (), offset=6),
    }
    path = write(tmp_path, *pickles(state_dict(windows), ["s"]), storage_of([0, 1, 2, 3, 4, 5, 6]))
    assert {name: array.tolist() for name, array in read_torch_weights(path).items()} == {
        "transposed": [[0, 3], [1, 4], [2, 5]],
        "shifted": [4, 6],
        "repeated": [[0, 1], [0, 1]],
        "scalar": 6,
    }


def test_file_cut_short_anywhere_or_longer_is_an_error(tmp_path: Path, small: bytes) -> None:
    assert read_torch_weights(write(tmp_path, small))["weight"].tolist() == [[0, 1, 2], [3, 4, 5]]
    with pytest.raises(BackboneError, match="3 bytes follow the last tensor"):
        read_torch_weights(write(tmp_path, small, b"abc"))
    for length in range(len(small)):
        with pytest.raises(BackboneError, match="legacy format"):
            read_torch_weights(write(tmp_path, small[:length]))


def test_any_changed_byte_gives_an_error_of_ours_or_arrays_and_nothing_else(tmp_path: Path, small: bytes) -> None:
    refused = 0
    for place in range(len(small)):
        for flip in (0x01, 0x80, 0xFF):
            changed = bytearray(small)
            changed[place] ^= flip
            try:
                arrays = read_torch_weights(write(tmp_path, bytes(changed)))
            except BackboneError:
                refused += 1
            else:
                assert all(type(array) is np.ndarray for array in arrays.values())
    assert refused > len(small)


@pytest.mark.parametrize("length", [-1, 2**40, 2**62])
def test_storage_of_absurd_length_is_an_error(tmp_path: Path, length: int) -> None:
    state = state_dict({"w": Window("s", length, (1,), (1,))})
    with pytest.raises(BackboneError, match="legacy format"):
        read_torch_weights(write(tmp_path, *pickles(state, ["s"]), struct.pack("<q", length), bytes(8)))


@pytest.mark.parametrize(
    ("place", "pickled", "cause"),
    [
        (0, pickle.dumps(MAGIC_NUMBER + 1, 2), "magic number"),
        (1, pickle.dumps(1002, 2), "magic number"),
        (2, START + code({**MACHINE, "little_endian": False}) + STOP, "big-endian"),
    ],
)
def test_wrong_magic_protocol_and_byte_order_are_errors(tmp_path: Path, place: int, pickled: bytes, cause: str) -> None:
    parts = small_parts()
    parts[place] = pickled
    with pytest.raises(BackboneError, match=cause):
        read_torch_weights(write(tmp_path, *parts))


#: Pickles that run a shell command or Python when a trusting unpickler reads them, and how they are refused.
PAYLOADS = {
    "system": (b"cos\nsystem\n%s\x85R.", "asks for '(os|posix).system'"),
    "eval": (b"cbuiltins\neval\n%s\x85R.", "asks for 'builtins.eval'"),
    "exec": (b"cbuiltins\nexec\n%s\x85R.", "asks for 'builtins.exec'"),
    "instance": (b"(%sios\nsystem\n.", "pickle opcode INST at byte"),
    "object": (b"(cos\nsystem\n%so.", "pickle opcode OBJ at byte"),
    "stack": (b"\x8c\x02os\x8c\x06system\x93%s\x85R.", "pickle opcode SHORT_BINUNICODE at byte"),
    "attribute": (
        b"cbuiltins\ngetattr\ncos\npath\nX\x02\0\0\0os\x86R0cos\nsystem\n%s\x85R.",
        "pickle opcode POP at byte",
    ),
}


@pytest.mark.parametrize("protocol", [2, 4])
@pytest.mark.parametrize("way", PAYLOADS)
@pytest.mark.parametrize("place", range(5))
def test_pickle_that_names_a_function_is_refused_and_never_run(
    tmp_path: Path, way: str, protocol: int, place: int
) -> None:
    marker = tmp_path / "was-here"
    command = f"open({str(marker)!r}, 'w').close()" if way in ("eval", "exec") else f"touch {marker}"
    opcodes, refused = PAYLOADS[way]
    payload = b"\x80" + bytes([protocol]) + opcodes % code(command)
    parts = pickles(state_dict({"w": Window("s", 1, (1,), (1,))}), ["s"])
    parts[place] = payload
    with pytest.raises(BackboneError, match=refused):
        read_torch_weights(write(tmp_path, *parts, storage_of([1])))
    assert not marker.exists()
    pickle.loads(payload)  # noqa: S301 - the payload is ours; this shows that it would have worked
    assert marker.exists()


@pytest.mark.parametrize(
    "attributes", [code({"__defaults__": (0, (), ())}), code(None) + code({"build": None}) + b"\x86"]
)
def test_pickle_cannot_change_how_later_files_are_read(tmp_path: Path, small: bytes, attributes: bytes) -> None:
    """`BUILD` sets attributes of anything that has some, functions too; nothing that a pickle can name has any."""
    path = write(tmp_path, *pickles(START + REBUILD + attributes + b"b" + STOP, []))
    with pytest.raises(BackboneError, match="attribute"):
        read_torch_weights(path)
    assert read_torch_weights(write(tmp_path, small))["count"] == 9


@pytest.mark.parametrize("keys", [["s", "s"], [], ["s", "t"], "s", [1]])
def test_storages_other_than_those_of_the_tensors_are_an_error(tmp_path: Path, keys: object) -> None:
    parts = [
        *pickles(state_dict({"w": Window("s", 4, (4,), (1,))}), [])[:4],
        pickle.dumps(keys, 2),
        storage_of([0, 1, 2, 3]),
    ]
    with pytest.raises(BackboneError, match="its storages are not those of its tensors"):
        read_torch_weights(write(tmp_path, *parts))


def test_file_in_pytorch_s_newer_format_is_an_error_that_says_how_to_write_the_older(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "new.pth", "w") as archive:
        archive.writestr("archive/data.pkl", b"")
    with pytest.raises(BackboneError, match=r"a zip archive; torch\.save with _use_new_zipfile_serialization=False"):
        read_torch_weights(tmp_path / "new.pth")


def test_missing_file_and_folder_are_errors_that_name_it(tmp_path: Path) -> None:
    with pytest.raises(BackboneError, match=r"no weights at .*gone\.pth"):
        read_torch_weights(tmp_path / "gone.pth")
    with pytest.raises(BackboneError, match=f"{tmp_path} cannot be read"):
        read_torch_weights(tmp_path)
