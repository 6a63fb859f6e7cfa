"""The registry of stages."""

from tasks.backbone.spec import BACKBONE
from tasks.bottleneck.spec import BOTTLENECK
from tasks.champion.spec import CHAMPION
from tasks.compare.spec import COMPARE
from tasks.decode.spec import DECODE
from tasks.download.spec import DOWNLOAD
from tasks.drift.spec import DRIFT
from tasks.evaluate.spec import EVALUATE
from tasks.export.spec import EXPORT
from tasks.predict.spec import PREDICT
from tasks.report.spec import REPORT
from tasks.serving.spec import SERVING
from tasks.snapshot.spec import SNAPSHOT
from tasks.stage_spec import StageSpec, kind_of
from tasks.train.spec import STATISTICS, TRAIN

#: The last step of a run. Garbage collection removes records first: nothing looks for outputs that no record names.
RECORD = StageSpec(
    name="record",
    outputs=("runs/{dataset}/{date}-{parameters}.json",),
    permanent=("runs/{dataset}/.{date}.lock",),
    action="write the record",
)
#: Every stage, in the order in which data flows: an output refers to none of a later stage.
REGISTRY = (
    BACKBONE,
    DOWNLOAD,
    SNAPSHOT,
    DECODE,
    BOTTLENECK,
    DRIFT,
    STATISTICS,
    TRAIN,
    EVALUATE,
    EXPORT,
    CHAMPION,
    SERVING,
    REPORT,
    PREDICT,
    COMPARE,
    RECORD,
)
#: The stages of `RetrainFlowers`, in the order in which they run.
RUN_STAGES = tuple(spec for spec in REGISTRY if spec.action)
_BY_NAME = {spec.name: spec for spec in REGISTRY}


def spec_of(name: str) -> StageSpec:
    """The specification of a stage by its name in a run; one without outputs for a stage that is not registered."""
    return _BY_NAME.get(kind_of(name)) or StageSpec(kind_of(name))
