"""What TensorFlow's operations do, as far as it decides what belongs to inference."""

from __future__ import annotations

import re

PLACEHOLDERS = frozenset({"Placeholder", "PlaceholderV2", "PlaceholderWithDefault"})
#: Give the next example or batch of an input pipeline.
PIPELINES = frozenset(
    {
        "InfeedDequeue",
        "InfeedDequeueTuple",
        "IteratorGetNext",
        "IteratorGetNextSync",
        "MapUnstage",
        "OrderedMapUnstage",
        "QueueDequeue",
        "QueueDequeueMany",
        "QueueDequeueManyV2",
        "QueueDequeueUpTo",
        "QueueDequeueUpToV2",
        "QueueDequeueV2",
        "ReaderRead",
        "ReaderReadUpTo",
        "ReaderReadUpToV2",
        "ReaderReadV2",
        "RecordInput",
        "Unstage",
    }
)
#: Make numbers of strings.
DECODERS = frozenset(
    {
        "DecodeAndCropJpeg",
        "DecodeBmp",
        "DecodeCSV",
        "DecodeGif",
        "DecodeImage",
        "DecodeJpeg",
        "DecodePaddedRaw",
        "DecodePng",
        "DecodeRaw",
        "DecodeWav",
        "DecodeWebP",
        "ParseExample",
        "ParseExampleV2",
        "ParseSequenceExample",
        "ParseSequenceExampleV2",
        "ParseSingleExample",
        "ParseSingleSequenceExample",
        "ParseTensor",
        "StringToNumber",
    }
)
SOURCES = PLACEHOLDERS | PIPELINES

REF_VARIABLES = frozenset({"Variable", "VariableV2"})
VARIABLES = REF_VARIABLES | {"VarHandleOp"}

#: Give a value that is new every time.
RANDOM = frozenset(
    {
        "Multinomial",
        "ParameterizedTruncatedNormal",
        "RandomCrop",
        "RandomGamma",
        "RandomPoisson",
        "RandomPoissonV2",
        "RandomShuffle",
        "RandomStandardNormal",
        "RandomUniform",
        "RandomUniformInt",
        "StatefulRandomBinomial",
        "StatefulStandardNormal",
        "StatefulStandardNormalV2",
        "StatefulTruncatedNormal",
        "StatefulUniform",
        "StatefulUniformInt",
        "TruncatedNormal",
    }
)
#: Among them, uniform in [0, 1).
UNIFORM = frozenset(
    {"RandomUniform", "StatefulUniform", "StatelessRandomUniform", "StatelessRandomUniformV2"}
)

#: Hand their first input on, with an effect that inference can do without.
PASSING = frozenset(
    {
        "CheckNumerics",
        "CheckNumericsV2",
        "DebugIdentity",
        "PreventGradient",
        "Print",
        "RefIdentity",
        "Snapshot",
        "StopGradient",
    }
)
#: Operations on references to their counterparts on values.
OF_VALUES = {
    "RefEnter": "Enter",
    "RefExit": "Exit",
    "RefMerge": "Merge",
    "RefNextIteration": "NextIteration",
    "RefSwitch": "Switch",
}
#: Have no value that inference could need.
EFFECTS = frozenset(
    {
        "Abort",
        "Assert",
        "AudioSummary",
        "AudioSummaryV2",
        "DeleteSessionTensor",
        "HistogramSummary",
        "ImageSummary",
        "MergeSummary",
        "NoOp",
        "PrintV2",
        "QueueClose",
        "QueueCloseV2",
        "QueueEnqueue",
        "QueueEnqueueMany",
        "QueueEnqueueManyV2",
        "QueueEnqueueV2",
        "QueueSize",
        "QueueSizeV2",
        "Save",
        "SaveSlices",
        "SaveV2",
        "ScalarSummary",
        "ShardedFilename",
        "TensorSummary",
        "TensorSummaryV2",
    }
)
#: Draw classes to compare with: what comes of them is a loss.
SAMPLERS = frozenset(
    {
        *("AllCandidateSampler", "ComputeAccidentalHits", "FixedUnigramCandidateSampler"),
        *(
            "LearnedUnigramCandidateSampler",
            "LogUniformCandidateSampler",
        ),
        *("ThreadUnsafeUnigramCandidateSampler", "UniformCandidateSampler"),
    }
)
_UPDATE = re.compile(
    r"^(Assign|AssignAdd|AssignSub|AssignVariableOp|AssignAddVariableOp|AssignSubVariableOp"
    r"|(Sparse|Resource)?Apply\w+|ResourceSparseApply\w+|Scatter(Add|Sub|Update|Mul|Div|Min|Max)"
    r"|ScatterNd(Add|Sub|Update|Max|Min)|ResourceScatter\w+|StridedSliceAssign"
    r"|ResourceStridedSliceAssign|CountUpTo|ResourceCountUpTo|AccumulatorApplyGradient"
    r"|Stack(Push|Pop)(V2)?|StackClose(V2)?|StackV2|Stack|RestoreV2|Restore|RestoreSlice"
    r"|Stage|MapStage|OrderedMapStage|LookupTableImport(V2)?|InitializeTable\w*"
    r"|Write\w*Summary|Barrier\w+|MakeIterator|.*Gradient.*Accumulator.*)$"
)
_GRADIENT_SCOPE = re.compile(r"(?:^|/)(?:gradients|gradient_tape)(?:_\d+)?/")
#: Depend on their input's shape alone.
SHAPE_ONLY = frozenset(
    {"OnesLike", "Rank", "Shape", "ShapeN", "Size", "ZerosLike", "VariableShape"}
)
_FUSED_BATCH_NORMS = frozenset({"FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3"})


def is_update(op: str) -> bool:
    """Whether it changes a variable or another state."""
    return bool(_UPDATE.match(op))


def is_effect(op: str) -> bool:
    """Whether it is run for what it does, not for what it gives."""
    return op in EFFECTS or is_update(op)


def is_gradient(name: str) -> bool:
    """Whether `tf.gradients` made the node: it names its scope so in every version."""
    return bool(_GRADIENT_SCOPE.search(name))


def is_training_batch_norm(op: str, attr: object) -> bool:
    """Whether it is a fused batch norm that normalizes by the batch's own statistics."""
    if op not in _FUSED_BATCH_NORMS:
        return False
    value = attr.get("is_training")  # type: ignore[attr-defined]
    return value is None or bool(value.b)  # absent means true
