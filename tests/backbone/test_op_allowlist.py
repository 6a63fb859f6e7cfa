"""Ops of graphs: those that compute are allowed; those that read, write, run code or end the process are refused."""

from pathlib import Path
from typing import Any

import pytest

from tasks.backbone.frozen_graph import frozen_network, input_size
from tasks.backbone.op_allowlist import MAX_CALL_DEPTH, check_ops
from tasks.backbone.prepare import prepare_own
from tasks.backbone.request import BackboneRequest
from tasks.errors import BackboneError
from tasks.runtime.tensorflow_import import tf
from tests.backbone.networks import SIZE, SPEC, draw_graph, export_function

GRAPH = Path("graph.pb")
#: Reading, writing, Python, other files' records, printing, debugging, other machines, and an end with a bang.
HARMFUL = [
    *("ReadFile", "WriteFile", "MatchingFiles", "WholeFileReaderV2", "TFRecordReaderV2", "TFRecordDataset"),
    *("TextLineDataset", "CacheDataset", "IteratorV2", "OneShotIterator", "SaveV2", "RestoreV2", "Save", "Restore"),
    *("ShardedFilename", "MergeV2Checkpoints", "LoadAndRemapMatrix", "InitializeTableFromTextFileV2", "HashTableV2"),
    *("ImmutableConst", "EncodeProto", "DecodeProtoV2", "GenerateVocabRemapping", "FixedUnigramCandidateSampler"),
    *("PyFunc", "PyFuncStateless", "EagerPyFunc", "XlaCallModule", "XlaCustomCallV2", "MlirPassthroughOp", "Abort"),
    *("Print", "PrintV2", "DebugIdentity", "DebugIdentityV2", "DebugNumericSummary", "CopyHost", "DumpTensor"),
    *("CreateSummaryFileWriter", "RemoteCall", "RpcCall", "DataServiceDatasetV4", "_Send", "CollectiveReduceV2"),
    *("FileSystemSetConfiguration", "NoSuchOp"),
]
HARMLESS = [
    *("Conv2D", "FusedBatchNormV3", "MatMul", "Einsum", "Relu6", "Softmax", "Mean", "ResizeBilinear", "StridedSlice"),
    *("Const", "Placeholder", "Identity", "IdentityN", "NoOp", "PartitionedCall"),
    *("StatelessWhile", "TensorListGetItem"),
    *("VarHandleOp", "ReadVariableOp", "DecodeJpeg", "CheckNumerics", "Assert", "StatelessRandomUniformV2"),
]


def nodes(*ops: str) -> list[Any]:
    return [tf.compat.v1.NodeDef(name=f"the_{op}", op=op) for op in ops]


def library(**functions: list[Any]) -> Any:
    made = tf.compat.v1.GraphDef().library
    for name, body in functions.items():
        made.function.add(signature={"name": name}, node_def=body)
    return made


def call(name: str) -> Any:
    node = tf.compat.v1.NodeDef(name=f"call_{name}", op="StatefulPartitionedCall")
    node.attr["f"].func.name = name
    return node


@pytest.mark.parametrize("op", HARMFUL)
def test_op_that_does_more_than_compute_is_refused_by_its_name(op: str) -> None:
    with pytest.raises(BackboneError, match=rf"^graph\.pb holds ops .*: {op} \(the_{op}\)\. Export the network alone"):
        check_ops(GRAPH, nodes("Conv2D", op), library())


def test_ops_of_networks_are_let_in() -> None:
    check_ops(GRAPH, nodes(*HARMLESS), library())


def test_op_is_found_in_a_function_of_a_function_and_in_the_branches_of_an_if() -> None:
    branches = tf.compat.v1.NodeDef(name="either", op="If")
    branches.attr["then_branch"].func.name = "plain"
    branches.attr["else_branch"].func.name = "outer"
    functions = library(plain=nodes("Relu"), outer=[call("inner")], inner=nodes("WriteFile"))
    with pytest.raises(BackboneError, match=r"WriteFile \(the_WriteFile\)"):
        check_ops(GRAPH, [branches], functions)
    case = tf.compat.v1.NodeDef(name="one", op="Case")
    case.attr["branches"].list.func.add(name="plain")
    case.attr["branches"].list.func.add(name="inner")
    with pytest.raises(BackboneError, match=r"WriteFile"):
        check_ops(GRAPH, [case], functions)
    with pytest.raises(BackboneError, match=r"WriteFile"):
        check_ops(GRAPH, nodes("inner"), functions)


def test_function_that_nothing_calls_is_not_looked_at() -> None:
    """Every SavedModel has functions that save and restore its variables."""
    check_ops(GRAPH, [call("plain")], library(plain=nodes("Relu"), traced_save=nodes("SaveV2")))


def test_functions_that_call_themselves_or_too_deep_are_refused() -> None:
    deep = {f"f{depth}": [call(f"f{depth + 1}")] for depth in range(MAX_CALL_DEPTH + 1)}
    for functions in (library(f0=[call("f1")], f1=[call("f0")]), library(**deep)):
        with pytest.raises(BackboneError, match="call themselves, or each other more than 100 deep"):
            check_ops(GRAPH, [call("f0")], functions)


def test_graph_that_doubles_with_each_function_is_refused_at_once() -> None:
    functions = {f"f{depth}": [call(f"f{depth + 1}"), call(f"f{depth + 1}")] for depth in range(60)}
    with pytest.raises(BackboneError, match=r"graph of .*e\+18 operations"):
        check_ops(GRAPH, [call("f0")], library(**functions))


def means(photos: Any) -> Any:
    return tf.reduce_mean(photos, (1, 2))


def test_saved_model_that_writes_a_file_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    def network(photos: Any) -> Any:
        with tf.control_dependencies([tf.io.write_file(str(tmp_path / "written"), "x")]):
            return means(photos)

    path = export_function(network, tmp_path)
    with pytest.raises(BackboneError, match=rf"{path} holds ops .*: WriteFile \(WriteFile\)"):
        prepare_own(BackboneRequest(str(path), scaling="raw"), path)
    assert not (tmp_path / "written").exists()
    tf.saved_model.load(str(path)).signatures["serving_default"](tf.zeros((1, SIZE, SIZE, 3)))
    assert (tmp_path / "written").exists()


def test_saved_model_of_tensorflow_1_whose_loading_writes_a_file_is_refused_before(tmp_path: Path) -> None:
    old, path = tf.compat.v1, tmp_path / "model"
    with old.Graph().as_default(), old.Session() as session:
        photos = old.placeholder(tf.float32, SPEC.shape)
        signature = old.saved_model.predict_signature_def({"photos": photos}, {"means": means(photos)})
        builder = old.saved_model.Builder(str(path))
        writing = tf.io.write_file(str(tmp_path / "written"), "x")
        builder.add_meta_graph_and_variables(session, ["serve"], {"serving_default": signature}, main_op=writing)
        builder.save()
    with pytest.raises(BackboneError, match=r"is of TensorFlow 1, and .* Give a frozen graph"):
        prepare_own(BackboneRequest(str(path), scaling="raw"), path)
    assert not (tmp_path / "written").exists()
    tf.saved_model.load(str(path))
    assert (tmp_path / "written").exists()


def test_frozen_graph_that_reads_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(bytes(12))

    def network(photos: Any) -> Any:
        return means(photos) + tf.io.decode_raw(tf.io.read_file(str(tmp_path / "secret")), tf.float32)

    path = draw_graph(tmp_path / "network.pb", network, SPEC.shape)
    with pytest.raises(BackboneError, match=r"network\.pb holds ops .*: ReadFile \(ReadFile\)"):
        frozen_network(path, "pixels:0", "bottleneck:0")


def test_file_is_not_read_to_learn_the_shape_of_a_tensor(tmp_path: Path) -> None:
    """TensorFlow runs constant ops when it imports a graph, to know shapes; ReadFile of a constant path is one."""

    def network(photos: Any) -> Any:
        shape = tf.io.decode_raw(tf.io.read_file(str(tmp_path / "shape")), tf.int32)
        return means(tf.reshape(photos, shape, name="shaped"))

    (tmp_path / "shape").write_bytes(tf.constant([-1, 4, 4, 3]).numpy().tobytes())
    path = draw_graph(tmp_path / "network.pb", network, SPEC.shape)
    assert input_size(path, "pixels:0") == SIZE
    assert input_size(path, "shaped:0") is None
