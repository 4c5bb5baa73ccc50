"""Operations of TensorFlow that do more than compute, from its registry of operations.

A test compares this list with the registry: an operation that takes a file name, a folder, an
address or a Python function is here, or is known to be safe.
"""

from __future__ import annotations

_READS = "reads files"
_WRITES = "writes files"
_PYTHON = "runs Python"
_NETWORK = "speaks to the network"
_HIDES = "runs a graph that is hidden in a text"

_KINDS = {
    _READS: (
        "CSVDataset CSVDatasetV2 DTensorRestoreV2 ExperimentalCSVDataset ExperimentalLMDBDataset "
        "ExperimentalMatchingFilesDataset ExperimentalSqlDataset FixedLengthRecordDataset "
        "FixedLengthRecordDatasetV2 FixedLengthRecordReader FixedLengthRecordReaderV2 "
        "GenerateVocabRemapping InitializeTRTResource LMDBDataset LMDBReader "
        "ListSnapshotChunksDataset LoadAndRemapMatrix LoadDataset MatchingFiles "
        "MatchingFilesDataset ReadFile RecordInput Restore RestoreSlice RestoreV2 Skipgram "
        "SnapshotChunkDataset SnapshotDatasetReader SnapshotNestedDatasetReader SqlDataset "
        "TFRecordDataset TFRecordDatasetV2 TFRecordReader TFRecordReaderV2 TextLineDataset "
        "TextLineReader TextLineReaderV2 WholeFileReader WholeFileReaderV2"
    ),
    _WRITES: (
        "CalibrationStatisticsSaver CreateSummaryDbWriter CreateSummaryFileWriter DatasetToTFRecord "
        "DistributedSave DumpTensor ExperimentalDatasetToTFRecord FileSystemSetConfiguration "
        "MergeV2Checkpoints Save SaveDataset SaveDatasetV2 SaveSlices SaveV2 SerializeTRTResource "
        "SnapshotDataset SnapshotDatasetV2 WriteFile"
    ),
    _PYTHON: "EagerPyFunc PyFunc PyFuncStateless",
    _NETWORK: (
        "DataServiceDataset DataServiceDatasetV2 DataServiceDatasetV3 DataServiceDatasetV4 "
        "DebugIdentity DebugIdentityV2 DebugIdentityV3 DebugNanCount DebugNumericSummary "
        "RegisterDataset RegisterDatasetV2 RpcCall RpcClient RpcServer RpcServerRegister "
        "RpcServerStart"
    ),
    _HIDES: "DatasetFromGraph DeserializeIterator RemoteFusedGraphExecute",
}

#: Operation to what it does, in words.
UNSAFE_OPS = {op: why for why, ops in _KINDS.items() for op in ops.split()}
